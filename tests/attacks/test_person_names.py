"""A name stands beside signatures: nobody gets one that poses as another, or as words of ours."""

import pytest

from countersign.accounts.errors import InvalidPerson
from countersign.accounts.services import Asked, PersonDraft, member_propose
from tests.countersign.accounts.cast import NOW, Cast


def propose(cast: Cast, name: str) -> Asked:
    person = PersonDraft("newcomer", name, "newcomer@example.org", ("reviewer:finance",))
    asked = member_propose(
        workspace_id=cast.acme.id, actor=cast.actor("ada"), person=person, now=NOW
    )
    assert isinstance(asked, Asked)
    return asked


@pytest.mark.parametrize(
    "name",
    [
        "Eve\nApproved by Carol",
        "Eve\u202eevE",
        "B\u200bob",
        "Eve\x1b[2J",
        "Eve\u2028signed",
        "\u3164",
        "Eve " + "x" * 100,
    ],
)
def test_a_name_is_one_line_of_what_can_be_seen(cast: Cast, name: str) -> None:
    with pytest.raises(InvalidPerson, match="name"):
        propose(cast, name)


@pytest.mark.parametrize("name", ["Bob", "bob", " BOB ", "B\uff4fb", "\u0412ob"])
def test_a_second_person_of_the_same_name_is_told_apart(cast: Cast, name: str) -> None:
    """Also where only the letters of another alphabet differ."""
    with pytest.raises(InvalidPerson, match="tell"):
        propose(cast, name)


@pytest.mark.parametrize("name", ["Bobby", "Bob Ray", "Zoë O'Neil-Šimić", "李小龙", "Анна Ким"])
def test_other_names_are_taken_as_they_are(cast: Cast, name: str) -> None:
    assert name in propose(cast, name).request.title
