"""Secrets and personal data in text, by libraries that need no model and no network.

`secrets_in` uses detect-secrets (Apache-2.0), `personal_in` uses phonenumbers (Apache-2.0)
and python-stdnum (LGPL-2.1-or-later, used unmodified as a library). A cheap pattern decides
first whether a text can hold anything of the kind, so that ordinary code costs nothing; the
libraries are loaded when the first such text is met.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import phonenumbers
from stdnum import iban, luhn

if TYPE_CHECKING:
    from detect_secrets.plugins.base import RegexBasedDetector

MAX_TEXT = 20_000

# A run of 16 or more token characters with a digit in it, a key block, or a URL with a password.
# A run is looked at once, from its beginning: from each of its characters it takes seconds.
_MAYBE_SECRET = re.compile(
    r"(?<![\w+/=.-])(?=[\w+/=.-]*\d)[\w+/=.-]{16,}|PRIVATE KEY|://[^\s/@:]+:[^\s/@]+@|xox[baprs]-",
    re.ASCII,
)
_DIGIT = re.compile(r"\d")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b")
_PHONE = re.compile(r"\+\d[\d ()/.-]{6,}\d")


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
    text = text[:MAX_TEXT]
    if not _MAYBE_SECRET.search(text):
        return ()
    found = {
        detector.secret_type
        for detector in _detectors()
        for match in detector.analyze_string(text)
        if match
    }
    return tuple(sorted(found))


PERSONAL_KINDS: Final = ("card", "email", "iban", "phone")


def personal_in(text: str) -> tuple[str, ...]:
    """Kinds of personal data found in `text`: "card", "email", "iban", "phone"."""
    text = text[:MAX_TEXT]
    found: list[str] = []
    if "@" in text and _EMAIL.search(text):
        found.append("email")
    if not _DIGIT.search(text):
        return tuple(found)  # no account, card or telephone number
    if any(iban.is_valid(match.group()) for match in _IBAN.finditer(text)):
        found.append("iban")
    if any(luhn.is_valid(re.sub(r"\D", "", m.group())) for m in _CARD.finditer(text)):
        found.append("card")
    if _PHONE.search(text) and any(phonenumbers.PhoneNumberMatcher(text, None)):
        found.append("phone")
    return tuple(sorted(found))


def emails_in(text: str) -> tuple[str, ...]:
    return tuple(_EMAIL.findall(text[:MAX_TEXT])) if "@" in text else ()
