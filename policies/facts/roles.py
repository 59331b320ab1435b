"""Roles of arguments: what a tool declares, or else what the name of an argument implies."""

import re
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# One word for each kind of role, whatever its tool calls it.
_SYNONYMS: Final = {
    "recipient": "recipient recipients to cc bcc destination payee beneficiary receiver account "
    "account_number bank_account iban email email_address address to_address to_account phone "
    "phone_number channel chat_id webhook payee_account target audience",
    "amount": "amount total sum money price value_eur amount_eur amount_usd",
    "command": "command cmd shell script code sql query_sql statement",
    "url": "url uri endpoint link host domain egress",
    "path": "path file filename file_path filepath",
}
_ROLES: Final = {name: role for role, names in _SYNONYMS.items() for name in names.split()}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ADDRESSES = _words("recipient recipients email iban payee beneficiary destination webhook phone")
_OF_ADDRESSES = _words("address account email id list name number code")
_NOT_IMPLIED = frozenset({"target", "audience", "code", "address", "link", "value"})


def role_of(parameter: str, declared: str, effect: str) -> str:
    """The role of an argument: declared, or else what its name implies for a write.

    An implied role can only make a decision stricter; a read tool has only declared ones,
    since looking something up by an address sends nothing to it.
    """
    if declared:
        word = declared.strip().lower().replace(" ", "_").replace("-", "_")
        parts = word.split("_")
        if word not in _ROLES and not _ADDRESSES.isdisjoint(parts) and parts[-1] in _OF_ADDRESSES:
            return "recipient"
        return _ROLES.get(word) or _ROLES.get(parts[-1], word)
    if effect == "read" or parameter in _NOT_IMPLIED:
        return ""
    name = _HUMP.sub("_", parameter).lower()
    if not _ADDRESSES.isdisjoint(name.split("_")):
        return "recipient"
    return _ROLES.get(name, "")


CONTENT_ROLES: Final = _words("free_text text content body message note memo description")
"""An argument of such a role is told or kept: what stands inside it has no role by its name."""

OBJECT: Final = "object"
"""The role of what may be an object whose fields nobody knows before it is there."""

_KEY_NAMES = frozenset({"id", "key", "number", "reference", "ref", "code", "sku", "isbn", "slug"})
_KEY_ROLES = frozenset({"key", "id", "identifier", "reference", "lookup"})


def is_key(parameter: str, role: str) -> bool:
    """Whether this argument of a reading tool selects a record rather than being content."""
    if role:
        return role in _KEY_ROLES
    return parameter in _KEY_NAMES or parameter.endswith(("_id", "_key", "_number", "_ref"))
