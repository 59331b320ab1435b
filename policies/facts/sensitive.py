"""Secrets and personal data in text, by libraries that need no model and no network.

`secrets_in` uses detect-secrets (Apache-2.0), `personal_in` uses phonenumbers (Apache-2.0)
and python-stdnum (LGPL-2.1-or-later, used unmodified as a library). Cheap patterns decide
first which parts of a text can hold anything of the kind, and only those are looked at, so
that ordinary text costs little; the libraries are loaded when the first such text is met.

All of a text is read, wherever in it something is hidden. Text over `MAX_TEXT` characters, or
with more candidates than can be tried, counts as holding what was looked for.
"""

import re
from collections.abc import Callable, Iterator
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

# A run of 16 or more token characters with a digit in it, a key block, or a URL with a password.
# A run is looked at once, from its beginning: from each of its characters it takes seconds.
_MAYBE_SECRET = re.compile(
    r"(?<![\w+/=.-])(?=[\w+/=.-]*\d)[\w+/=.-]{16,}|PRIVATE KEY|"
    r"://[^\s/@:]{1,100}:[^\s/@]{1,200}@|xox[baprs]-",
    re.ASCII,
)
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
_BEARER = re.compile(r"\bbearer\s{1,3}(?=[\w.+/=~-]{0,100}\d)[\w.+/=~-]{20,}", re.IGNORECASE)
# `password: …` and the like, with a value of letters and digits that is no placeholder.
_NAMED = re.compile(
    r"(?:passw(?:or)?d|pwd|secret|(?:api|access|auth|private)[ _-]?(?:key|token))[\"']?"
    r"\s{0,3}[:=]\s{0,3}[\"']?(?=[^\s\"']{0,60}\d)(?=[^\s\"']{0,60}[A-Za-z])[^\s\"'{}<>$*]{8,}",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
# By the first digits of the issuers and the lengths they use: any other number of sixteen
# digits is a card for every tenth order number.
_CARD = re.compile(
    r"\b(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6011|65\d\d|35\d\d)(?:[ -]?\d{4}){3}\b"
    r"|\b3[47]\d\d[ -]?\d{6}[ -]?\d{5}\b",
)
_PHONE = re.compile(r"\+\d[\d\s()/.-]{6,30}\d")
# Numbers of persons that cannot be taken for any other number: by their form and check digits.
_PERSONS: Final[tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...]] = (
    (re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}\b"), ssn.is_valid),
    (re.compile(r"756\.\d{4}\.\d{4}\.\d{2}\b"), ahv.is_valid),
    (re.compile(r"[12] \d\d \d\d \d[\dAB] \d{3} \d{3} \d\d\b"), nir.is_valid),
    (re.compile(r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]\b"), codicefiscale.is_valid),
)


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


def secrets_in(text: str) -> tuple[str, ...]:
    """Kinds of secrets found in `text`, e.g. "AWS Access Key"; never the secret itself."""
    if len(text) > MAX_TEXT:
        return (UNREAD,)
    found: set[str] = set()
    if (":" in text or "=" in text) and _NAMED.search(text):
        found.add("Named Secret")
    if len(text) > 25 and _BEARER.search(text):
        found.add("Bearer Token")
    if _MAYBE_SECRET.search(text):
        suspects = "\n".join(_suspects(text))
        found |= {kind for kind, pattern in _TOKENS if pattern.search(suspects)}
        found |= {d.secret_type for d in _detectors() if any(d.analyze_string(suspects))}
    return tuple(sorted(found))


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


PERSONAL_KINDS: Final = ("card", "email", "iban", "person", "phone")


def personal_in(text: str) -> tuple[str, ...]:
    """Kinds of personal data found in `text`, of `PERSONAL_KINDS`."""
    if len(text) > MAX_TEXT:
        return (UNREAD,)
    found: list[str] = []
    if "@" in text and _EMAIL.search(text):
        found.append("email")
    if not _DIGIT.search(text):
        return tuple(found)  # no account, card or other number
    if _any(_IBAN, text, iban.is_valid):
        found.append("iban")
    if _any(_CARD, text, _is_card):
        found.append("card")
    if any(_any(pattern, text, is_valid) for pattern, is_valid in _PERSONS):
        found.append("person")
    if "+" in text and _any(_PHONE, text, _is_phone):
        found.append("phone")
    return tuple(sorted(found))


def _any(pattern: re.Pattern[str], text: str, is_valid: Callable[[str], bool]) -> bool:
    matches = enumerate(pattern.finditer(text))
    return any(tried >= MAX_TRIES or is_valid(match.group()) for tried, match in matches)


def _is_card(text: str) -> bool:
    return bool(luhn.is_valid(re.sub(r"\D", "", text)))


def _is_phone(text: str) -> bool:
    return any(phonenumbers.PhoneNumberMatcher(text, None))


def emails_in(text: str) -> tuple[str, ...]:
    return tuple(_EMAIL.findall(text[:MAX_TEXT])) if "@" in text else ()
