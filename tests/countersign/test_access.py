"""One table: every address of the console, who asks, what they get.

An address missing from the table fails. 404 is for strangers to the workspace, 403 for members
without the role, 302 to the login for nobody. What the API answers to whom has its own table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from agents import registry
from agents.kill_switches.service import kill_set
from agents.models import KillScope, KillSwitch
from agents.replay.service import replay_ask
from audit import selectors
from audit.export.scope import Kind, Scope
from audit.exports import request_export
from audit.services import Draft, Subject, record
from audit.transactions import in_workspace
from audit.verification import request_verification
from countersign.accounts.models import User
from countersign.accounts.services.workspace import COMMAND_LINE
from countersign.console import urls
from policies.models import ApprovalRequest, PolicySimulation
from policies.selectors import active_policy
from policies.services import Change, change_request, policy_simulate
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.world import World, make_world

MEMBERS = ("alice", "bob", "carol", "dan", "ada")
OPERATOR, AUDITOR = ("alice",), ("dan",)
STOPPERS = ("alice", "bob", "ada")
KILLERS, LIFTERS = ("alice", "bob", "carol", "ada"), ("carol", "ada")
SETTLERS = ("alice", "bob")
PROPOSERS = ("alice", "ada")
OFFICER = ("carol",)
ADMINISTRATOR = ("ada",)
NOBODY = ""

OK, MOVED, FORBIDDEN, MISSING, WRONG_METHOD, INVALID = 200, 302, 403, 404, 405, 422


@dataclass(frozen=True)
class Row:
    """What an address answers: to a GET, and to a POST without content.

    Attributes:
        who: members who get `get` or `post`; other members get 403.
        get: status of a GET, 405 where there is none.
        post: status of an empty POST, 405 where there is none.
        get_by: members who may GET, where they are not `who`.
    """

    name: str
    who: tuple[str, ...] = MEMBERS
    get: int = OK
    post: int = WRONG_METHOD
    get_by: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)

    def expected(self, username: str, method: str) -> int:
        status = self.get if method == "GET" else self.post
        if status == WRONG_METHOD:
            return WRONG_METHOD
        if username == NOBODY:
            return MOVED
        if username == "mallory":
            return MISSING
        allowed = (self.get_by or self.who) if method == "GET" else self.who
        return status if username in allowed else FORBIDDEN


AGENT, TOOL, MODEL = {"name": "Accounts payable"}, {"name": "create_payment"}, {"name": "scripted"}
RUN = {"run_id": "waiting"}
FILE = {**RUN, "artifact_id": "file"}
REQUEST = {"request_id": "request"}
V1 = {"number": "1"}
TIER_2 = {**V1, "rule": "tier-2"}
PERSON = {"user_id": "person"}
EXPORT = {"export_id": "export"}

TABLE = (
    Row("overview"),
    Row("run_list"),
    Row("run_choose", who=OPERATOR),
    Row("run_start", who=OPERATOR, post=OK, arguments={"agent": "Accounts payable"}),
    Row("run_detail", arguments=RUN),
    Row("run_live", arguments=RUN),
    Row("run_stop", who=STOPPERS, post=MOVED, arguments={"run_id": "running"}),
    Row("run_replays", who=("alice", "dan"), get_by=MEMBERS, post=MOVED, arguments=RUN),
    Row("run_replay", arguments={**RUN, "replay_id": "replay"}),
    Row("run_step", arguments={**RUN, "number": "3"}),
    Row("run_file", arguments=FILE),
    Row("run_file_image", arguments=FILE),
    Row("run_file_download", arguments=FILE),
    Row(
        "run_call",
        who=SETTLERS,
        get_by=MEMBERS,
        post=OK,
        arguments={"run_id": "doubt", "call_id": "call"},
    ),
    Row(
        "run_call_unmask",
        get=WRONG_METHOD,
        post=OK,
        arguments={"run_id": "doubt", "call_id": "call"},
    ),
    Row("approval_list"),
    Row("approval_card", arguments=REQUEST),
    Row("approval_live", arguments=REQUEST),
    Row("approval_unmask", get=WRONG_METHOD, post=OK, arguments=REQUEST),
    # Who may sign is the service's to say, and it records whom it refused.
    Row("approval_sign", get=MOVED, post=INVALID, arguments=REQUEST),
    Row("approval_reject", get=MOVED, post=INVALID, arguments=REQUEST),
    Row("approval_ask", post=OK, arguments=REQUEST),
    Row("approval_edit", post=INVALID, arguments=REQUEST),
    Row("approval_reassign", post=INVALID, arguments=REQUEST),
    Row(
        "approval_withdraw",
        who=OPERATOR,
        post=INVALID,
        arguments={"request_id": "change"},
    ),
    Row("approval_inform", get=WRONG_METHOD, post=MOVED, arguments=REQUEST),
    Row("agent_list"),
    Row("registry_propose", who=PROPOSERS, post=INVALID),
    Row("agent_propose", who=PROPOSERS, post=INVALID, arguments=AGENT),
    Row("agent_detail", arguments=AGENT),
    Row("agent_version", arguments={**AGENT, "number": "7"}),
    Row("tool_list"),
    Row("tool_detail", arguments=TOOL),
    Row("tool_version", arguments={**TOOL, "number": "1"}),
    Row("model_list"),
    Row("model_detail", arguments=MODEL),
    Row("model_version", arguments={**MODEL, "number": "1"}),
    Row("policy_detail"),
    Row("policy_version", arguments=V1),
    # Who may edit and submit is the service's to say, and it records whom it refused.
    Row("policy_start", who=OFFICER, get=WRONG_METHOD, post=MOVED, arguments=V1),
    Row("policy_submit", who=OFFICER, get=WRONG_METHOD, post=MOVED, arguments=V1),
    Row("policy_simulate", who=OFFICER, get=WRONG_METHOD, post=MOVED, arguments=V1),
    Row("policy_simulation", arguments={"simulation_id": "simulation"}),
    Row("policy_text", who=OFFICER, post=INVALID, arguments=V1),
    Row("policy_rule_choose", who=OFFICER, arguments=V1),
    Row("policy_rule_add", who=OFFICER, post=INVALID, arguments={**V1, "kind": "amount"}),
    Row("policy_rule_edit", who=OFFICER, get=MOVED, post=MOVED, arguments=TIER_2),
    # The rule of the starter policy is enforced, so there is no trial of it.
    Row("policy_trial", get=MISSING, arguments=TIER_2),
    Row("policy_rule_change", get=WRONG_METHOD, post=MOVED, arguments=TIER_2),
    Row("policy_invariant_add", who=OFFICER, post=INVALID, arguments={**V1, "kind": "amount"}),
    Row("policy_invariant_remove", get=WRONG_METHOD, post=MISSING, arguments={**V1, "place": "9"}),
    Row("policy_test_add", who=OFFICER, post=INVALID, arguments=V1),
    Row(
        "policy_test_remove",
        who=OFFICER,
        get=WRONG_METHOD,
        post=MOVED,
        arguments={**V1, "place": "0"},
    ),
    Row("audit_list", who=AUDITOR),
    Row("audit_entry", who=AUDITOR, arguments={"entry_id": "entry"}),
    Row(
        "audit_payload", who=AUDITOR, get=WRONG_METHOD, post=MOVED, arguments={"entry_id": "entry"}
    ),
    Row("audit_proof", who=AUDITOR, get=MISSING, arguments={"entry_id": "entry"}),
    Row("audit_checkpoints", who=AUDITOR),
    Row("audit_checkpoint", who=AUDITOR, get=MISSING, arguments={"size": "1"}),
    Row("audit_verifier", who=AUDITOR),
    Row("audit_exports", who=AUDITOR, post=OK),
    Row("audit_export", who=AUDITOR, arguments=EXPORT),
    Row("audit_export_again", who=AUDITOR, get=WRONG_METHOD, post=MOVED, arguments=EXPORT),
    Row("audit_download", who=AUDITOR, get=MOVED, arguments={**EXPORT, "form": "bundle"}),
    Row("audit_verify", who=AUDITOR, get=WRONG_METHOD, post=MOVED),
    Row("audit_report", who=AUDITOR, arguments={"verification_id": "check"}),
    Row("person_list"),
    Row("person_add", who=ADMINISTRATOR, post=INVALID),
    Row("person_roles", who=ADMINISTRATOR, post=INVALID, arguments=PERSON),
    Row("person_remove", who=ADMINISTRATOR, get=WRONG_METHOD, post=INVALID, arguments=PERSON),
    Row("person_factor", who=ADMINISTRATOR, get=WRONG_METHOD, post=INVALID, arguments=PERSON),
    Row("kill_switch_list"),
    # Who may stop and lift is the service's to say as well, and it records whom it refused.
    Row("kill_switch_set", get_by=KILLERS, post=INVALID),
    Row("kill_switch_lift", get_by=LIFTERS, post=INVALID, arguments={"switch_id": "switch"}),
)
OUTSIDE = {"home", "login", "login_code", "logout", "password", "factor"} | {
    f"factor_{act}" for act in ("begin", "confirm", "remove", "recovery_codes")
}
"""Addresses of no workspace: `test_addresses_outside_a_workspace` has their table."""


@pytest.fixture
def cast(cast: Cast) -> Cast:
    # The one-time passwords were changed long ago.
    User.objects.update(must_change_password=False)
    return cast


@pytest.fixture
def world(cast: Cast) -> World:
    return make_world(cast)


def names(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern.url_patterns)
        else:
            yield str(pattern.name)


def test_every_address_of_the_console_stands_in_the_table() -> None:
    found = list(names(urls.urlpatterns))
    assert sorted(found) == sorted([row.name for row in TABLE] + list(OUTSIDE))


def test_the_project_has_no_address_beside_console_api_and_health() -> None:
    ours = {"", "api/v1/", "healthz", "readyz"}
    found = set()
    for pattern in get_resolver().url_patterns:
        found |= (
            {str(part.pattern) for part in pattern.url_patterns}
            if isinstance(pattern, URLResolver) and pattern.namespace != "console"
            else {str(pattern.pattern)}
        )
    assert found <= ours


def test_every_address_answers_everybody_as_the_table_says(world: World) -> None:
    ids = known_ids(world)
    wrong = []
    for username in (NOBODY, *MEMBERS, "mallory"):
        client = browser(world.cast, username)
        for row in TABLE:
            arguments = {name: ids.get(value, value) for name, value in row.arguments.items()}
            address = reverse(f"console:{row.name}", kwargs={"slug": "acme", **arguments})
            for method in ("GET", "POST"):
                status = client.generic(method, address).status_code
                expected = row.expected(username, method)
                if status != expected:
                    wrong.append((username or "nobody", method, row.name, status, expected))
    assert wrong == []


def test_an_object_of_another_workspace_is_not_there(world: World) -> None:
    ids = known_ids(world)
    client = browser(world.cast, "mallory")
    wrong = []
    for row in TABLE:
        # Every workspace has a first version of its policy.
        if not row.arguments or (row.name.startswith("policy_") and "number" in row.arguments):
            continue
        arguments = {name: ids.get(value, value) for name, value in row.arguments.items()}
        address = reverse(f"console:{row.name}", kwargs={"slug": "other", **arguments})
        for method in ("GET", "POST"):
            status = client.generic(method, address).status_code
            if status not in (MISSING, WRONG_METHOD):
                wrong.append((method, row.name, status))
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "nobody", "member", "post"),
    [
        ("home", MOVED, MOVED, WRONG_METHOD),
        ("login", OK, MOVED, MOVED),
        # Without the ticket that a right password gives it leads back to the login.
        ("login_code", MOVED, MOVED, MOVED),
        ("logout", WRONG_METHOD, WRONG_METHOD, MOVED),
        ("password", MOVED, OK, OK),
        ("factor", MOVED, OK, WRONG_METHOD),
        ("factor_begin", WRONG_METHOD, WRONG_METHOD, INVALID),
        ("factor_confirm", WRONG_METHOD, WRONG_METHOD, MOVED),
        ("factor_remove", WRONG_METHOD, WRONG_METHOD, INVALID),
        ("factor_recovery_codes", WRONG_METHOD, WRONG_METHOD, INVALID),
    ],
)
def test_addresses_outside_a_workspace(
    cast: Cast, name: str, nobody: int, member: int, post: int
) -> None:
    address = reverse(f"console:{name}")
    assert Client().get(address).status_code == nobody
    assert browser(cast, "alice").get(address).status_code == member
    assert browser(cast, "alice").post(address).status_code == post


PLATFORM_ROWS = [row for row in TABLE if row.who == AUDITOR]
"""Pages of the platform's own log: for those the settings name, whatever else they are."""


@pytest.mark.parametrize("named", [[], ["DAN"]])
def test_the_platforms_log_is_for_those_the_settings_name(
    world: World, settings: LazySettings, named: list[str]
) -> None:
    settings.COUNTERSIGN_PLATFORM_AUDITORS = named
    ids = platform_ids(world)
    wrong = []
    for username in (NOBODY, "ada", "dan", "mallory"):
        client = browser(world.cast, username)
        may = username.upper() in named
        # What is not there for those it is for, is there for nobody.
        for row in TABLE if may else PLATFORM_ROWS:
            arguments = {name: ids.get(value, value) for name, value in row.arguments.items()}
            address = reverse(f"console:{row.name}", kwargs={"slug": "platform", **arguments})
            for method in ("GET", "POST"):
                status = client.generic(method, address).status_code
                expected = as_platform(row, username, method, may=may)
                if status != expected:
                    wrong.append((username or "nobody", method, row.name, status, expected))
    assert wrong == []


def as_platform(row: Row, username: str, method: str, *, may: bool) -> int:
    """What an address answers under the platform's name: its log's, and nothing else's."""
    status = row.expected("dan", method) if row in PLATFORM_ROWS else MISSING
    if row.expected("alice", method) == WRONG_METHOD:
        return WRONG_METHOD
    if username == NOBODY:
        return MOVED
    if row.name == "overview" and may:
        return MOVED
    return status if may else MISSING


def platform_ids(world: World) -> dict[str, Any]:
    """The platform's own of what a workspace's log has."""
    with in_workspace(None):
        record(None, [Draft("note.taken", COMMAND_LINE, Subject("note", "1"))])
    [entry] = selectors.entries(None, limit=1).entries
    scope = Scope(Kind.WORKSPACE)
    return {
        # Of what only workspaces have, any id will do.
        **dict.fromkeys(known_ids(world), uuid4()),
        "entry": entry.id,
        "export": request_export(None, scope, payloads=False, actor=COMMAND_LINE).id,
        "check": request_verification(None, COMMAND_LINE).id,
    }


def test_another_workspaces_entries_are_not_in_the_platforms_log(
    world: World, settings: LazySettings
) -> None:
    settings.COUNTERSIGN_PLATFORM_AUDITORS = ["dan"]
    ids, client = known_ids(world), browser(world.cast, "dan")
    for name, key in (("audit_entry", "entry"), ("audit_export", "export")):
        argument = next(row for row in TABLE if row.name == name).arguments
        [parameter] = argument
        address = reverse(f"console:{name}", kwargs={"slug": "platform", parameter: ids[key]})
        assert client.get(address).status_code == MISSING


def browser(cast: Cast, username: str) -> Client:
    client = Client()
    if username:
        client.force_login(cast.user(username), "django.contrib.auth.backends.ModelBackend")
    return client


def asked_by(world: World, username: str) -> UUID:
    """A change that somebody asked for."""
    asked = change_request(
        workspace_id=world.workspace_id,
        requester=world.cast.actor(username),
        change=Change(
            kind="registry",
            title="More steps",
            notice="A change waits.",
            tier=3,
            binding={"change": "registry"},
            displayed={"headline": "More steps"},
            kinds=["agent"],
        ),
        now=datetime.now(UTC),
        tools=registry.tool_specs(world.workspace_id),
    )
    assert isinstance(asked, ApprovalRequest), asked
    return asked.id


def known_ids(world: World) -> dict[str, Any]:
    [entry] = selectors.entries(world.workspace_id, limit=1).entries
    made = kill_set(
        workspace_id=world.workspace_id,
        scope=KillScope.TOOL,
        subject="create_payment",
        reason="It pays twice.",
        actor=world.cast.actor("alice"),
    )
    assert isinstance(made, KillSwitch)
    simulation = policy_simulate(
        workspace_id=world.workspace_id,
        version_id=active_policy(world.workspace_id).version_id,
        requester=world.cast.actor("carol"),
        days=30,
        now=datetime.now(UTC),
    )
    assert isinstance(simulation, PolicySimulation)
    return {
        "simulation": simulation.id,
        **{name: run.id for name, run in world.runs.items()},
        "request": world.request.id,
        "change": asked_by(world, "alice"),
        "call": world.doubt.id,
        "file": world.file.id,
        "person": world.cast.id("bob"),
        "entry": entry.id,
        "switch": made.id,
        "export": request_export(
            world.workspace_id,
            Scope(Kind.WORKSPACE),
            payloads=False,
            actor=world.cast.actor("dan"),
        ).id,
        "replay": replay_ask(
            workspace_id=world.workspace_id,
            run_id=world.runs["waiting"].id,
            asker=world.cast.actor("dan"),
        ).id,
        "check": request_verification(world.workspace_id, world.cast.actor("dan")).id,
    }
