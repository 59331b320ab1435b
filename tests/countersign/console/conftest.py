"""The console's world, and browsers in which the cast is logged in."""

from collections.abc import Callable

import pytest
from django.test import Client

from countersign.accounts.models import User
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.world import World, make_world

LogIn = Callable[[str], Client]


@pytest.fixture
def cast(cast: Cast) -> Cast:
    # The one-time passwords were changed long ago.
    User.objects.update(must_change_password=False)
    return cast


@pytest.fixture
def world(cast: Cast) -> World:
    return make_world(cast)


@pytest.fixture
def log_in(cast: Cast) -> LogIn:
    """A browser in which someone of the cast is logged in."""

    def logged_in(username: str) -> Client:
        client = Client()
        client.force_login(cast.user(username), backend="django.contrib.auth.backends.ModelBackend")
        return client

    return logged_in
