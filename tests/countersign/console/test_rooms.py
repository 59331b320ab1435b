"""Overview, registry, policies, log and people."""

from datetime import UTC, datetime
from hashlib import sha256

from agents.models import AgentVersion, EffectSpend
from agents.registry import register
from audit import selectors as audit
from audit.models import Verification
from audit.selectors import ActorRow
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.console.audit_forms import AuditFilter
from policies.services import policy_draft
from tests.agents.tools.http_service import DOCUMENT, Service, register_text
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.test_runs import text
from tests.countersign.console.world import LATER_CHANGES, LATER_TOOL, World, make_tool


def test_the_overview_shows_what_waits_what_runs_and_what_is_in_doubt(
    world: World, log_in: LogIn
) -> None:
    page = text(log_in("bob").get("/w/acme/").content.decode())
    assert "1 ◆ for you to sign" in page
    assert "3 runs not ended" in page
    assert "The worker stopped during the call." in page
    assert "List what Van Dijk still owes us." in page
    assert "Policy version 1 is in force" in page


def test_an_empty_workspace_says_what_to_do_next(cast: Cast, log_in: LogIn) -> None:
    client = log_in("alice")
    for address, words in (
        ("runs/", "No run yet."),
        ("runs/start/", "manage.py register"),
        ("approvals/?show=all", "Nothing waits for a signature."),
        ("agents/", "manage.py register"),
        ("tools/", "manage.py register"),
        ("models/", "manage.py register"),
        ("", "No run is under way."),
    ):
        assert words in client.get(f"/w/acme/{address}").content.decode()


def test_versions_of_a_tool_show_what_changed(world: World, log_in: LogIn) -> None:
    with in_workspace(world.workspace_id):
        make_tool(world.cast, *LATER_TOOL, **LATER_CHANGES)
    client = log_in("alice")
    page = text(client.get("/w/acme/tools/create_payment/").content.decode())
    assert "Critical" in page
    assert "What changed since v1" in page
    assert "removed: tier: 3" in page
    assert "added: tier: 4" in page
    assert "Every call, at least: ◆ waits for two reviewers" in page
    assert "Ask one policy officer to countersign a call of create_payment when" in page
    old = text(client.get("/w/acme/tools/create_payment/v1/").content.decode())
    assert "Every call, at least" not in old
    assert "What changed since" not in old
    assert client.get("/w/acme/tools/create_payment/v3/").status_code == 404
    assert client.get("/w/acme/tools/nothing/").status_code == 404


def test_an_agent_shows_model_tools_limits_and_instructions(world: World, log_in: LogIn) -> None:
    page = text(log_in("dan").get("/w/acme/agents/Accounts%20payable/").content.decode())
    for words in ("scripted model", "◆ writes", "✕ untrusted", "2.00 EUR", "Match by order"):
        assert words in page
    assert AgentVersion.objects.count() == 0  # nothing is readable outside a workspace's block


def test_a_model_shows_the_reference_of_its_key(world: World, log_in: LogIn) -> None:
    page = text(log_in("dan").get("/w/acme/models/scripted/").content.decode())
    assert "http://127.0.0.1:8089/v1" in page
    assert "plays a recording over HTTP" in page


def test_the_policy_in_force_is_told_as_sentences(world: World, log_in: LogIn) -> None:
    page = text(log_in("carol").get("/w/acme/policies/").content.decode())
    assert "The policy in force" in page
    assert "recipient-not-from-untrusted" in page
    assert "✕ refused" in page
    assert "✓ allowed" in page
    assert "With the tools registered today" not in page


def test_a_draft_of_a_policy_shows_its_difference(world: World, log_in: LogIn) -> None:
    text_of = '@id("start-run")\npermit(principal, action == Action::"start_run", resource);\n'
    policy_draft(
        workspace_id=world.workspace_id, author=world.cast.actor("carol"), text=text_of, note="Less"
    )
    client = log_in("carol")
    page = text(client.get("/w/acme/policies/v2/").content.decode())
    assert "○ draft" in page
    assert "What changed since version 1" in page
    assert client.get("/w/acme/policies/v9/").status_code == 404


def test_the_log_is_searched_and_each_entry_opened(world: World, log_in: LogIn) -> None:
    client = log_in("dan")
    page = client.get("/w/acme/audit/?action=approval.requested").content.decode()
    assert page.count("<tr>") == 2
    [entry] = audit.entries(
        world.workspace_id, audit.Filters(actions=("approval.requested",))
    ).entries
    opened = text(client.get(f"/w/acme/audit/{entry.id}/").content.decode())
    assert bytes(entry.leaf_hash).hex() in opened
    assert str(world.runs["waiting"].id) in opened
    none = client.get("/w/acme/audit/?actor=nobody").content.decode()
    assert "No entry matches." in none
    bad = client.get("/w/acme/audit/?run=not-an-id&since=never").content.decode()
    assert "Enter a valid" in bad


def test_a_check_of_the_log_shows_how_far_it_is_and_what_it_found(
    world: World, log_in: LogIn
) -> None:
    client = log_in("dan")
    address = client.post("/w/acme/audit/verify/").headers["Location"]
    waiting = client.get(address).content.decode()
    assert "Waiting for a worker." in waiting
    assert "hx-trigger" in waiting
    [check] = audit.verifications(world.workspace_id)

    def shown(**values: object) -> str:
        with in_workspace(world.workspace_id):
            Verification.objects.filter(id=check.id).update(**values)
        return text(client.get(f"{address}?live").content.decode())

    assert "20 of 40 entries" in shown(state="running", done=20, total=40)
    done = shown(state="done", done=40, finished_at=check.requested_at, root="ab" * 32)
    assert "The log is whole" in done
    finding = {
        "check": "links",
        "sentence": "Entry 3 names no entry.",
        "position": 3,
        "entry": None,
    }
    assert "Entry 3 names no entry." in shown(found=1, findings=[finding])
    assert "✕ 1 finding" in text(client.get("/w/acme/audit/").content.decode())


def test_an_entry_of_another_workspace_is_not_there(world: World, log_in: LogIn) -> None:
    [entry] = audit.entries(world.workspace_id, limit=1).entries
    assert log_in("mallory").get(f"/w/other/audit/{entry.id}/").status_code == 404


def test_people_and_their_roles_are_shown_and_addresses_to_administrators_only(
    cast: Cast, log_in: LogIn
) -> None:
    bobs = log_in("bob").get("/w/acme/people/").content.decode()
    assert "reviewer: security" in bobs
    assert "beth@example.org" not in bobs
    assert "mallory" not in bobs.lower()
    adas = log_in("ada").get("/w/acme/people/").content.decode()
    assert "beth@example.org" in adas
    assert "No service account." in adas


def test_a_missing_role_is_refused_with_a_sentence(cast: Cast, log_in: LogIn) -> None:
    page = log_in("alice").get("/w/acme/audit/")
    assert page.status_code == 403
    assert "You need the role auditor to read the audit log." in page.content.decode()


def test_a_form_without_its_token_changes_nothing(world: World, log_in: LogIn) -> None:
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(world.cast.user("alice"), "django.contrib.auth.backends.ModelBackend")
    response = client.post(f"/w/acme/runs/{world.runs['running'].id}/stop/", {"reason": "x"})
    assert response.status_code == 403
    assert "This form is out of date" in response.content.decode()


def test_a_tool_over_http_shows_where_its_calls_go(cast: Cast, log_in: LogIn) -> None:
    service = Service(port=8443)
    register(
        workspace_id=cast.acme.id,
        text=register_text(service, hosts="[ledger.example]"),
        documents={"ledger.yaml": DOCUMENT},
        actor=Actor("system", "test", "the test"),
    )
    page = text(log_in("dan").get("/w/acme/tools/create_payment/").content.decode())
    for words in (
        "POST http://127.0.0.1:8443/v1/payments",
        "127.0.0.1:8443 may be private",
        "bearer from env:LEDGER_TOKEN",
        "sent as Idempotency-Key",
        "createPayment of ledger.yaml",
        sha256(DOCUMENT.encode()).hexdigest(),
    ):
        assert words in page


def test_an_agent_shows_its_budgets_with_what_is_used_today(world: World, log_in: LogIn) -> None:
    with in_workspace(world.workspace_id):
        EffectSpend.objects.create(
            workspace_id=world.workspace_id,
            agent=world.version.agent,
            call=world.doubt,
            day=datetime.now(UTC).date(),
            currency="EUR",
            amount_minor=25_000,
            recipients=["de01"],
        )
    page = text(log_in("dan").get("/w/acme/agents/Accounts%20payable/").content.decode())
    assert "Writes 1 2 % 50 this agent ◆ asks for more signatures" in page
    assert "Money moved in EUR 250.00 EUR 25 % 1,000.00 EUR this agent" in page
    assert "Recipients 1 11 % 9 all agents here ■ stops the effect" in page


def test_all_they_did_names_the_person(world: World, log_in: LogIn) -> None:
    alice = world.cast.id("alice")
    page = log_in("dan").get(f"/w/acme/audit/?actor={alice}").content.decode()
    assert 'name="actor" value="Alice"' in page
    assert f'value="{alice}"' not in page
    assert "actor=Alice" in page  # in the links that go on with this search


def test_of_two_with_one_name_each_is_found_alone() -> None:
    rows = [ActorRow("u-1", "user", "Alex"), ActorRow("u-2", "user", "Alex")]
    for row in rows:
        form = AuditFilter({"actor": row.id}, actions=(), actors=rows, tools=())
        assert form.chosen()["actor"] == f"Alex ({row.id})"
        assert form.search().actors == (row.id,)
        again = AuditFilter({"actor": f"Alex ({row.id})"}, actions=(), actors=rows, tools=())
        assert again.search().actors == (row.id,)
    both = AuditFilter({"actor": "alex"}, actions=(), actors=rows, tools=())
    assert both.search().actors == ("u-1", "u-2")


def test_an_entry_names_the_versions_that_it_holds_hashes_of(world: World, log_in: LogIn) -> None:
    version = world.version
    with in_workspace(world.workspace_id):
        detail = {
            "agent_version": version.digest,
            "model_version": version.endpoint.digest,
            "tool_version": "0" * 64,
        }
        record(
            world.workspace_id,
            [Draft("run.noted", world.cast.actor("alice"), Subject("note", "1"), detail=detail)],
        )
    [entry] = audit.entries(world.workspace_id, limit=1).entries
    page = log_in("dan").get(f"/w/acme/audit/{entry.id}/").content.decode()
    assert f'/agents/Accounts%20payable/v{version.number}/">Accounts payable v7</a>' in page
    assert f"sha256:{version.digest[:12]}…" in page
    assert '/models/scripted/v1/">scripted v1</a>' in page
    assert "0" * 64 in page  # what nothing is registered under stays as it is
