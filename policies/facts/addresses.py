"""Texts that are, or may become, an address, an account or a word of the program."""

import re

_ADDRESS = re.compile(r"[\w.+@,;:/<>-]*[A-Za-z0-9][\w.+@,;:/<>-]*", re.ASCII)
_ACCOUNT = re.compile(r"[A-Z]{2}\d\d[A-Z0-9 ]{4,36}", re.ASCII)
_PHONE = re.compile(r"\+?\d[\d ()/.-]{5,}", re.ASCII)  # or the number of an account
_DATE = re.compile(r"\d{4}[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.]\d{4}|\d+\.\d+$", re.ASCII)
_DOMAIN = re.compile(r"[A-Za-z0-9]\.[A-Za-z]{2}", re.ASCII)


def is_address(text: str) -> bool:
    """Whether a literal is, or is a part of, an e-mail address, URL, phone or account number."""
    if text == "@":
        return True
    if "@" in text or "://" in text:
        return len(text) < 200 and _ADDRESS.fullmatch(text) is not None
    if not 6 < len(text) < 42:
        return False
    if text[0] in "+0123456789":
        return _PHONE.fullmatch(text) is not None and _DATE.match(text) is None
    return _ACCOUNT.fullmatch(text) is not None


def is_wordy(text: str) -> bool:
    """Whether a text has letters or digits that spell something: more than a mark or an initial."""
    return _WORD.search(text) is not None


_WORD = re.compile(r"[A-Za-z0-9]{2}", re.ASCII)


def is_part_of_address(text: str) -> bool:
    """Whether text that is put beside other text could make an address of it: a domain."""
    return _DOMAIN.search(text) is not None and not any(map(str.isspace, text))
