"""Secrets and personal data in text, by libraries that need no model and no network.

`secrets_in` uses detect-secrets (Apache-2.0), `personal_in` uses phonenumbers (Apache-2.0)
and python-stdnum (LGPL-2.1-or-later, used unmodified as a library). Cheap patterns decide
first which parts of a text can hold anything of the kind, and only those are looked at, so
that ordinary text costs little; the libraries are loaded when the first such text is met.

All of a text is read, wherever in it something is hidden. Text over `MAX_TEXT` characters, or
with more candidates than can be tried, counts as holding what was looked for. Characters that
nobody sees are passed over, digits and letters of other forms are read as what they look like,
and a token or an account number may be broken over lines. What is encoded, spelled out or cut
into parts is not seen.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Final

import phonenumbers
from stdnum import iban, luhn
from stdnum.ch import ssn as ahv
from stdnum.fr import nir
from stdnum.it import codicefiscale
from stdnum.us import ssn

if TYPE_CHECKING:
    from detect_secrets.plugins.base import RegexBasedDetector

MAX_TEXT = 1_000_000
MAX_TRIES = 500
UNREAD: Final = "text too long to be read"

# Zero-width characters, marks, fillers, variation selectors and tags stand between characters
# without being seen there.
_UNSEEN = re.compile(
    "[\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
# Dashes, spaces, wide, circled and mathematical letters, and digits of any script. One at a time:
# normalising a whole text takes the square of a run of marks.
_ODD = re.compile(
    "[\u00a0\u2000-\u200a\u2010-\u2015\u202f\u205f\u2212\u2460-\u24ff\u3000\uff01-\uff5e"
    "\U0001d400-\U0001d7ff]+|(?:(?![0-9])\\d)+"
)
# Where a line ends within a token: short words in a column are not one.
_BREAK = re.compile(
    r"(?<=[\w+/=.-]{8})[ \t]{0,4}\r?\n[ \t>]{0,4}(?=[\w+/=.-]{4})",
    re.ASCII,
)

# A run of 16 or more token characters with a digit in it, a key block, or a URL with a password.
# A run is looked at once, from its beginning: from each of its characters it takes seconds.
_MAYBE_SECRET = re.compile(
    r"(?<![\w+/=.-])(?=[\w+/=.-]*\d)[\w+/=.-]{16,}|PRIVATE KEY|"
    r"://[^\s/@:]{1,100}:[^\s/@]{1,200}@|xox[baprs]-",
    re.ASCII,
)
# What every secret and every number of a person has something of, and most words do not.
_TELLING = re.compile(r"[\d\n\u0080-\U0010ffff]")
# What stands around such a part, and how much of it is looked at together: some of the
# libraries' patterns take the square of a text's length.
_BEFORE, _AFTER, _PIECE, _OVERLAP = 60, 100, 1_000, 300
# Kinds of tokens that detect-secrets does not know, or only with a file around them.
_TOKENS: Final = (
    ("Anthropic API Key", re.compile(r"\bsk-ant-[\w-]{20,}")),
    ("Google API Key", re.compile(r"\bAIza[\w-]{35}")),
    ("Hugging Face Token", re.compile(r"\bhf_[A-Za-z0-9]{30,}")),
    ("NPM Token", re.compile(r"\bnpm_[A-Za-z0-9]{36}")),
)
# Those whose beginning is like nothing else, to be found in lines put together.
_BROKEN: Final = (
    *_TOKENS,
    ("AWS Access Key", re.compile(r"(?:AKIA|ASIA)[0-9A-Z]{16}")),
    ("GitHub Token", re.compile(r"gh[pousr]_[A-Za-z0-9]{36}")),
    ("GitLab Token", re.compile(r"glpat-[\w-]{20,50}")),
    ("JSON Web Token", re.compile(r"eyJ[\w-]{10,2000}\.eyJ[\w-]{10,2000}")),
    ("Stripe Access Key", re.compile(r"[rs]k_live_[0-9a-zA-Z]{24}")),
)
_BEARER = re.compile(r"\bbearer\s{1,3}(?=[\w.+/=~-]{0,100}\d)[\w.+/=~-]{20,}", re.IGNORECASE)
# `password: …` and the like, with a value of letters and digits that is no placeholder.
_NAMED = re.compile(
    r"(?:passw(?:or)?d|pwd|secret|(?:api|access|auth|private)[ _-]?(?:key|token))[\"']?"
    r"\s{0,3}[:=]\s{0,3}[\"']?(?=[^\s\"']{0,60}\d)(?=[^\s\"']{0,60}[A-Za-z])[^\s\"'{}<>$*]{8,}",
    re.IGNORECASE,
)
_NAMES: Final = ("passw", "pwd", "secret", "key", "token")
_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}")
_GAP = r"(?: |[ \t]{0,4}\r?\n[ \t>]{0,4})?"
_IBAN = re.compile(
    rf"\b[A-Z]{{2}}\d{{2}}(?:{_GAP}[A-Z0-9]{{4}}){{2,7}}(?:{_GAP}[A-Z0-9]{{1,3}})?\b"
)
# By the first digits of the issuers and the lengths they use: any other number of sixteen
# digits is a card for every tenth order number. Digits in a row behind a point are a fraction:
# one printed number in seventy would be a card (measured).
_CARD = re.compile(
    r"(?:(?<!\d\.)|(?=\d{4}[ -]))\b(?:"
    r"(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6011|65\d\d|35\d\d)(?:[ -]?\d{4}){3}"
    r"|3[47]\d\d[ -]?\d{6}[ -]?\d{5})\b",
)
_PHONE = re.compile(r"\+\d[\d\s()/.-]{6,30}\d")


@lru_cache(maxsize=1)
def _detectors() -> "tuple[RegexBasedDetector, ...]":
    from detect_secrets.plugins import (  # noqa: PLC0415 - half a second, only when needed
        aws,
        azure_storage_key,
        basic_auth,
        discord,
        github_token,
        gitlab_token,
        jwt,
        mailchimp,
        npm,
        openai,
        private_key,
        pypi_token,
        sendgrid,
        slack,
        square_oauth,
        stripe,
        twilio,
    )

    return (
        aws.AWSKeyDetector(),
        azure_storage_key.AzureStorageKeyDetector(),
        basic_auth.BasicAuthDetector(),
        discord.DiscordBotTokenDetector(),
        github_token.GitHubTokenDetector(),
        gitlab_token.GitLabTokenDetector(),
        jwt.JwtTokenDetector(),
        mailchimp.MailchimpDetector(),
        npm.NpmDetector(),
        openai.OpenAIDetector(),
        private_key.PrivateKeyDetector(),
        pypi_token.PypiTokenDetector(),
        sendgrid.SendGridDetector(),
        slack.SlackDetector(),
        square_oauth.SquareOAuthDetector(),
        stripe.StripeDetector(),
        twilio.TwilioKeyDetector(),
    )


SECRET_KINDS: Final = (
    "AWS Access Key",
    "Anthropic API Key",
    "Azure Storage Account access key",
    "Basic Auth Credentials",
    "Bearer Token",
    "Discord Bot Token",
    "GitHub Token",
    "GitLab Token",
    "Google API Key",
    "Hugging Face Token",
    "JSON Web Token",
    "Mailchimp Access Key",
    "NPM Token",
    "NPM tokens",
    "Named Secret",
    "OpenAI Token",
    "Private Key",
    "PyPI Token",
    "SendGrid API Key",
    "Slack Token",
    "Square OAuth Secret",
    "Stripe Access Key",
    "Twilio API Key",
)
PERSONAL_KINDS: Final = ("card", "email", "iban", "person", "phone")


@dataclass(frozen=True)
class Found:
    """One value that looks like a secret or a number of a person.

    Attributes:
        family: "secret" or "personal".
        kind: of `SECRET_KINDS`, `PERSONAL_KINDS`, or `UNREAD`.
        value: as it stands in the text; "" where the text was not read.
    """

    family: str
    kind: str
    value: str


def secrets_in(text: str) -> tuple[str, ...]:
    """Kinds of secrets found in `text`, e.g. "AWS Access Key"; never the secret itself."""
    if len(text) > MAX_TEXT:
        return (UNREAD,)
    if _is_plain(text):
        return ()
    return tuple(sorted({kind for kind, _ in _secrets(_readable(text))}))


def personal_in(text: str) -> tuple[str, ...]:
    """Kinds of personal data found in `text`, of `PERSONAL_KINDS`."""
    if len(text) > MAX_TEXT:
        return (UNREAD,)
    if _is_plain(text):
        return ("email",) if "@" in text and _EMAIL.search(text) else ()
    text, found = _readable(text), set()
    for kind, pattern, is_valid in _looked_for(text):
        if kind not in found and _any(pattern, text, is_valid):
            found.add(kind)
    return tuple(sorted(found))


def values_in(text: str) -> tuple[Found, ...]:
    """The values themselves, each once, for whoever may be shown something of them."""
    if len(text) > MAX_TEXT:
        return (Found("secret", UNREAD, ""), Found("personal", UNREAD, ""))
    text = _readable(text)
    found = {Found("secret", kind, value) for kind, value in _secrets(text)}
    for kind, pattern, is_valid in _looked_for(text):
        tried = (m.group() for _, m in zip(range(MAX_TRIES), _starts(pattern, text), strict=False))
        found |= {Found("personal", kind, value) for value in tried if is_valid(value)}
    return tuple(sorted(found, key=lambda one: (one.family, one.kind, one.value)))


def emails_in(text: str) -> tuple[str, ...]:
    return tuple(_EMAIL.findall(text[:MAX_TEXT])) if "@" in text else ()


def _is_plain(text: str) -> bool:
    """Whether `text` can hold nothing that is looked for but addresses."""
    telling = _TELLING.search(text) or "://" in text or "PRIVATE KEY" in text or "xox" in text
    return not telling


def _readable(text: str) -> str:
    """The text as a reader takes it, in plain characters."""
    return text if text.isascii() else _ODD.sub(_plain, _UNSEEN.sub("", text))


def _plain(match: re.Match[str]) -> str:
    return "".join(map(_plain_letter, match.group()))


@lru_cache(maxsize=4096)
def _plain_letter(letter: str) -> str:
    if unicodedata.category(letter) in ("Pd", "Sm"):
        return "-"
    digit = unicodedata.decimal(letter, None)
    return unicodedata.normalize("NFKC", letter) if digit is None else str(digit)


def _secrets(text: str) -> Iterator[tuple[str, str]]:
    """Kind and value of each secret."""
    lower = text.lower()
    if (":" in text or "=" in text) and any(name in lower for name in _NAMES):
        yield from (("Named Secret", match.group()) for match in _NAMED.finditer(text))
    if len(text) > 25 and "bearer" in lower:
        yield from (("Bearer Token", match.group()) for match in _BEARER.finditer(text))
    if _MAYBE_SECRET.search(text):
        suspects = "\n".join(_suspects(text))
        yield from _tokens(_TOKENS, suspects)
        for detector in _detectors():
            yield from ((detector.secret_type, v) for v in detector.analyze_string(suspects))
    if "\n" in text:
        joined = _BREAK.sub("", text)
        if len(joined) < len(text):
            yield from _tokens(_BROKEN, joined)


def _tokens(kinds: Iterable[tuple[str, re.Pattern[str]]], text: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in kinds:
        yield from ((kind, match.group()) for match in pattern.finditer(text))


def _suspects(text: str) -> Iterator[str]:
    """The parts of `text` that may hold a secret, each a piece of bounded length."""
    begin = end = 0
    matches = ((m.start() - _BEFORE, m.end() + _AFTER) for m in _MAYBE_SECRET.finditer(text))
    for first, last in chain(matches, [(len(text) + 1, 0)]):
        if first > end:  # what overlaps is one part
            for at in range(begin, end, _PIECE - _OVERLAP):
                yield text[at : min(at + _PIECE, end)]
            begin = first
        end = min(max(end, last), len(text))


_Valid = Callable[[str], bool]


def _looked_for(text: str) -> Iterator[tuple[str, re.Pattern[str], _Valid]]:
    """What a text may hold by the characters in it: kind, form, and what a match must pass."""
    if "@" in text:
        yield "email", _EMAIL, bool
    if _DIGIT.search(text):  # else there is no account, card or other number
        yield "iban", _IBAN, _is_iban
        yield "card", _CARD, _is_card
        yield from (("person", pattern, is_valid) for pattern, is_valid in _PERSONS)
        if "+" in text:
            yield "phone", _PHONE, _is_phone


def _any(pattern: re.Pattern[str], text: str, is_valid: _Valid) -> bool:
    if pattern.search(text) is None:
        return False
    matches = enumerate(_starts(pattern, text))
    return any(tried >= MAX_TRIES or is_valid(match.group()) for tried, match in matches)


def _starts(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Matches in their order; of account numbers also those that begin within another."""
    if pattern is not _IBAN:
        yield from pattern.finditer(text)
        return
    match = pattern.search(text)
    while match:
        yield match
        match = pattern.search(text, match.start() + 1)


def _is_iban(text: str) -> bool:
    """Whether it is one, or begins with one: words in capitals may follow."""
    groups = re.findall(r"[A-Z0-9]+", text)
    numbers = ("".join(groups[:count]) for count in range(len(groups), 0, -1))
    return any(15 <= len(number) <= 34 and iban.is_valid(number) for number in numbers)


def _is_card(text: str) -> bool:
    return bool(luhn.is_valid(re.sub(r"\D", "", text)))


def _is_phone(text: str) -> bool:
    return any(phonenumbers.PhoneNumberMatcher(text, None))


# Numbers of persons that cannot be taken for any other number: by their form and check digits.
_PERSONS: Final[tuple[tuple[re.Pattern[str], _Valid], ...]] = (
    (re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}\b"), ssn.is_valid),
    (re.compile(r"756\.\d{4}\.\d{4}\.\d{2}\b"), ahv.is_valid),
    (re.compile(r"[12] \d\d \d\d \d[\dAB] \d{3} \d{3} \d\d\b"), nir.is_valid),
    (re.compile(r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]\b"), codicefiscale.is_valid),
)
