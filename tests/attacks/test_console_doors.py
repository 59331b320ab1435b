"""What a page leaves behind: nothing in a cache, nothing after logging out."""

from contextlib import closing

import pytest
from django.test import Client

from countersign.accounts.models import User
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.world import World, make_world

BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def world(cast: Cast) -> World:
    User.objects.update(must_change_password=False)
    return make_world(cast)


def pages(world: World) -> list[str]:
    run = world.runs["waiting"].id
    below = [
        "",
        "runs/",
        f"runs/{run}/",
        f"runs/{run}/live/",
        f"runs/{run}/steps/3/",
        f"runs/{run}/files/{world.file.id}/",
        f"approvals/{world.request.id}/",
        f"approvals/{world.request.id}/live/",
        "audit/",
        "nothing/",
    ]
    return ["/", *(f"/w/acme/{rest}" for rest in below)]


def test_no_browser_and_no_proxy_keeps_what_a_page_shows(world: World) -> None:
    """Whoever sits down next at the machine, or shares the proxy, would read it."""
    client = Client()
    client.force_login(world.cast.user("dan"), BACKEND)
    for address in pages(world):
        assert "no-store" in client.get(address)["Cache-Control"], address


def test_styles_may_be_kept(world: World) -> None:
    with closing(Client().get("/static/console/base.css")) as response:
        assert "no-store" not in response["Cache-Control"]


def test_parts_of_pages_open_to_nobody_who_has_logged_out(world: World) -> None:
    client = Client()
    client.force_login(world.cast.user("dan"), BACKEND)
    cookie = client.cookies["countersign_session"].value
    client.post("/logout")
    client.cookies["countersign_session"] = cookie
    for address in pages(world):
        response = client.get(address, headers={"HX-Request": "true"})
        assert (response.status_code, response.headers.get("Location", "/login")[:6]) in [
            (302, "/login"),
            (404, "/login"),
        ], address
