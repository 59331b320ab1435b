"""What no browser sends: the console answers with a page that says no, never with a failure."""

from collections.abc import Mapping
from typing import Any

import pytest
from django.test import Client, RequestFactory

from agents.registry.text import YamlError, read
from countersign.accounts.models import User
from countersign.console.schema_forms import InputsForm, JSONText
from tests.countersign.accounts.cast import Cast
from tests.countersign.console.world import World, make_world

BACKEND = "django.contrib.auth.backends.ModelBackend"
NUL = "a%00b"
DEEP = "[" * 100_000


@pytest.fixture
def world(cast: Cast) -> World:
    User.objects.update(must_change_password=False)
    return make_world(cast)


def browser(world: World, username: str) -> Client:
    client = Client()
    client.force_login(world.cast.user(username), BACKEND)
    return client


ADDRESSES = {
    "alice": [
        f"runs/start/{NUL}/",
        f"agents/{NUL}/",
        f"agents/{NUL}/propose/",
        f"agents/{NUL}/v1/",
        f"tools/{NUL}/",
        f"models/{NUL}/v1/",
        f"agents/propose/?agent={NUL}",
        f"agents/propose/?tool={NUL}",
        f"runs/start/?file={NUL}",
        f"runs/?after={NUL}&state={NUL}",
    ],
    "carol": [
        f"policies/v1/rules/edit/{NUL}/",
        f"policies/v{'9' * 5000}/",
        f"policies/v{2**63}/",
        f"policies/v1/text/?line={NUL}",
    ],
    "dan": [
        f"audit/checkpoints/?before={'9' * 5000}",
        f"audit/checkpoints/?before={2**63}",
        "audit/checkpoints/?before=%D9%A3",
        f"audit/checkpoints/{2**63}/",
        "audit/?until=9999-12-31",
        "audit/?since=0001-01-01&until=0001-01-01",
        f"audit/?after={NUL}",
        f"audit/?action={NUL}&actor={NUL}&subject={NUL}&tool={NUL}",
        "audit/exports/?until=9999-12-31",
    ],
}


@pytest.mark.parametrize("username", ADDRESSES)
def test_no_address_makes_a_page_fail(world: World, username: str) -> None:
    client = browser(world, username)
    for rest in ADDRESSES[username]:
        assert client.get(f"/w/acme/{rest}").status_code < 500, rest


def forms(world: World) -> list[tuple[str, str, Mapping[str, Any]]]:
    run, call = world.runs["doubt"].id, world.doubt.id
    said = {"happened": "yes", "comment": "seen"}
    until = {"kind": "range", "until": "9999-12-31"}
    return [
        *(
            ("bob", f"runs/{run}/calls/{call}/", {**said, "result": result})
            for result in (DEEP, '"\\ud800"', '"\\u0000"', "NaN", "1e400", "9" * 5000)
        ),
        ("dan", "audit/exports/", until),
        *(
            ("alice", "agents/propose/", {"text": text, "look": "1"})
            for text in ('agents: {"\\ud800": {model: x}}', 'agents: {x: {model: "\\udfff"}}', DEEP)
        ),
    ]


def test_no_form_makes_a_page_fail(world: World) -> None:
    for username, rest, sent in forms(world):
        response = browser(world, username).post(f"/w/acme/{rest}", sent)
        assert response.status_code < 500, (rest, str(sent)[:60])


def test_a_session_cookie_that_no_database_can_hold_is_no_session(cast: Cast) -> None:
    client = Client()
    client.cookies["countersign_session"] = "abcdefghijkl\x00mnopqrstuvwxyz"
    assert (
        RequestFactory(HTTP_COOKIE=client.cookies.output(header="", sep="; ").strip())
        .get("/")
        .COOKIES["countersign_session"]
        .count("\x00")
        == 1
    )
    for address in ("/", "/login", "/w/acme/"):
        assert client.get(address).status_code in (200, 302), address


@pytest.mark.parametrize("text", ['a: {"\\ud800": 1}', '"\\0": 1', 'a: "\\udfff"'])
def test_a_register_file_holds_text_only(text: str) -> None:
    with pytest.raises(YamlError, match="no text"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        DEEP,
        '{"a":' * 40 + "1" + "}" * 40,
        '"\\ud800"',
        '{"a": "\\u0000"}',
        '{"\\u0000": 1}',
        "NaN",
        "-Infinity",
        "1e400",
        "9" * 5000,
        str(2**53),
        '{"a": 1, "a": 2}',
    ],
)
def test_json_that_two_readers_read_differently_is_refused(text: str) -> None:
    """As the API does."""
    form = InputsForm({"properties": {"x": {"type": "object"}}}, {"in-x": text})
    assert isinstance(form.fields["x"], JSONText)
    assert not form.is_valid()


def test_lines_hold_no_character_that_cannot_be_stored() -> None:
    schema = {"properties": {"x": {"type": "array", "items": {"type": "string"}}}}
    assert not InputsForm(schema, {"in-x": "fine\na\x00b"}).is_valid()
