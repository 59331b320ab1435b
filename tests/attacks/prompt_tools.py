"""A mailbox whose letters hold what no model should be told. Secrets are put together here."""

from agents.tools.decorator import tool

KEY = "AKIA" + "IOSFODNN7EXAMPLE"
CARD = "4111 1111 1111 1111"
PERSON = "536-90-4399"
LETTERS = {
    "quiet": "Dear customer, see you on Monday.",
    "key": f"Our new key is {KEY}. Keep it safe.",
    "hidden key": f"Our new key is {KEY[:9]}\u200b{KEY[9:]}.",
    "broken key": f"Our new key is\n> {KEY[:12]}\n> {KEY[12:]}\n> since Monday.",
    "card": f"Please charge {CARD} from now on.",
    "hidden card": "Please charge 41\u200b11 1111\u2060 1111 \uff11111 from now on.",
    "person": f"My number is {PERSON[:2]}\u200b{PERSON[2:]}.",
    "mail": "Write to ann@corp.example.",
}


@tool(effect="read", tier=0)
def letter(name: str) -> str:
    """Read a letter.

    Args:
        name: Which.
    """
    return LETTERS[name]
