"""Required tests of a policy version: what is asked, and what must be answered. Pure.

A case is one of three: a program with the tools it may use, a call of a tool with its arguments,
or a request as it was stored with a past decision. One that expects a review may name the
signatures that it must ask for at least. Cases are data in JSON; they are checked when they are
added and run whenever the version is looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from policies import requests
from policies.engine import (
    MAX_QUORUM,
    TOTP,
    Decision,
    Outcome,
    PolicySet,
    Requirement,
    decide,
)
from policies.facts.extract import extract
from policies.facts.library import DEFAULT_IMPORTS
from policies.facts.record import LITERAL, TASK, TOOL, Origin, ToolSpec
from policies.requests import Request, RunContext
from policies.verdict import judge

MAX_CASES = 500
MAX_NAME = 120
MAX_CODE = 20_000
_KINDS = ("program", "call", "request")
_NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)
ORIGINS = {TASK: "the task", LITERAL: "the program itself", "tool": "a tool"}


class CaseError(Exception):
    """A case that cannot be run; the message says what is wrong with it."""


@dataclass(frozen=True)
class Checked:
    """One case and how it went.

    Attributes:
        signatures: what it must ask for at least, where it must be a review.
        got: the decision; None where the case cannot be run with the tools of today.
        problem: why it cannot.
    """

    name: str
    kind: str
    expected: str
    got: Decision | None = None
    problem: str = ""
    signatures: Requirement = field(default_factory=Requirement)

    @property
    def passed(self) -> bool:
        if self.got is None or self.got.outcome.value != self.expected:
            return False
        return self.got.requirement.covers(self.signatures)

    @property
    def answered(self) -> str:
        return self.got.outcome.value if self.got is not None else ""


def program(name: str, code: str, expect: str) -> dict[str, Any]:
    """A case about a whole program."""
    return validated({"name": name, "kind": "program", "code": code, "expect": expect})


def call(
    name: str,
    tool: str,
    arguments: Mapping[str, Any],
    expect: str,
    *,
    origin: str = TASK,
    labels: Sequence[str] = (),
    seen: Sequence[str] = (),
) -> dict[str, Any]:
    """A case about one call of a tool; all arguments have the same origin and labels."""
    return validated(
        {
            "name": name,
            "kind": "call",
            "tool": tool,
            "arguments": dict(arguments),
            "origin": origin,
            "labels": sorted(labels),
            "seen": sorted(seen),
            "expect": expect,
        }
    )


def stored(name: str, request: Mapping[str, Any], expect: str) -> dict[str, Any]:
    """A case from a past decision."""
    return validated({"name": name, "kind": "request", "request": dict(request), "expect": expect})


def signed(case: Mapping[str, Any], wanted: Requirement) -> dict[str, Any]:
    """The case, which must be a review, with the signatures it must ask for at least."""
    return validated({**case, "signatures": wanted.to_json()} if len(wanted) else case)


def validated(case: Mapping[str, Any]) -> dict[str, Any]:
    """The case, if it can be one.

    Raises:
        CaseError: it cannot; says what to do.
    """
    name = case.get("name")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= MAX_NAME:
        raise CaseError(f"A test needs a name of at most {MAX_NAME} characters.")
    if case.get("expect") not in list(Outcome):
        raise CaseError(f"Test {name!r} must expect allow, review or deny.")
    if case.get("kind") not in _KINDS:
        raise CaseError(f"Test {name!r} must be about a program, a call or a request.")
    if not _is_signable(case):
        raise CaseError(
            f"Test {name!r}: signatures are of a test that expects review, each a role with a"
            f" number from 1 to {MAX_QUORUM}."
        )
    if case["kind"] == "program" and not 1 <= len(str(case.get("code", ""))) <= MAX_CODE:
        raise CaseError(f"Test {name!r} needs a program of at most {MAX_CODE:,} characters.")
    if case["kind"] == "call" and not isinstance(case.get("arguments"), Mapping):
        raise CaseError(f"Test {name!r} needs the arguments of the call as a JSON object.")
    if case["kind"] == "request":
        try:
            requests.restore(case["request"])
        except (KeyError, ValueError) as error:
            raise CaseError(f"Test {name!r} holds no request that was stored: {error}") from error
    return dict(case)


def _is_signable(case: Mapping[str, Any]) -> bool:
    wanted = case.get("signatures", [])
    return isinstance(wanted, list) and (not wanted or case["expect"] == Outcome.REVIEW) and all(
        isinstance(seat, Mapping)
        and isinstance(seat.get("role"), str)
        and type(seat.get("quorum")) is int
        and 1 <= seat["quorum"] <= MAX_QUORUM
        and seat.get("factor", "") in ("", TOTP)
        for seat in wanted
    )  # fmt: skip


def _wanted(case: Mapping[str, Any]) -> Requirement:
    seats = case.get("signatures", [])
    factors = {str(seat.get("factor", "")) for seat in seats}
    quorums = tuple(sorted((str(seat["role"]), int(seat["quorum"])) for seat in seats))
    return Requirement(quorums, TOTP if TOTP in factors else "")


def check(cases: Sequence[Mapping[str, Any]], policies: PolicySet) -> list[Checked]:
    """Run every case; none of them raises."""
    return [_check(case, policies) for case in cases]


def _check(case: Mapping[str, Any], policies: PolicySet) -> Checked:
    try:
        good = validated(case)
    except CaseError as error:
        name, expected = str(case.get("name", "")), str(case.get("expect", ""))
        return Checked(name, str(case.get("kind", "")), expected, problem=str(error))
    found = Checked(good["name"], good["kind"], good["expect"], signatures=_wanted(good))
    try:
        return replace(found, got=_decide(good, policies))
    except CaseError as error:
        return replace(found, problem=str(error))


def _decide(case: Mapping[str, Any], policies: PolicySet) -> Decision:
    if case["kind"] == "program":
        imports = DEFAULT_IMPORTS | frozenset(map(str, case.get("imports", ())))
        facts = extract(case["code"], tools=policies.tools, allowed_imports=imports)
        return judge(RunContext(now=_NOON), facts, policies.tools, policies).decision
    if case["kind"] == "request":
        return decide(today(requests.restore(case["request"]), policies), policies)
    specs = {tool.name: tool for tool in policies.tools}
    spec = specs.get(str(case["tool"]))
    if spec is None:
        raise CaseError(f"There is no tool {case['tool']} any more.")
    return decide(_call(case, spec), policies)


def today(request: Request, policies: PolicySet) -> Request:
    """A past request as if its tool were called now, in the version that is registered now.

    Raises:
        CaseError: there is no such tool any more.
    """
    if request.tool is None:
        return request
    version = policies.versions.get(request.tool[0])
    if version is None:
        raise CaseError(f"There is no tool {request.tool[0]} any more.")
    return request if version == request.tool[1] else _in_version(request, version)


def _in_version(request: Request, version: str) -> Request:
    name = request.tool[0] if request.tool else ""
    return Request(
        request.action,
        request.principal,
        request.resource,
        request.context,
        request.entities,
        request.problems,
        (name, version),
        request.unknown,
    )


def _call(case: Mapping[str, Any], spec: ToolSpec) -> Request:
    source = case.get("origin", TASK)
    origin = Origin(
        frozenset({f"{TOOL}any" if source == "tool" else str(source)}),
        frozenset(map(str, case.get("labels", ()))),
    )
    seen = frozenset(map(str, case.get("seen", ())))
    arguments = {str(name): value for name, value in case["arguments"].items()}
    ctx = RunContext(control_labels=seen, used_tools=frozenset({spec.name}), now=_NOON)
    return requests.call(ctx, spec, arguments, dict.fromkeys(arguments, origin), seen=seen)
