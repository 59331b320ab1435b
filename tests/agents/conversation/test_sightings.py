"""Secrets and personal data in messages: read once, told without their values."""

import json
from collections.abc import Iterable

import pytest

from agents import prompts
from agents.conversation import sightings
from agents.conversation.sightings import MOST_TOLD, Reader, Sighting, Spoken
from policies.facts.sensitive import MAX_TEXT, UNREAD, Found, personal_in, secrets_in
from policies.requests import PromptFacts

CARD = "4111 1111 1111 1111"
KEY = "AKIA" + "IOSFODNN7EXAMPLE"
RULE = '@id("{0}") forbid(principal, action == Action::"use_model", resource) when {{ {1} }};\n'


def said(*texts: str) -> list[Spoken]:
    return [Spoken("result", number, text) for number, text in enumerate(texts, 1)]


def test_each_message_is_read_once_and_the_union_kept() -> None:
    read: list[str] = []

    def turn(step: str) -> Iterable[Spoken]:
        read.append(step)
        return [Spoken("result", 1, step)]

    reader: Reader[str] = Reader()
    opening = lambda: [Spoken("task", 0, "ann@corp.example")]  # noqa: E731
    assert reader.read(opening, [], turn).personal == {"email"}
    assert reader.read(opening, [CARD], turn).personal == {"email", "card"}
    found = reader.read(opening, [CARD, KEY, "quiet"], turn)
    assert found == PromptFacts(frozenset({"AWS Access Key"}), frozenset({"email", "card"}))
    assert read == [CARD, KEY, "quiet"]
    another: Reader[str] = Reader()
    assert another.read(opening, [CARD, KEY, "quiet"], turn) == found


def test_the_packages_own_words_hold_nobodys_data() -> None:
    """They are in every prompt and are not read; their one mail address is nobody's."""
    for text in prompts.load().texts.values():
        assert secrets_in(text) == ()
        assert personal_in(text.replace("lyon@warehouses.example", "")) == ()


def test_a_sighting_tells_kind_and_count_but_no_value() -> None:
    found = sightings.sightings(said(f"{CARD} and {CARD}", f"{KEY}, ann@corp.example"))
    assert [(one.place, one.name, one.count, one.shown) for one in found] == [
        ("the result of step 1", "payment card numbers", 1, ("41•••11",)),
        ("the result of step 2", "mail addresses", 1, ("a•••@corp.example",)),
        ("the result of step 2", "AWS Access Key", 1, ("AK•••",)),
    ]
    told = json.dumps(sightings.told(found))
    assert "•" not in told
    assert "41" not in told
    assert sightings.sentence(found) == (
        "Found in the result of step 1 (payment card numbers), the result of step 2 (mail"
        " addresses, AWS Access Key)."
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [("hunter2", "•••"), ("password: hunter2hunter2", "pa•••"), (KEY, "AK•••")],
)
def test_of_a_secret_next_to_nothing_is_shown(value: str, shown: str) -> None:
    assert sightings.masked(Found("secret", "Named Secret", value)) == shown


def test_of_very_many_the_first_are_told_with_how_many_there_are() -> None:
    found = sightings.sightings(said(*[CARD] * (MOST_TOLD + 7)))
    assert len(sightings.told(found)) == MOST_TOLD + 1
    assert sightings.told(found)[-1] == {"more": 7}
    assert sightings.sentence(found).endswith(f"and {MOST_TOLD + 3} more.")


def test_what_was_not_read_is_told_as_that() -> None:
    found = sightings.sightings(said("a" * (MAX_TEXT + 1)))
    assert [(one.family, one.kind, one.shown) for one in found] == [
        ("personal", UNREAD, ()),
        ("secret", UNREAD, ()),
    ]


def test_a_rule_is_about_the_family_and_the_kinds_that_it_names() -> None:
    text = RULE.format("keys", "!context.prompt.secrets.isEmpty()")
    text += RULE.format("cards", 'context.prompt.personal.containsAny(["card"])')
    text += RULE.format("labels", "!context.prompt.refused_labels.isEmpty()")
    found = sightings.sightings(said(f"{KEY} {CARD} ann@corp.example"))

    def kinds(*rules: str, shadow: bool = False) -> list[str]:
        fired = [{"id": rule, "shadow": shadow} for rule in rules]
        return [one.kind for one in sightings.at_fault(found, fired, text)]

    assert kinds("keys") == ["AWS Access Key"]
    assert kinds("cards") == ["card"]
    assert kinds("cards", "keys") == ["card", "AWS Access Key"]
    assert kinds("labels") == kinds("gone") == kinds("keys", shadow=True) == []
    unread = Sighting("task", 0, "personal", UNREAD, 1, ())
    assert sightings.at_fault([unread], [{"id": "cards"}], text) == [unread]
