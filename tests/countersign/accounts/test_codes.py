"""One-time codes by the vectors of the RFCs, and what a phone reads."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from countersign.accounts import codes

RFC = b"12345678901234567890" + bytes(12)
"""The key of the vectors; what is sealed is longer than the secret."""
RFC_4226 = [
    "755224",
    "287082",
    "359152",
    "969429",
    "338314",
    "254676",
    "287922",
    "162583",
    "399871",
    "520489",
]
RFC_6238 = {
    59: "287082",
    1111111109: "081804",
    1111111111: "050471",
    1234567890: "005924",
    2000000000: "279037",
    20000000000: "353130",
}
"""The last six of the eight digits that appendix B of RFC 6238 prints for SHA-1."""


def test_the_codes_are_those_of_rfc_4226() -> None:
    assert [codes.code_at(RFC, counter) for counter in range(10)] == RFC_4226


@pytest.mark.parametrize("seconds", RFC_6238)
def test_the_codes_are_those_of_rfc_6238(seconds: int) -> None:
    now = datetime.fromtimestamp(seconds, UTC)
    assert codes.code_at(RFC, codes.step_of(now)) == RFC_6238[seconds]
    assert codes.matching(RFC, RFC_6238[seconds], now) == seconds // 30


@pytest.mark.parametrize(("off", "counts"), [(-2, 0), (-1, 1), (0, 1), (1, 1), (2, 0)])
def test_one_step_to_either_side_counts(off: int, counts: int) -> None:
    now = datetime(2026, 11, 23, 9, tzinfo=UTC)
    here = codes.step_of(now)
    found = codes.matching(RFC, codes.code_at(RFC, here + off), now)
    assert found == (here + off if counts else None)


def test_the_address_is_what_authenticator_apps_read() -> None:
    parts = urlsplit(codes.address_of(RFC, "bob"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/Countersign:bob")
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert query == {
        "secret": codes.text_of(RFC).replace(" ", ""),
        "issuer": "Countersign",
        "algorithm": "SHA1",
        "digits": "6",
        "period": "30",
    }


def test_the_picture_has_a_quiet_border_and_three_finders() -> None:
    side, path = codes.picture_of(codes.address_of(RFC, "bob"))
    drawn = {tuple(map(int, part.split("h")[0].split())) for part in path.split("M")[1:]}
    assert {(4, 4), (side - 5, 4), (4, side - 5)} <= drawn
    assert all(4 <= x < side - 4 and 4 <= y < side - 4 for x, y in drawn)


def test_codes_are_taken_as_people_type_them() -> None:
    assert codes.cleaned(" 123 456\t") == "123456"
    assert codes.cleaned("ABCD-efgh jkmn") == "abcdefghjkmn"
    assert codes.is_code("012345")
    assert not any(map(codes.is_code, ("", "12345", "1234567", "12345a", "１２３４５６")))  # noqa: RUF001


def test_recovery_codes_differ_and_one_belongs_to_one_authenticator() -> None:
    made = codes.new_recovery_codes()
    assert len(set(made)) == 10
    one, other = UUID(int=1), UUID(int=2)
    assert codes.digest_of(one, made[0]) == codes.digest_of(one, made[0].upper())
    assert codes.digest_of(one, made[0]) != codes.digest_of(other, made[0])
    assert codes.among("b" * 64, ["a" * 64, "b" * 64])
    assert not codes.among("b" * 64, [])
