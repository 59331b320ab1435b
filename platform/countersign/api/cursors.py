"""Where a page ended, as a text that only we can make.

A cursor is signed and tied to its list, so that one of another list, a guess or a damaged one is
refused (422) and never read as "from the start".
"""

from django.core.signing import BadSignature, Signer

from countersign.api.problems import invalid


def seal(list_name: str, position: str) -> str:
    """The cursor for a position; "" for "", the end."""
    return _signer(list_name).sign(position) if position else ""


def unseal(list_name: str, cursor: str) -> str:
    """The position in a cursor; "" for "", the start.

    Raises:
        Problem: 422, the cursor is not one of this list.
    """
    if not cursor:
        return ""
    try:
        return _signer(list_name).unsign(cursor)
    except BadSignature as error:
        wrong = "is not one that this list gave; start again without"
        raise invalid([("cursor", wrong)]) from error


def _signer(list_name: str) -> Signer:
    return Signer(salt=f"countersign.api.cursor.{list_name}")
