"""What an entry of the log says, in words: who did what to what, and what came of it. Pure.

Made from the entry's own bytes, so that a page says nothing that is not hashed. Names are those of
the time of the entry. An action without a phrase of its own is told by its name.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.urls import NoReverseMatch, reverse

from audit.models import Entry
from audit.search import outcome_of
from countersign.console import words
from countersign.console.words import ALLOW, DENY, DOUBT, REVIEW, Word

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Runs": ("run", "step", "answer", "replay", "manifest", "artifact", "question", "sandbox"),
    "Tool calls": ("call", "effect"),
    "Decisions of the policy": ("decision",),
    "Approvals and signatures": ("approval", "vote", "mask"),
    "Policies": ("policy", "change"),
    "Agents, tools, models": ("agent", "tool", "model", "endpoint", "server"),
    "Kill switches": ("kill",),
    "People and access": (
        *("login", "logout", "session", "password", "password_change", "reauthentication"),
        *("member", "workspace", "token", "service_account", "user", "factor", "passkey"),
        *("identity", "invitation", "webhook", "access"),
    ),
    "The log itself": (
        *("log", "checkpoint", "export", "payload", "payloads", "subject", "hold", "retention"),
        *("key", "migration", "anchor", "anchors", "verification", "mask"),
    ),
}
OTHER = "Other"
GROUP_PREFIX = "group:"

OUTCOMES: Mapping[str, Word] = {
    "done": Word("✓", "done", ALLOW),
    "refused": Word("✕", "refused", DENY),
    "failed": Word("!", "failed", DENY),
    "waits": Word("◆", "waits for people", REVIEW),
    "doubt": Word("?", "in doubt", DOUBT),
    "stopped": Word("■", "stopped"),
}

PHRASES: Mapping[str, str] = {
    "run.started": "started a run of {agent}",
    "run.claimed": "took the run to work on it",
    "run.parked": "set the run aside until it gets what it waits for",
    "run.resumed": "went on with the run",
    "run.ended": "ended the run",
    "run.cancelled": "stopped the run",
    "run.replayed": "replayed the run",
    "run.replay_asked": "asked for a replay of the run",
    "run.replay_failed": "could not have the run replayed",
    "step.proposed": "proposed the program of step {step}",
    "step.executed": "ran the program of step {step}",
    "sandbox.started": "started a sandbox for the run's programs",
    "sandbox.stopped": "ended the run's sandbox",
    "answer.released": "gave the final answer",
    "answer.refused": "was not let give the final answer",
    "replay.diverged": "found that the replay differs at step {step}",
    "decision.made": "was judged by the policy: {asked}",
    "call.intended": "is about to call {tool}",
    "call.succeeded": "called {tool}",
    "call.failed": "called {tool}, which failed",
    "call.unknown": "called {tool}; nobody knows whether it happened",
    "call.resolved": "said what became of a call in doubt",
    "call.resolve_refused": "was not let say what became of a call in doubt",
    "call.drifted": "found that {tool} answers otherwise than when it was signed",
    "call.reread": "read {tool} again before acting on it",
    "model.unavailable": "could not reach the model",
    "approval.requested": "needs signatures",
    "approval.notified": "told the reviewers",
    "approval.reminded": "reminded the reviewers",
    "approval.end_sent": "told whoever asked how it ended",
    "approval.stranded": "told that too few people may sign",
    "approval.completed": "counted the last signature that was needed",
    "approval.consumed": "used the approval",
    "approval.rejected": "closed the request as rejected",
    "approval.expired": "closed the request: its time was up",
    "approval.superseded": "replaced the request by a newer one",
    "approval.cancelled": "took the request back",
    "change.withdrawn": "withdrew the change they had asked for",
    "change.refused": "was not let ask for a change",
    "vote.refused": "was not let vote",
    "policy.drafted": "drafted policy version {version}",
    "policy.activated": "put policy version {version} in force",
    "policy.refused": "was not let change the policy",
    "agent.registered": "registered the agent {name} v{number}",
    "tool.registered": "registered the tool {name} v{number}",
    "model.registered": "registered the model {name} v{number}",
    "member.added": "added a member",
    "member.changed": "changed a member's roles",
    "member.removed": "removed a member",
    "member.refused": "was not let change members",
    "workspace.created": "made the workspace",
    "password.reset": "gave someone a one-time password",
    "user.notified": "told the person by mail: {about}",
    "factor.begun": "began to set up an authenticator",
    "factor.confirmed": "set up an authenticator",
    "factor.removed": "removed their authenticator",
    "factor.renewed": "made new recovery codes",
    "factor.reset": "took away an authenticator",
    "factor.refused": "was not let change an authenticator",
    "factor.failed": "gave a wrong password at the second factor",
    "service_account.created": "made a service account",
    "service_account.disabled": "disabled a service account",
    "token.issued": "issued a token",
    "token.used": "used a token",
    "token.revoked": "revoked a token",
    "token.refused": "was turned away with a token",
    "kill.set": "set a kill switch",
    "kill.lifted": "lifted a kill switch",
    "kill.lift_asked": "asked to lift a kill switch",
    "kill.refused": "was not let touch a kill switch",
    "log.verified": "verified the log: {findings} findings",
    "export.requested": "asked for an export",
    "export.retried": "asked to go on with an export",
    "export.made": "made an export of {entries} entries",
    "export.downloaded": "downloaded an export ({form})",
    "export.removed": "removed the file of an export: its time was up",
    "export.refused": "was not let export the log",
    "mask.opened": "looked at what a rule masks",
    "approval.question_sent": "mailed a reviewer's question",
    "approval.answer_sent": "mailed that a question was answered",
    "payload.viewed": "looked at a masked payload: {name}",
    "payload.refused": "was not let look at a masked payload",
    "subject.erased": "erased a person's payloads",
    "payloads.expired": "destroyed payloads whose retention had ended",
    "retention.changed": "changed how long payloads are kept",
    "hold.set": "set a legal hold",
    "hold.lifted": "lifted a legal hold",
    "key.rotated": "changed the key that signs the log",
    "key.retired": "ended the log's previous key",
    "anchors.changed": "found other anchors in the settings than before",
    "verification.requested": "asked for a verification of the log",
    "checkpoint.signed": "signed a checkpoint of {size} entries",
    "session.ended": "logged out",
    "reauthentication.succeeded": "gave the password again",
    "login.succeeded": "logged in",
    "login.begun": "gave the password at login; the code was still to come",
    "login.failed": "failed to log in",
    "password.changed": "changed the password",
    "password_change.failed": "gave a wrong password when changing it",
    "reauthentication.failed": "gave a wrong password where it was asked for again",
    "migration.started": "began to change the database: {count} migrations",
    "migration.finished": "changed the database: {count} migrations",
}
ASKED = {
    "execute": "run the program of step {step}",
    "release": "give the final answer",
    "start_run": "start a run",
    "use_model": "use the model",
}


@dataclass(frozen=True)
class About:
    """What an entry is about: a kind, a name that people know, an address if there is one."""

    kind: str
    name: str
    href: str = ""


@dataclass(frozen=True)
class Line:
    """One entry in words; `what` goes on after the actor's name."""

    entry: Entry
    body: Mapping[str, Any]
    what: str
    about: About
    outcome: Word | None

    @property
    def sentence(self) -> str:
        return f"{self.entry.actor_name} {self.what}"


@dataclass(frozen=True)
class Logbook:
    """Tells entries of one workspace; `names` are those of people and accounts, by id."""

    slug: str
    names: Mapping[str, str] = field(default_factory=dict)

    def lines(self, entries: Iterable[Entry]) -> list[Line]:
        return [self.line(entry) for entry in entries]

    def line(self, entry: Entry) -> Line:
        leaf = bytes(entry.leaf)
        body: dict[str, Any] = json.loads(leaf)
        key = outcome_of(entry.action, leaf)
        word = OUTCOMES.get(key)
        if word and entry.action == "decision.made":
            word = words.OUTCOME.get(str(body["detail"]["outcome"]), word)
        return Line(entry, body, phrase(entry.action, body), self._about(entry, body), word)

    def _about(self, entry: Entry, body: Mapping[str, Any]) -> About:
        detail = body.get("detail", {})
        key, run = entry.subject_id, entry.run_id
        match entry.subject_type:
            case "run":
                return About("run", key[:8], self._to("run_detail", key))
            case "step":
                href = self._to("run_step", run, detail["step"]) if "step" in detail else ""
                return About("step", str(detail.get("step", key[:8])), href)
            case "call":
                return About("tool", str(detail.get("tool", "")), self._to("run_call", run, key))
            case "decision" if "step" in detail:
                place = self._to("run_step", run, detail["step"])
                return About("step", str(detail["step"]), place)
            case "decision":
                return About("", "")
            case "approval_request":
                return About("request", key[:8], self._to("approval_card", key))
            case "policy_version":
                version = entry.subject_version
                return About("policy", f"version {version}", self._to("policy_version", version))
            case "agent" | "tool" | "model" as kind if "name" in detail:
                name = f"{detail['name']} v{detail['number']}"
                href = self._to(f"{kind}_version", detail["name"], detail["number"])
                return About(kind, name, href)
            case "entry":
                return About("entry", key[:8], self._to("audit_entry", key))
            case "export":
                return About("export", key[:8], self._to("audit_export", key))
            case "tree" if key in self.names:
                return About("the log of", self.names[key])
            case "tree":
                return About("the log", "")
            case "workspace" if key == str(entry.workspace_id):
                return About("workspace", self.slug)
            case kind:
                known = self.names.get(key, key[:8] if _is_uuid(key) else key)
                return About(words.humanise(kind).lower(), known)

    def _to(self, page: str, *arguments: object) -> str:
        """The address of a page; "" where the entry names what no address can."""
        try:
            return reverse(f"console:{page}", args=[self.slug, *arguments])
        except NoReverseMatch:
            return ""


class _Known(dict[str, Any]):
    """What an entry holds; what it does not hold has a vague name."""

    def __missing__(self, key: str) -> str:
        return {"tool": "a tool", "agent": "an agent"}.get(key, "…")


def phrase(action: str, body: Mapping[str, Any]) -> str:
    """What was done, to follow the name of whoever did it."""
    detail = body.get("detail", {})
    if action == "vote.cast":
        return "signed the request" if detail.get("answer") == "sign" else "rejected the request"
    known = _Known(detail)
    known["asked"] = _asked(detail)
    known.setdefault("version", body["subject"].get("version", "…"))
    if action in PHRASES:
        return PHRASES[action].format_map(known)
    noun, _, participle = action.partition(".")
    return f"{noun.replace('_', ' ')}: {participle.replace('_', ' ')}"


def group_of(action: str) -> str:
    noun = action.partition(".")[0]
    if noun == "model" and action != "model.registered":
        return "Runs"
    return next((name for name, nouns in GROUPS.items() if noun in nouns), OTHER)


def grouped(actions: Iterable[str]) -> dict[str, list[str]]:
    """Actions by group, in the groups' order; only groups that have any."""
    found: dict[str, list[str]] = {name: [] for name in (*GROUPS, OTHER)}
    for action in actions:
        found[group_of(action)].append(action)
    return {name: items for name, items in found.items() if items}


def chosen_actions(chosen: str, occurring: Sequence[str]) -> tuple[str, ...]:
    """The actions that a choice of the filter stands for: one, or all of a group."""
    if not chosen.startswith(GROUP_PREFIX):
        return (chosen,) if chosen else ()
    members = grouped(occurring).get(chosen.removeprefix(GROUP_PREFIX), [])
    # A group of which nothing has happened yet finds nothing, not everything.
    return tuple(members) or (chosen,)


def _asked(detail: Mapping[str, Any]) -> str:
    verb, _, name = str(detail.get("action", "")).partition(":")
    if verb == "call":
        return f"call {name}" if name else "call a tool"
    known = _Known(detail)
    return ASKED.get(verb, verb.replace("_", " ")).format_map(known)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
