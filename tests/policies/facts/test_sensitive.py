"""Secrets and personal data in text. Secrets are put together here: none is written out."""

import pytest

from policies.facts.sensitive import (
    MAX_TEXT,
    PERSONAL_KINDS,
    SECRET_KINDS,
    UNREAD,
    Found,
    personal_in,
    secrets_in,
    values_in,
)
from policies.facts.sensitive import _detectors as detectors
from policies.vocabulary import PERSONAL

LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7"
SECRETS = {
    "AWS Access Key": "AKIA" + "IOSFODNN7EXAMPLE",
    "Anthropic API Key": "sk-ant-" + "api03-" + LETTERS,
    "Basic Auth Credentials": "postgres://bob:" + "s3cret@db.example/x",
    "Bearer Token": "Authorization: Bearer " + LETTERS,
    "GitHub Token": "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a",
    "Google API Key": "AIza" + LETTERS + "aB3dE6gH",
    "Hugging Face Token": "hf_" + LETTERS + "aB3dE6",
    "NPM Token": "npm_" + LETTERS + "aB3dE6gH9",
    "Private Key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "Slack Token": "xoxb-" + "123456789012-1234567890123-" + LETTERS,
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_found_wherever_it_stands(kind: str) -> None:
    secret = SECRETS[kind]
    assert kind in secrets_in(secret)
    assert kind in secrets_in("Dear Bob,\nhere it is: " + secret + "\nBest, Ann")
    assert kind in secrets_in("word " * 10_000 + secret)
    assert kind in secrets_in(f"{LETTERS} " * 2_000 + secret + f" {LETTERS}" * 2_000)


@pytest.mark.parametrize(
    "text",
    ["password = hunter2hunter2", '"api_key": "9f86d081884c7d65"', "PWD: 'Tr0ub4dor&3'"],
)
def test_what_is_called_a_secret(text: str) -> None:
    assert secrets_in(text) == ("Named Secret",)


@pytest.mark.parametrize(
    "text",
    [
        "Your password will expire on 2026-11-30.",
        "password: {password}",
        "token=<your token>",
        "password = os.environ['DB_PASSWORD_2']",
        "Forgot your password? Reset it at https://example.com/reset",
        "next page: https://example.com/list?page_token=CAUQAA123456",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "the bearer of this letter",
    ],
)
def test_ordinary_text_holds_no_secret(text: str) -> None:
    assert secrets_in(text) == ()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("card 4111 1111 1111 1111", "card"),
        ("amex 378282246310005", "card"),
        ("1. 4111-1111-1111-1111", "card"),
        ("nr.4111111111111111", "card"),
        ("2.4111 1111 1111 1111", "card"),
        ("+49 30 901820", "phone"),
        ("+49\u00a030\u00a0901820", "phone"),
        ("ann@corp.example", "email"),
        ("SSN 536-90-4399", "person"),
        ("AHV 756.9217.0769.85", "person"),
        ("NIR 2 95 10 99 126 111 93", "person"),
        ("CF RCCMNL83S18D969H", "person"),
    ],
)
def test_personal_data_is_found(text: str, kind: str) -> None:
    assert kind in personal_in(text)
    assert kind in personal_in("word " * 10_000 + text)


@pytest.mark.parametrize(
    "text",
    [
        "order 1234567890123",
        "EAN 4006381333931",
        "ISBN 978-3-16-148410-0",
        "2026-11-20T12:00:00.000Z",
        "version 1.2.3.4567",
        "lat +52.520008, lon 13.404954",
        "000-12-3456",
        "0.4111111111111111",
        "-13.378282246310005",
    ],
)
def test_other_numbers_are_nobodys(text: str) -> None:
    assert personal_in(text) == ()


def test_what_is_too_long_counts_as_holding_it() -> None:
    assert secrets_in("a" * (MAX_TEXT + 1)) == (UNREAD,)
    assert personal_in("a" * (MAX_TEXT + 1)) == (UNREAD,)


HIDDEN_PERSONAL = [
    ("DE89\u200b 3704 0044\u2060 0532 0130 00", "iban"),
    ("DE89 3704 0044\n> 0532 0130 00 EUR 1000", "iban"),
    ("AB12 CDEF GHIJ DE89 3704 0044 0532 0130 00", "iban"),
    ("ES91 2100 0418 4502 0005 1332 EUR 1000", "iban"),
    ("41\u00ad11 1111 1111 1111", "card"),
    ("\uff14\uff11\uff11\uff11 1111 1111 1111", "card"),
    ("4111\u20111111\u20111111\u20111111", "card"),
    ("\u0664\u0661\u0661\u0661 1111 1111 1111", "card"),
    ("SSN 5\u200b3\u200b6-90-4399", "person"),
    ("ann\u200b@corp\ufeff.example", "email"),
    ("+49\u200d 30\u202f901820", "phone"),
]


@pytest.mark.parametrize(("text", "kind"), HIDDEN_PERSONAL)
def test_what_nobody_sees_between_the_characters_hides_nothing(text: str, kind: str) -> None:
    assert kind in personal_in(text)
    assert kind in {found.kind for found in values_in("Dear Bob, " + text)}


@pytest.mark.parametrize("kind", ["AWS Access Key", "GitHub Token", "Anthropic API Key"])
@pytest.mark.parametrize("between", ["\u200b", "\n", "\r\n", "\n> ", "  \n  "])
def test_a_token_in_two_parts_is_one(kind: str, between: str) -> None:
    secret = SECRETS[kind]
    parted = f"the token\n{secret[:12]}{between}{secret[12:]}\nis new"
    assert kind in secrets_in(parted)


@pytest.mark.parametrize(
    "text",
    [
        "ASIA\n1000\n2000\n3000\n4000\n5000",
        "DE89\nis the code\nof 3704",
        "4000\n4001\n4002\n4003\n4004",
        "\u0301" * 1000,
    ],
)
def test_columns_and_lines_are_no_token(text: str) -> None:
    assert secrets_in(text) == personal_in(text) == ()


def test_every_kind_that_can_be_found_is_named() -> None:
    assert {d.secret_type for d in detectors()} | set(SECRETS) | {"Named Secret"} <= set(
        SECRET_KINDS
    )
    assert set(PERSONAL) == set(PERSONAL_KINDS)


def test_values_are_told_once_each() -> None:
    said = "ann@corp.example, 4111 1111 1111 1111, ann@corp.example and bob@corp.example"
    assert values_in(said) == (
        Found("personal", "card", "4111 1111 1111 1111"),
        Found("personal", "email", "ann@corp.example"),
        Found("personal", "email", "bob@corp.example"),
    )
    assert {found.kind for found in values_in("a" * (MAX_TEXT + 1))} == {UNREAD}


@pytest.mark.parametrize("text", [*SECRETS.values(), *(text for text, _ in HIDDEN_PERSONAL)])
def test_values_have_the_kinds_that_were_found(text: str) -> None:
    assert {found.kind for found in values_in(text)} == {*secrets_in(text), *personal_in(text)}
