"""Start-up refuses what would walk around roles."""

import pytest
from django.test import override_settings

from countersign.accounts.checks import no_way_around_roles


def test_the_shipped_settings_have_no_way_around() -> None:
    assert list(no_way_around_roles()) == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"INSTALLED_APPS": ["django.contrib.admin"]}, "accounts.E001"),
        ({"AUTHENTICATION_BACKENDS": ["somewhere.EverybodyBackend"]}, "accounts.E002"),
        ({"ANONYMOUS_USER_NAME": "anonymous"}, "accounts.E003"),
    ],
)
def test_a_way_around_stops_the_start(changed: dict[str, object], code: str) -> None:
    with override_settings(**changed):
        assert [message.id for message in no_way_around_roles()] == [code]
