"""Proposing a change in the console, signing it, and what then holds."""

import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from pytest_django import Settings

from agents import selectors
from agents.registry import register
from audit import canonical
from audit.services import Actor
from countersign.console.registry_forms import EXAMPLE
from policies import selectors as policies
from policies.models import ApprovalRequest
from tests.agents.runs.stage import REGISTER
from tests.agents.tools.http_service import DOCUMENT, Service, register_text
from tests.countersign.accounts.cast import Cast
from tests.countersign.accounts.log import last
from tests.countersign.console.conftest import LogIn
from tests.countersign.console.test_runs import text

PROPOSE = "/w/acme/agents/propose/"
RAISED = REGISTER.replace("steps: 12", "steps: 99")
FORM = "/w/acme/agents/Teller/propose/"


@pytest.fixture
def cast(cast: Cast, settings: Settings) -> Cast:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    actor = Actor("system", "test", "the test")
    register(workspace_id=cast.acme.id, text=REGISTER, actor=actor)
    return cast


def asked(cast: Cast) -> ApprovalRequest:
    [request] = policies.requests(cast.acme.id)
    return request


def steps(cast: Cast) -> tuple[int, int]:
    version = selectors.agent_versions(cast.acme.id, "Teller")[0]
    return version.number, version.limits.steps


def sign(cast: Cast, client: Client, who: str, request: ApprovalRequest | None = None) -> str:
    request = request or asked(cast)
    answer = {
        "displayed": canonical.digest(request.displayed),
        "password": cast.passwords[who],
        "meaning": "approved",
        "comment": "",
    }
    response = client.post(f"/w/acme/approvals/{request.id}/sign/", answer, follow=True)
    return text(response.content.decode())


def test_looking_first_shows_the_difference_and_stores_nothing(cast: Cast, log_in: LogIn) -> None:
    page = log_in("alice").post(PROPOSE, {"text": RAISED, "look": "1"}).content.decode()
    assert "What would change" in page
    assert "added: </span>  &quot;steps&quot;: 99" in page
    assert policies.requests(cast.acme.id) == []


def test_a_file_is_proposed_signed_and_in_force(cast: Cast, log_in: LogIn) -> None:
    response = log_in("alice").post(PROPOSE, {"text": RAISED}, follow=True)
    page = text(response.content.decode())
    assert "Nothing changes before another person signs it." in page
    assert "Agent Teller v1 → v2" in page
    assert "You asked for this; someone else must sign." in page
    assert steps(cast) == (1, 12)
    signed = sign(cast, log_in("carol"), "carol")
    assert "The change is in force." in signed
    assert "Operation: ✓ in force" in signed
    assert steps(cast) == (2, 99)


def test_what_an_agent_uses_is_said_by_name_and_number(cast: Cast, log_in: LogIn) -> None:
    """A hash alone tells nobody what they sign; all of it stands in what is signed."""
    other = REGISTER.replace("model: scripted-test", "model: scripted-other")
    log_in("alice").post(PROPOSE, {"text": other})
    fields = asked(cast).displayed["changes"][-1]["fields"]
    [model] = [each for each in fields if each["field"] == "model"]
    assert re.fullmatch(r"scripted v1, sha256:[0-9a-f]{64}", model["before"])
    assert re.fullmatch(r"scripted v2, sha256:[0-9a-f]{64}", model["after"])
    page = log_in("carol").get(f"/w/acme/approvals/{asked(cast).id}/").content.decode()
    said, digest = model["after"].split("sha256:")
    assert f'{said}<span class="mono faint" title="sha256:{digest}">' in page
    assert text(page).count(digest) == 0


def test_a_fault_is_shown_with_its_line(cast: Cast, log_in: LogIn) -> None:
    wrong = REGISTER.replace("[list_vendors,", "[nothing,")
    response = log_in("alice").post(PROPOSE, {"text": wrong})
    assert response.status_code == 422
    assert "there is no tool nothing" in response.content.decode()
    same = log_in("alice").post(PROPOSE, {"text": REGISTER})
    assert "This changes nothing" in same.content.decode()


def test_the_form_changes_what_was_changed_and_nothing_else(cast: Cast, log_in: LogIn) -> None:
    client = log_in("ada")
    page = client.get(FORM)
    form = page.context["form"] if page.context else None
    before = selectors.agent_versions(cast.acme.id, "Teller")[0]
    given = {
        "base": before.digest,
        "description": before.description,
        "goal": before.goal,
        "instructions": before.instructions,
        "model": before.endpoint.name,
        "tools": [tool.name for tool in before.tools],
        **{f"limit_{name}": value for name, value in before.limits.to_json().items()},
    }
    assert form is None or form.initial["base"] == before.digest
    assert "This changes nothing" in client.post(FORM, given).content.decode()
    response = client.post(FORM, {**given, "limit_steps": 30, "tools": ["pay"]})
    assert response.status_code == 302
    changes = asked(cast).displayed["changes"]
    assert [part["field"] for part in changes[0]["fields"]] == ["limits", "tools"]
    late = client.post(FORM, {**given, "base": "0" * 64})
    assert "has changed meanwhile" in late.content.decode()
    sign(cast, log_in("carol"), "carol")
    assert steps(cast) == (2, 30)


def test_line_ends_of_a_browser_are_nobodys_change(cast: Cast, log_in: LogIn) -> None:
    client = log_in("ada")
    form = client.get(FORM).context["form"]
    given = {**form.initial, "instructions": "Pay vendors.\r\nEach once."}
    assert client.post(FORM, given).status_code == 302
    sign(cast, log_in("carol"), "carol")
    version = selectors.agent_versions(cast.acme.id, "Teller")[0]
    assert version.instructions == "Pay vendors.\nEach once."
    again = {**given, "base": version.digest}
    assert "This changes nothing" in client.post(FORM, again).content.decode()


def test_what_is_registered_fills_the_field(cast: Cast, log_in: LogIn) -> None:
    client = log_in("alice")
    assert "instructions: Pay vendors." in client.get(f"{PROPOSE}?agent=Teller").content.decode()
    assert "tests.agents.runs.tools:pay" in client.get(f"{PROPOSE}?tool=pay").content.decode()
    assert "model: scripted-test" in client.get(f"{PROPOSE}?model=scripted").content.decode()
    assert client.get(f"{PROPOSE}?tool=nothing").status_code == 404


def test_a_proposal_whose_base_changed_says_so(cast: Cast, log_in: LogIn) -> None:
    from tests.agents.runs.stage import register_signed

    log_in("alice").post(PROPOSE, {"text": RAISED})
    register_signed(cast, REGISTER.replace("goal: Pay the vendors.", "goal: Pay nobody."))
    said = sign(cast, log_in("chris"), "chris")
    assert "The change was not made." in said
    assert "propose it again" in said
    assert steps(cast) == (2, 12)


def test_tools_over_http_are_proposed_with_their_document(cast: Cast, log_in: LogIn) -> None:
    client = log_in("alice")
    file = register_text(Service(port=8443))
    page = client.post(PROPOSE, {"text": file, "look": "1"}).content.decode()
    assert "the document ledger.yaml is not there" in page

    def document() -> "ContentFile[bytes]":
        return ContentFile(DOCUMENT.encode(), "ledger.yaml")

    given = {"text": file, "documents": [document()], "look": "1"}
    page = text(client.post(PROPOSE, given).content.decode())
    assert "POST http://127.0.0.1:8443/v1/payments" in page
    client.post(PROPOSE, {"text": file, "documents": [document()]})
    assert "The change is in force." in sign(cast, log_in("carol"), "carol")
    version = selectors.tool_versions(cast.acme.id, "create_payment")[0]
    assert (version.kind, version.number) == ("http", 1)


def test_the_page_leads_back_and_its_example_can_be_proposed(cast: Cast, log_in: LogIn) -> None:
    client = log_in("alice")
    page = client.get(PROPOSE).content.decode()
    assert 'class="crumbs"><a href="/w/acme/agents/">Agents</a>' in page
    assert "spare-1" in page
    shown = client.post(PROPOSE, {"text": EXAMPLE, "look": "1"})
    assert shown.status_code == 200, text(shown.content.decode())
    assert client.post(PROPOSE, {"text": EXAMPLE}).status_code == 302


# Taking a change back.


def withdraw(client: Client, request: ApprovalRequest, reason: str = "Too early.") -> Any:
    return client.post(f"/w/acme/approvals/{request.id}/withdraw/", {"reason": reason})


def state_of(cast: Cast, request: ApprovalRequest) -> str:
    found = policies.request(cast.acme.id, request.id)
    assert found is not None
    return found.state


def test_whoever_proposed_withdraws_it_while_it_waits(cast: Cast, log_in: LogIn) -> None:
    client = log_in("alice")
    client.post(PROPOSE, {"text": RAISED})
    request = asked(cast)
    place = f"/w/acme/approvals/{request.id}/"
    assert f'href="{place}withdraw/"' in client.get(place).content.decode()
    assert "Nobody can sign it any more" in client.get(f"{place}withdraw/").content.decode()
    assert withdraw(client, request, " ").status_code == 422
    assert state_of(cast, request) == "waiting"
    assert withdraw(client, request).headers["Location"] == place
    assert state_of(cast, request) == "cancelled"
    page = client.get(place).content.decode()
    assert "Withdrawn. Nothing of it happens." in page
    assert "withdraw/" not in page
    leaf = last(cast.acme.id, "change.withdrawn")
    assert (leaf["actor"]["name"], leaf["subject"]["id"]) == ("Alice", str(request.id))
    assert client.get(f"{place}withdraw/").headers["Location"] == place
    assert steps(cast) == (1, 12)


def test_nobody_signs_what_is_withdrawn(cast: Cast, log_in: LogIn) -> None:
    client = log_in("alice")
    client.post(PROPOSE, {"text": RAISED})
    request = asked(cast)
    assert withdraw(client, request).status_code == 302
    page = sign(cast, log_in("carol"), "carol", request)
    assert "Your signature is recorded." not in page
    assert state_of(cast, request) == "cancelled"
    assert steps(cast) == (1, 12)


@pytest.mark.parametrize("who", ["ada", "carol", "bob", "dan"])
def test_nobody_else_withdraws_it_and_who_tries_is_recorded(
    cast: Cast, log_in: LogIn, who: str
) -> None:
    log_in("alice").post(PROPOSE, {"text": RAISED})
    request, client = asked(cast), log_in(who)
    assert "withdraw/" not in client.get(f"/w/acme/approvals/{request.id}/").content.decode()
    assert client.get(f"/w/acme/approvals/{request.id}/withdraw/").status_code == 403
    refused = withdraw(client, request)
    assert refused.status_code == 403
    assert "Only whoever asked for it may withdraw it." in refused.content.decode()
    assert state_of(cast, request) == "waiting"
    assert last(cast.acme.id, "approval.refused")["detail"]["attempt"] == "withdraw"


def test_what_is_made_is_not_withdrawn(cast: Cast, log_in: LogIn) -> None:
    client = log_in("alice")
    client.post(PROPOSE, {"text": RAISED})
    request = asked(cast)
    sign(cast, log_in("carol"), "carol")
    assert steps(cast) == (2, 99)
    assert withdraw(client, request).status_code == 409
    assert state_of(cast, request) == "approved"
