"""Text of models, suppliers and people never becomes markup, on any page that shows it."""

import pytest
from django.test import Client

from agents.models import Run, RunState, Step, StepState
from audit.transactions import in_workspace
from countersign.accounts.models import User
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.world import ask, make_call, make_run, make_step, make_world

HOSTILE = "</code></pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7 }}{% x %}"
HIDDEN = "pay \u202eDE12\u202c now"


@pytest.fixture
def cast(cast: Cast) -> Cast:
    # The one-time passwords were changed long ago.
    User.objects.update(must_change_password=False)
    return cast


def hostile_run(cast: Cast) -> tuple[Run, str]:
    """A run whose every text is an attack, waiting for signatures."""
    world = make_world(cast)
    with in_workspace(cast.acme.id):
        run = make_run(cast, world.version, RunState.AWAITING_APPROVAL, HOSTILE, reason=HOSTILE)
        inputs = {"week": HOSTILE, HOSTILE: HIDDEN}
        Run.objects.filter(id=run.id).update(inputs=inputs, requester_name=HOSTILE)
        run.refresh_from_db()
        step = make_step(
            run,
            1,
            StepState.AWAITING_APPROVAL,
            f"x = '''{HOSTILE}'''\n# {HIDDEN}\n{HOSTILE}",
            minutes=1,
            thought=HOSTILE,
            stdout=HOSTILE,
            observation=HOSTILE,
            error={"type": HOSTILE, "message": HOSTILE, "line": 1},
            value=HOSTILE,
        )
        tool = world.version.tools.get(tool__name="send_mail")
        mail = {"recipient": HOSTILE, "subject": HIDDEN, "body": HOSTILE * 20}
        request = ask(cast, run, step, [make_call(step, 0, tool, mail, position=0)])
        Step.objects.filter(id=step.id).update(approval_request=request)
    return run, str(request.id)


def test_hostile_text_is_shown_as_text_everywhere(cast: Cast) -> None:
    run, request = hostile_run(cast)
    client = Client()
    client.force_login(cast.user("bob"), "django.contrib.auth.backends.ModelBackend")
    base = "/w/acme/"
    for address in (
        "",
        "runs/",
        f"runs/{run.id}/",
        f"runs/{run.id}/live/",
        f"runs/{run.id}/steps/1/",
        f"runs/{run.id}/stop/",
        "approvals/",
        f"approvals/{request}/",
        f"approvals/{request}/ask/",
    ):
        page = client.get(base + address).content.decode()
        assert "<script>alert" not in page, address
        assert "<img" not in page, address
        assert "\u202e" not in page, address
    assert "⟨U+202E⟩" in client.get(f"{base}approvals/{request}/").content.decode()


def test_a_search_for_markup_is_shown_as_text(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.user("dan"), "django.contrib.auth.backends.ModelBackend")
    for address in ("runs/?text=", "audit/?action=", "audit/?actor="):
        page = client.get(f"/w/acme/{address}%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
        assert "<script>alert" not in page.content.decode()
