"""`manage.py token_issue`: how an operator comes by the first token."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from countersign.accounts.models import ServiceAccount, Token
from tests.countersign.accounts.cast import Cast
from tests.countersign.accounts.log import actions
from tests.countersign.api.caller import Caller


def issue(*words: str) -> tuple[str, str]:
    """What the command printed, and what it said beside it."""
    out, err = StringIO(), StringIO()
    call_command("token_issue", *words, stdout=out, stderr=err)
    return out.getvalue().strip(), err.getvalue()


def test_account_and_token_are_made_and_the_token_opens_the_door(cast: Cast) -> None:
    secret, said = issue("acme", "Nightly", "--scope", "runs:read", "--scope", "runs:start")
    assert "Nightly for runs:read, runs:start" in said
    assert secret not in said
    assert Caller(secret).get("runs").status == 200
    assert Caller(secret).get("audit/entries").status == 403
    assert actions(cast.acme.id)[-3:] == ["service_account.created", "token.issued", "token.used"]


def test_a_second_token_is_of_the_same_account(cast: Cast) -> None:
    first = json.loads(issue("acme", "Nightly", "--scope", "runs:read", "--json")[0])
    second = json.loads(issue("acme", "Nightly", "--scope", "audit:read", "--json")[0])
    assert first["service_account"] == second["service_account"]
    assert first["token"] != second["token"]
    assert second["scopes"] == ["audit:read"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "Nightly", "--scope", "runs:read"], "no workspace 'nowhere'"),
        (["acme", "Nightly", "--scope", "approvals:vote"], "Scopes are: runs:read"),
        (["acme", "Nightly", "--scope", "runs:read", "--days", "0"], "in the future"),
        (["acme", "Nightly", "--scope", "runs:read", "--days", "9999"], "at most a year"),
        (["acme", "Nightly", "--scope", "runs:read", "--days", "999999999"], "at most a year"),
        (["acme", " ", "--scope", "runs:read"], "a name"),
        (["acme", "Nightly"], "--scope"),
    ],
)
def test_what_cannot_be_made_is_said_and_leaves_nothing(
    cast: Cast, words: list[str], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        issue(*words)
    assert not ServiceAccount.objects.exists()
    assert not Token.objects.exists()
