"""Taking somebody's second factor away without a second person, or at the wrong moment."""

import pytest
from django.core.management import CommandError, call_command

from countersign.accounts import selectors
from countersign.accounts.models import User
from countersign.accounts.services import factor_remove, factor_reset_propose
from policies.errors import Reason, Refusal
from policies.models import ApprovalRequest
from policies.services import change_apply
from tests.countersign.accounts.authenticator import HOME, Phone, begin, enrol
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last
from tests.policies.approvals.asking import state, vote


def propose(
    cast: Cast, who: str = "bob", by: str = "ada", reason: str = "Lost; I called him."
) -> ApprovalRequest | Refusal:
    return factor_reset_propose(
        workspace_id=cast.acme.id,
        actor=cast.actor(by),
        user_id=cast.id(who),
        reason=reason,
        now=NOW,
    )


def asked(cast: Cast, who: str = "bob", by: str = "ada") -> ApprovalRequest:
    request = propose(cast, who, by)
    assert isinstance(request, ApprovalRequest), request
    return request


def made(cast: Cast, request: ApprovalRequest) -> Refusal | None:
    return change_apply(workspace_id=cast.acme.id, request_id=request.id, now=NOW)


def test_two_people_take_it_away_and_the_log_says_who(cast: Cast) -> None:
    enrol(cast, "bob")
    request = asked(cast)
    assert isinstance(made(cast, request), Refusal)
    assert selectors.factor_of(cast.id("bob")) is not None
    assert vote(cast, request, "carol").completed
    assert made(cast, request) is None
    assert selectors.factor_of(cast.id("bob")) is None
    leaf = last(cast.acme.id, "factor.reset")
    assert leaf["actor"]["name"] == "Ada"
    assert leaf["subject"]["id"] == str(cast.id("bob"))
    assert leaf["detail"]["request"] == str(request.id)


@pytest.mark.parametrize(
    ("who", "by", "reason"),
    [
        ("bob", "carol", Reason.ROLE),
        ("bob", "alice", Reason.ROLE),
        ("ada", "ada", Reason.OWN_ROLES),
        ("beth", "ada", Reason.NOT_ENROLLED),
    ],
)
def test_whoever_may_not_ask_is_refused_and_recorded(
    cast: Cast, who: str, by: str, reason: Reason
) -> None:
    enrol(cast, "bob")
    enrol(cast, "ada")
    refused = propose(cast, who, by)
    assert isinstance(refused, Refusal)
    assert refused.reason is reason
    assert last(cast.acme.id, "factor.refused")["detail"] == {
        "attempt": "reset",
        "reason": reason.value,
    }


def test_it_takes_a_reason(cast: Cast) -> None:
    enrol(cast, "bob")
    refused = propose(cast, reason="  ")
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.INCOMPLETE


def test_neither_whoever_asked_nor_the_person_signs(cast: Cast) -> None:
    enrol(cast, "carol")
    request = asked(cast, "carol")
    for name in ("ada", "carol", "bob"):
        assert vote(cast, request, name).refusal is not None
    assert vote(cast, request, "chris").completed


def test_what_was_signed_is_that_authenticator_and_no_later_one(cast: Cast) -> None:
    old = enrol(cast, "bob")
    request = asked(cast)
    assert vote(cast, request, "carol").completed
    gone = factor_remove(
        user_id=cast.id("bob"),
        password=cast.passwords["bob"],
        code=old.recovery[0],
        address=HOME,
        now=NOW,
    )
    assert gone is None
    enrol(cast, "bob")
    assert isinstance(made(cast, request), Refusal)
    assert state(cast, request) == "superseded"
    assert selectors.factor_of(cast.id("bob")) is not None


def test_what_was_begun_before_is_not_confirmed_after(cast: Cast) -> None:
    from countersign.accounts.services import factor_confirm

    old = enrol(cast, "bob")
    begun = begin(cast, "bob", code=old.phone.code())
    request = asked(cast)
    assert vote(cast, request, "carol").completed
    assert made(cast, request) is None
    late = factor_confirm(
        user_id=cast.id("bob"), ticket=begun.ticket, code=Phone(begun.text).code(), now=NOW
    )
    assert isinstance(late, Refusal)


# Commands of Django's own.


@pytest.mark.parametrize(
    ("command", "instead"),
    [("createsuperuser", "workspace_create"), ("changepassword", "password_reset")],
)
def test_djangos_own_commands_refuse_and_say_what_to_do(
    cast: Cast, command: str, instead: str
) -> None:
    before = list(User.objects.order_by("id").values_list("id", "password"))
    with pytest.raises(CommandError, match=instead):
        call_command(command, "bob")
    assert list(User.objects.order_by("id").values_list("id", "password")) == before


@pytest.mark.parametrize("command", ["createsuperuser", "changepassword"])
def test_djangos_options_do_not_bring_djangos_command_back(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    from django.core.management import get_commands, load_command_class

    app = get_commands()[command]
    assert app == "countersign.accounts"
    loaded = load_command_class(str(app), command)
    with pytest.raises(SystemExit):
        loaded.run_from_argv(["manage.py", command, "--database", "default", "--noinput", "bob"])
    assert "Nothing was" in capsys.readouterr().err


def test_a_reset_password_is_for_one_time_and_leaves_the_authenticator(
    cast: Cast, capsys: pytest.CaptureFixture[str]
) -> None:
    enrol(cast, "bob")
    call_command("password_reset", "BOB")
    out = capsys.readouterr()
    bob = cast.user("bob")
    assert bob.check_password(out.out.strip())
    assert bob.must_change_password
    assert selectors.factor_of(bob.id) is not None
    leaf = last(None, "password.reset")
    assert (leaf["actor"]["type"], leaf["subject"]["id"]) == ("system", str(bob.id))
    assert out.out.strip() not in str(leaf)
    with pytest.raises(CommandError, match="Nobody here"):
        call_command("password_reset", "nobody")
    assert actions(None).count("password.reset") == 1
