"""Service accounts and their tokens."""

from datetime import timedelta

import pytest

from countersign.accounts.errors import InvalidPerson, InvalidScope, UnknownAccount
from countersign.accounts.models import RateWindow, ServiceAccount, Token
from countersign.accounts.scopes import Scope
from countersign.accounts.services import (
    IssuedToken,
    TokenContext,
    service_account_create,
    service_account_disable,
    token_authenticate,
    token_issue,
    token_revoke,
)
from countersign.accounts.services.token import REQUESTS_A_MINUTE
from policies.errors import Reason, Refusal
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last

TOMORROW = NOW + timedelta(days=1)


def account(cast: Cast, name: str = "Billing") -> ServiceAccount:
    made = service_account_create(workspace_id=cast.acme.id, actor=cast.actor("ada"), name=name)
    assert isinstance(made, ServiceAccount)
    return made


def issue(cast: Cast, made: ServiceAccount) -> IssuedToken:
    issued = token_issue(
        workspace_id=cast.acme.id,
        actor=cast.actor("ada"),
        service_account_id=made.id,
        name="nightly",
        scopes=["runs:start", "runs:read"],
        expires=TOMORROW,
        now=NOW,
    )
    assert isinstance(issued, IssuedToken)
    return issued


def test_a_token_speaks_for_its_account_in_its_workspace(cast: Cast) -> None:
    made = account(cast)
    context = token_authenticate(raw=issue(cast, made).secret, now=NOW)
    assert isinstance(context, TokenContext)
    assert context.workspace_id == cast.acme.id
    assert context.scopes == {Scope.RUNS_READ, Scope.RUNS_START}
    assert context.actor.type == "service"
    assert context.require(Scope.RUNS_START) is None
    refused = context.require(Scope.AUDIT_READ)
    assert refused is not None
    assert refused.reason is Reason.SCOPE


def test_the_secret_is_stored_nowhere(cast: Cast) -> None:
    issued = issue(cast, account(cast))
    secret = issued.secret.rsplit("_", 1)[-1]
    row = Token.objects.values().get(id=issued.token.id)
    assert secret not in str(row)
    assert issued.secret not in str(row)
    assert secret not in str(last(cast.acme.id, "token.issued"))


@pytest.mark.parametrize("raw", ["", "cs_", "Bearer x", "cs_000000000000_" + "A" * 43])
def test_an_unknown_token_is_refused(cast: Cast, raw: str) -> None:
    refused = token_authenticate(raw=raw, now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.UNKNOWN_TOKEN
    assert actions(None)[-1] == "token.refused"


def test_the_right_prefix_with_a_wrong_secret_is_unknown(cast: Cast) -> None:
    text = issue(cast, account(cast)).secret
    refused = token_authenticate(raw=text[:-2] + ("AA" if text[-2:] != "AA" else "BB"), now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.UNKNOWN_TOKEN


def test_an_expired_token_is_refused(cast: Cast) -> None:
    refused = token_authenticate(raw=issue(cast, account(cast)).secret, now=TOMORROW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.EXPIRED_TOKEN


def test_a_revoked_token_is_refused(cast: Cast) -> None:
    issued = issue(cast, account(cast))
    token_revoke(
        workspace_id=cast.acme.id, actor=cast.actor("ada"), token_id=issued.token.id, now=NOW
    )
    refused = token_authenticate(raw=issued.secret, now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.REVOKED_TOKEN
    assert actions(cast.acme.id)[-2:] == ["token.revoked", "token.refused"]


def test_disabling_an_account_ends_its_tokens(cast: Cast) -> None:
    made = account(cast)
    issued = issue(cast, made)
    service_account_disable(
        workspace_id=cast.acme.id, actor=cast.actor("ada"), service_account_id=made.id, now=NOW
    )
    assert isinstance(token_authenticate(raw=issued.secret, now=NOW), Refusal)
    with pytest.raises(UnknownAccount):
        issue(cast, made)


def test_use_is_logged_once_an_hour(cast: Cast) -> None:
    secret = issue(cast, account(cast)).secret
    for minutes in (0, 0, 5, 30, 61):
        token_authenticate(raw=secret, now=NOW + timedelta(minutes=minutes))
    assert actions(cast.acme.id).count("token.used") >= 1
    used = Token.objects.get().last_used
    assert used == NOW + timedelta(minutes=61)


def test_too_many_requests_are_told_when_to_come_back(cast: Cast) -> None:
    issued = issue(cast, account(cast))
    assert isinstance(token_authenticate(raw=issued.secret, now=NOW), TokenContext)
    RateWindow.objects.update(count=REQUESTS_A_MINUTE - 1)
    assert isinstance(token_authenticate(raw=issued.secret, now=NOW), TokenContext)
    refused = token_authenticate(raw=issued.secret, now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.RATE_LIMITED
    assert 0 < refused.retry_after_s <= 61
    assert isinstance(
        token_authenticate(raw=issued.secret, now=NOW + timedelta(minutes=1)), TokenContext
    )


def test_only_administrators_make_accounts_and_tokens(cast: Cast) -> None:
    for name in ("alice", "carol", "mallory"):
        refused = service_account_create(
            workspace_id=cast.acme.id, actor=cast.actor(name), name="Mine"
        )
        assert isinstance(refused, Refusal)
    assert actions(cast.acme.id)[-3:] == ["service_account.refused"] * 3


def test_another_workspaces_account_and_token_are_unknown(cast: Cast) -> None:
    made = account(cast)
    issued = issue(cast, made)
    with pytest.raises(UnknownAccount):
        token_revoke(
            workspace_id=cast.other.id,
            actor=cast.actor("mallory"),
            token_id=issued.token.id,
            now=NOW,
        )
    with pytest.raises(UnknownAccount):
        token_issue(
            workspace_id=cast.other.id,
            actor=cast.actor("mallory"),
            service_account_id=made.id,
            name="theirs",
            scopes=["runs:read"],
            expires=TOMORROW,
            now=NOW,
        )


@pytest.mark.parametrize(
    ("scopes", "expires", "error"),
    [
        ([], TOMORROW, InvalidScope),
        (["runs:everything"], TOMORROW, InvalidScope),
        (["approvals:vote"], TOMORROW, InvalidScope),
        (["runs:read"], NOW, InvalidPerson),
        (["runs:read"], NOW + timedelta(days=1000), InvalidPerson),
    ],
)
def test_an_unusable_token_is_named(
    cast: Cast, scopes: list[str], expires: object, error: type[Exception]
) -> None:
    made = account(cast)
    with pytest.raises(error):
        token_issue(
            workspace_id=cast.acme.id,
            actor=cast.actor("ada"),
            service_account_id=made.id,
            name="nightly",
            scopes=scopes,
            expires=expires,  # type: ignore[arg-type]
            now=NOW,
        )


def test_names_are_unique_in_a_workspace(cast: Cast) -> None:
    account(cast)
    with pytest.raises(InvalidPerson):
        account(cast)
