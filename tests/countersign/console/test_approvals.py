"""The queue, the card, and the ways to answer."""

import re

import pytest
from django.core.mail import EmailMessage
from django.test import Client

from agents.models import Run
from audit import canonical
from audit import selectors as audit
from audit.transactions import in_workspace
from policies.models import ApprovalRequest, Kind, Vote
from policies.tasks import notify_assignee
from tests.countersign.accounts.cast import Cast
from tests.countersign.accounts.log import actions
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.test_runs import text
from tests.countersign.console.world import World

QUEUE = "/w/acme/approvals/"


def card(world: World) -> str:
    return f"{QUEUE}{world.request.id}/"


def digest(world: World) -> str:
    return canonical.digest(world.request.displayed)


def ballot(cast: Cast, world: World, who: str, **changes: str) -> dict[str, str]:
    """What the form of someone who has read the card sends."""
    return {
        "displayed": digest(world),
        "password": cast.passwords[who],
        "meaning": "approved",
        "comment": "",
        **changes,
    }


def sign(client: Client, cast: Cast, world: World, who: str, **changes: str) -> tuple[int, str]:
    response = client.post(f"{card(world)}sign/", ballot(cast, world, who, **changes))
    return response.status_code, response.content.decode()


def votes(world: World) -> list[tuple[str, str]]:
    with in_workspace(world.workspace_id):
        return list(Vote.objects.order_by("created").values_list("user_name", "answer"))


def test_reviewers_find_what_is_theirs_and_others_why_it_is_not(
    world: World, log_in: LogIn
) -> None:
    bobs = log_in("bob").get(QUEUE).content.decode()
    assert "Create payment" in bobs
    assert "barred" not in bobs
    assert '>1<span class="sr"> for you to sign' in bobs
    alices = text(log_in("alice").get(QUEUE).content.decode())
    assert "You asked for this; someone else must sign." in alices
    assert "Nothing waits for your signature." in log_in("carol").get(QUEUE).content.decode()
    assert (
        "No request has been closed yet."
        in log_in("bob").get(f"{QUEUE}?show=closed").content.decode()
    )


def test_the_card_tells_effects_before_code_and_our_sentence_first(
    world: World, log_in: LogIn
) -> None:
    page = log_in("bob").get(card(world)).content.decode()
    parts = [
        "<h1>Accounts payable wants to",
        "The agent&#x27;s own explanation (not verified)".replace("&#x27;", "'"),
        "Needs two finance signatures",
        "What will happen",
        "Data it touches",
        "The program",
        "Sign to allow",
    ]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert '<details class="says">' in page


def test_the_card_shows_every_argument_with_its_origin(world: World, log_in: LogIn) -> None:
    page = text(log_in("bob").get(card(world)).content.decode())
    for effect in world.request.displayed["effects"][:5]:
        for name in ("payee", "account", "vendor", "reference"):
            assert effect["arguments"][name].replace("&", "&amp;") in page
    assert "9,870.50 EUR" in page
    assert "from list_invoices ; currency from the program" in page
    assert "⟦result of effect 1 · id⟧" in page
    assert "token3x1planned" not in page
    assert "24,202.70 EUR in all, largest 12,400.00 EUR, smallest 88.20 EUR" in page
    assert "← effects 1–5" in page
    assert "← effect 6" in page


def test_nothing_on_card_or_signing_page_is_focused_beforehand(world: World, log_in: LogIn) -> None:
    client = log_in("bob")
    signing = client.get(f"{card(world)}sign/?seen={digest(world)}").content.decode()
    for page in (client.get(card(world)).content.decode(), signing):
        assert "autofocus" not in page
    assert "checked" not in signing


def test_signing_opens_only_from_the_card_that_was_read(world: World, log_in: LogIn) -> None:
    client = log_in("bob")
    for query in ("", f"?seen={'0' * 64}"):
        response = client.get(f"{card(world)}sign/{query}")
        assert response.headers["Location"] == card(world)
    page = client.get(f"{card(world)}sign/?seen={digest(world)}").content.decode()
    assert world.request.title in page
    assert f'name="displayed" value="{digest(world)}"' in page


def test_two_signatures_complete_the_request_and_wake_the_run(
    cast: Cast, world: World, log_in: LogIn
) -> None:
    bob = log_in("bob")
    assert sign(bob, cast, world, "bob", comment="Checked the accounts.")[0] == 302
    page = text(bob.get(card(world)).content.decode())
    assert "Approval: ◆ 1 of 2 signed, sign by" in page
    assert "Operation: ◇ waiting, nothing has happened" in page
    assert "Bob : Checked the accounts." in page
    assert "You have already answered" in page
    assert sign(log_in("beth"), cast, world, "beth")[0] == 302
    page = text(bob.get(card(world)).content.decode())
    assert "Approval: ✓ 2 of 2 signed, valid to" in page
    assert "Operation: ◇ waiting for the worker, nothing has happened yet" in page
    assert "Sign to allow" not in page
    assert votes(world) == [("Bob", "sign"), ("Beth", "sign")]
    with in_workspace(world.workspace_id):
        assert Run.objects.get(id=world.runs["waiting"].id).state == "queued"


def test_the_requester_cannot_sign_and_the_attempt_is_recorded(
    cast: Cast, world: World, log_in: LogIn
) -> None:
    alice = log_in("alice")
    assert "Sign to allow" not in alice.get(card(world)).content.decode()
    status, page = sign(alice, cast, world, "alice")
    assert status == 403
    assert "You asked for this; someone else must sign." in page
    assert votes(world) == []
    [entry] = audit.entries(world.workspace_id, audit.Filters(actions=("vote.refused",))).entries
    assert entry.actor_name == "Alice"


@pytest.mark.parametrize(
    ("changes", "status", "sentence"),
    [
        (
            {"password": "wrong"},
            422,
            "That is not your password. Nothing was done; the attempt is in the log.",
        ),
        ({"displayed": "0" * 64}, 409, "What you were shown is not what is to be signed"),
        ({"meaning": ""}, 422, "This field is required."),
        ({"meaning": "whatever"}, 422, "Select a valid choice."),
        ({"displayed": ""}, 422, "Sign"),
    ],
)
def test_a_signature_needs_password_meaning_and_what_was_shown(
    cast: Cast, world: World, log_in: LogIn, changes: dict[str, str], status: int, sentence: str
) -> None:
    found, page = sign(log_in("bob"), cast, world, "bob", **changes)
    assert found == status
    assert sentence in page
    assert votes(world) == []


def test_one_person_signs_once(cast: Cast, world: World, log_in: LogIn) -> None:
    bob = log_in("bob")
    assert sign(bob, cast, world, "bob")[0] == 302
    status, page = sign(bob, cast, world, "bob")
    assert status == 409
    assert "You have already answered" in page
    assert len(votes(world)) == 1


def test_who_lacks_the_role_is_told_which_one(cast: Cast, world: World, log_in: LogIn) -> None:
    status, page = sign(log_in("dan"), cast, world, "dan")
    assert status == 403
    assert "Signing this needs the role" in page


def test_a_rejection_needs_a_reason_and_ends_the_request(
    cast: Cast, world: World, log_in: LogIn
) -> None:
    bob = log_in("bob")
    address = f"{card(world)}reject/"
    assert bob.post(address, ballot(cast, world, "bob")).status_code == 422
    reason = "Invoice 8850 was paid last week."
    sent = bob.post(address, ballot(cast, world, "bob", comment=reason), follow=True)
    page = text(sent.content.decode())
    assert "Your rejection is recorded." in page
    assert "Approval: ✕ rejected by Bob" in page
    assert "Operation: – nothing happened and nothing will" in page
    assert reason in page
    closed = text(bob.get(f"{QUEUE}?show=closed").content.decode())
    assert "rejected" in closed


def test_a_question_is_answered_beside_the_request(cast: Cast, world: World, log_in: LogIn) -> None:
    bob, alice = log_in("bob"), log_in("alice")
    asked = bob.post(f"{card(world)}ask/", {"text": "Why 8850 twice?"}, follow=True)
    assert "Your question is recorded." in asked.content.decode()
    page = alice.get(card(world)).content.decode()
    assert "Why 8850 twice?" in page
    assert "Answer the question" in page
    refused = alice.post(f"{card(world)}ask/", {"text": "Hm?"})
    assert refused.status_code == 403
    told = alice.post(f"{card(world)}answer/", {"text": "It is another order."}, follow=True)
    assert "It is another order." in told.content.decode()
    late = alice.post(f"{card(world)}answer/", {"text": "Also this."})
    assert late.status_code == 409


def test_the_live_lines_are_the_part_of_the_card(world: World, log_in: LogIn) -> None:
    bob = log_in("bob")
    lines = bob.get(f"{card(world)}live/").content.decode().strip()
    assert lines in bob.get(card(world)).content.decode()
    assert re.search(r'hx-get="[^"]+/live/"', lines)


def test_a_request_that_was_replaced_leads_to_the_newer_one(world: World, log_in: LogIn) -> None:
    from datetime import UTC, datetime, timedelta

    from policies.services import RequestDraft, approval_request

    old = world.request
    moment = datetime.now(UTC)
    with in_workspace(world.workspace_id):
        newer = approval_request(
            workspace_id=world.workspace_id,
            now=moment,
            draft=RequestDraft(
                kind=Kind(old.kind),
                title="Newer.",
                tier=3,
                agent_name=old.agent_name,
                binding={"again": True},
                requirement=old.requirement,
                requester=world.cast.actor("alice"),
                displayed=old.displayed,
                policy_version_id=old.policy_version_id,
                run_id=old.run_id,
                step=old.step,
                sign_by=moment + timedelta(hours=1),
                execute_by=moment + timedelta(hours=2),
                supersedes=old.id,
            ),
        )
        assert ApprovalRequest.objects.get(id=old.id).state == "superseded"
    page = log_in("bob").get(card(world)).content.decode()
    assert f"/w/acme/approvals/{newer.id}/" in page
    assert "out of date" in page


def test_handing_on_asks_someone_who_may_sign(world: World, log_in: LogIn) -> None:
    bob = log_in("bob")
    page = bob.get(f"{card(world)}hand-on/").content.decode()
    assert "Beth" in page
    assert "Rita" in page
    assert ">Bob<" not in page.split("<main", 1)[1]
    assert "Carol" not in page
    beth = str(world.cast.id("beth"))
    given = {"to": beth, "reason": "She knows them."}
    assert bob.post(f"{card(world)}hand-on/", {"to": beth}).status_code == 422
    done = bob.post(f"{card(world)}hand-on/", given, follow=True).content.decode()
    assert "Handed on, with an e-mail." in done
    assert "Reassigned: Beth: She knows them." in text(done)
    assert "handed to you" in log_in("beth").get(QUEUE).content.decode()
    refused = log_in("alice").post(f"{card(world)}hand-on/", given)
    assert refused.status_code == 403


def test_handing_on_to_a_group_asks_those_of_it_who_may_sign(world: World, log_in: LogIn) -> None:
    page = text(log_in("bob").get(f"{card(world)}hand-on/").content.decode())
    assert "Reviewers of finance who may sign it: Beth and Rita" in page
    assert "Reviewers of security who may sign it: Rita" in page
    given = {"to": "reviewer:security", "reason": "New supplier."}
    done = log_in("bob").post(f"{card(world)}hand-on/", given, follow=True).content.decode()
    assert "Reassigned: reviewers of security: New supplier." in text(done)
    assert "handed to your group" in log_in("rita").get(QUEUE).content.decode()
    assert "handed to your group" not in log_in("beth").get(QUEUE).content.decode()
    strange = {"to": "reviewer:elsewhere", "reason": "Friends."}
    assert log_in("bob").post(f"{card(world)}hand-on/", strange).status_code == 422


def test_a_handed_request_is_mailed_once_without_personal_data(
    world: World, log_in: LogIn, mailoutbox: list[EmailMessage]
) -> None:
    given = {"to": str(world.cast.id("beth")), "reason": "She knows them."}
    log_in("bob").post(f"{card(world)}hand-on/", given)
    notify_assignee(str(world.workspace_id), str(world.request.id))
    [mail] = mailoutbox
    assert mail.to == ["beth@example.org"]
    assert mail.subject.startswith("Handed to you: High risk")
    assert "Alice" not in f"{mail.subject} {mail.body}"
    assert "approval.handed_on" in actions(world.workspace_id)


def test_editing_offers_the_program_or_the_effects_one_by_one(world: World, log_in: LogIn) -> None:
    bob = log_in("bob")
    page = bob.get(f"{card(world)}edit/").content.decode()
    assert "for invoice in due:" in page
    assert "You cannot sign anything of this run any more." in page
    effects = bob.get(f"{card(world)}edit/?from=effects").content.decode()
    assert "effect_1 = create_payment(" in effects
    wrong = bob.post(f"{card(world)}edit/", {"code": "made = [", "reason": "Too many."})
    assert wrong.status_code == 422
    assert "This is not Python, line 1" in wrong.content.decode()
    assert log_in("alice").post(
        f"{card(world)}edit/", {"code": "made = []", "reason": "Mine."}
    ).status_code == 403  # fmt: skip


def test_an_edited_request_says_that_it_was_superseded(world: World, log_in: LogIn) -> None:
    bob = log_in("bob")
    given = {"code": "made = []", "reason": "Nothing is due."}
    page = text(bob.post(f"{card(world)}edit/", given, follow=True).content.decode())
    assert "Your program takes its place" in page
    assert "Edited: Nothing is due." in page
    with in_workspace(world.workspace_id):
        assert ApprovalRequest.objects.get(id=world.request.id).state == "superseded"
        assert Run.objects.get(id=world.runs["waiting"].id).state == "queued"


def test_a_question_stands_on_the_overview_of_whoever_asked_for_the_request(
    world: World, log_in: LogIn
) -> None:
    alice = log_in("alice")
    said = "A reviewer asks you something"
    assert said not in text(alice.get("/w/acme/").content.decode())
    log_in("bob").post(f"{card(world)}ask/", {"text": "Why twice?"})
    assert said in text(alice.get("/w/acme/").content.decode())
    assert said not in text(log_in("dan").get("/w/acme/").content.decode())
