"""Logging in, giving the password again, being locked out."""

from datetime import timedelta

import pytest

from countersign.accounts import rates
from countersign.accounts.models import RateWindow, User
from countersign.accounts.services import (
    HalfLogin,
    login,
    logout,
    password_change,
    reauthenticate,
)
from countersign.accounts.services.attempts import ACCOUNT_LIMIT, PAIR_LIMIT, WINDOW
from policies.errors import Reason, Refusal
from tests.countersign.accounts.cast import NOW, Cast
from tests.countersign.accounts.log import actions, last

HOME = "192.0.2.7"


def attempt(
    username: str, password: str, address: str = HOME, minutes: int = 0
) -> User | HalfLogin | Refusal:
    now = NOW + timedelta(minutes=minutes)
    return login(username=username, password=password, address=address, now=now)


def test_the_right_password_lets_in_and_is_recorded(cast: Cast) -> None:
    assert attempt("Alice", cast.passwords["alice"]) == cast.user("alice")
    assert last(None, "login.succeeded")["actor"]["name"] == "Alice"


@pytest.mark.parametrize(("username", "who"), [("alice", "Alice"), ("nobody", "Unknown person")])
def test_wrong_name_and_wrong_password_look_the_same(cast: Cast, username: str, who: str) -> None:
    refused = attempt(username, "not the password")
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.WRONG_PASSWORD
    assert refused.sentence == "User name or password is wrong."
    leaf = last(None, "login.failed")
    assert leaf["actor"]["name"] == who
    assert "nobody" not in str(leaf)


def test_an_inactive_person_is_not_let_in(cast: Cast) -> None:
    User.objects.filter(username="alice").update(is_active=False)
    assert isinstance(attempt("alice", cast.passwords["alice"]), Refusal)


def test_guessing_is_stopped_and_the_right_password_no_longer_helps(cast: Cast) -> None:
    for _ in range(PAIR_LIMIT):
        attempt("alice", "guess")
    refused = attempt("alice", cast.passwords["alice"])
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.LOCKED
    assert 0 < refused.retry_after_s <= WINDOW.total_seconds()
    later = int(WINDOW.total_seconds()) // 60
    assert attempt("alice", cast.passwords["alice"], minutes=later) == cast.user("alice")


def test_many_addresses_do_not_help_to_guess(cast: Cast) -> None:
    for number in range(ACCOUNT_LIMIT):
        attempt("alice", "guess", address=f"198.51.100.{number}")
    refused = attempt("alice", cast.passwords["alice"], address="203.0.113.1")
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.LOCKED


def test_someone_elses_guesses_do_not_lock_out_at_once(cast: Cast) -> None:
    for _ in range(PAIR_LIMIT + 5):
        attempt("alice", "guess", address="198.51.100.1")
    assert attempt("alice", cast.passwords["alice"]) == cast.user("alice")


def test_right_passwords_never_lock(cast: Cast) -> None:
    for _ in range(PAIR_LIMIT + 2):
        assert attempt("alice", cast.passwords["alice"]) == cast.user("alice")


def test_a_flood_leaves_a_trace_but_not_a_flood(cast: Cast) -> None:
    for _ in range(PAIR_LIMIT + 20):
        attempt("alice", "guess")
    assert actions(None).count("login.failed") == PAIR_LIMIT + 5


def test_counters_hold_no_name_and_no_address(cast: Cast) -> None:
    attempt("alice", "guess")
    keys = list(RateWindow.objects.values_list("key", flat=True))
    assert len(keys) == 3
    assert not any("alice" in key or HOME in key for key in keys)
    assert rates.purge(NOW + timedelta(days=3)) == 3


def test_signing_asks_for_the_password_again(cast: Cast) -> None:
    bob = cast.id("bob")
    wrong = reauthenticate(user_id=bob, password="x", address=HOME, now=NOW)
    assert isinstance(wrong, Refusal)
    right = reauthenticate(user_id=bob, password=cast.passwords["bob"], address=HOME, now=NOW)
    assert right == NOW
    assert actions(None)[-2:] == ["reauthentication.failed", "reauthentication.succeeded"]


def test_a_stolen_session_is_no_place_to_guess(cast: Cast) -> None:
    bob = cast.id("bob")
    for _ in range(PAIR_LIMIT):
        reauthenticate(user_id=bob, password="guess", address=HOME, now=NOW)
    refused = reauthenticate(user_id=bob, password=cast.passwords["bob"], address=HOME, now=NOW)
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.LOCKED


def test_a_one_time_password_is_replaced_by_a_good_one(cast: Cast) -> None:
    alice, old = cast.user("alice"), cast.passwords["alice"]
    assert alice.must_change_password
    for weak in (old, "short", "alice-alice"):
        refused = password_change(user_id=alice.id, old=old, new=weak, address=HOME, now=NOW)
        assert isinstance(refused, Refusal)
        assert refused.reason is Reason.WEAK_PASSWORD
    new = "a long enough sentence 4 you"
    changed = password_change(user_id=alice.id, old=old, new=new, address=HOME, now=NOW)
    assert isinstance(changed, User)
    assert not changed.must_change_password
    assert attempt("alice", new) == alice
    assert isinstance(attempt("alice", old), Refusal)


def test_logging_out_is_recorded(cast: Cast) -> None:
    logout(user_id=cast.id("alice"))
    assert last(None, "session.ended")["actor"]["name"] == "Alice"
