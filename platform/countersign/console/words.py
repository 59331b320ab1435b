"""One sign, one word and one tone for every state: what screens say, everywhere the same. Pure."""

from dataclasses import dataclass

LIVE, ALLOW, REVIEW, DENY, DOUBT, QUIET = "live", "allow", "review", "deny", "doubt", ""


@dataclass(frozen=True)
class Word:
    """How a state is shown. `tone` picks the colour, which never stands alone."""

    sign: str
    text: str
    tone: str = QUIET


UNKNOWN_WORD = Word("·", "unknown state")

RUN = {
    "queued": Word("○", "queued"),
    "running": Word("▶", "running", LIVE),
    "awaiting_approval": Word("◆", "waiting for signatures", REVIEW),
    "awaiting_input": Word("◆", "waiting for an answer", REVIEW),
    "awaiting_child": Word("○", "waiting for another run"),
    "succeeded": Word("✓", "succeeded", ALLOW),
    "failed": Word("✕", "failed", DENY),
    "denied": Word("✕", "refused by policy", DENY),
    "cancelled": Word("■", "stopped"),
    "expired": Word("–", "expired"),
}
STEP = {
    "unparsed": Word("–", "no program in the reply"),
    "denied": Word("✕", "refused before it ran", DENY),
    "rejected": Word("✕", "rejected by a reviewer, nothing happened", DENY),
    "awaiting_approval": Word("◆", "waits for signatures", REVIEW),
    "ready": Word("▶", "running", LIVE),
    "executed": Word("✓", "ran", ALLOW),
}
CALL = {
    "planned": Word("◇", "planned, not run", REVIEW),
    "intended": Word("▶", "under way", LIVE),
    "succeeded": Word("✓", "done", ALLOW),
    "failed": Word("✕", "failed, did not happen", DENY),
    "unknown": Word("?", "in doubt", DOUBT),
    "cleared": Word("○", "did not happen, may be made now"),
    "void": Word("–", "will not run"),
}
APPROVAL = {
    "waiting": Word("◆", "waiting for signatures", REVIEW),
    "info_requested": Word("◆", "a question is open", REVIEW),
    "approved": Word("✓", "signed", ALLOW),
    "rejected": Word("✕", "rejected", DENY),
    "expired": Word("–", "expired"),
    "superseded": Word("–", "out of date"),
    "cancelled": Word("■", "withdrawn"),
}
OUTCOME = {
    "allow": Word("✓", "allowed by policy", ALLOW),
    "review": Word("◆", "needs signatures", REVIEW),
    "deny": Word("✕", "refused by policy", DENY),
}
ENDING = {
    "completed": Word("✓", "ran to its end", ALLOW),
    "final": Word("✓", "gave the final answer", ALLOW),
    "error": Word("!", "ended with an error", DENY),
    "stopped": Word("■", "stopped"),
    "limit_time": Word("!", "stopped at the time limit", DENY),
    "limit_memory": Word("!", "stopped at the memory limit", DENY),
    "limit_output": Word("!", "stopped at the output limit", DENY),
    "jail_killed": Word("!", "killed by the sandbox", DENY),
}
KINDS = {
    "run": RUN,
    "step": STEP,
    "call": CALL,
    "approval": APPROVAL,
    "outcome": OUTCOME,
    "ending": ENDING,
}

TIERS = ("Minimal", "Low", "Medium", "High", "Critical")
AGENCY = (
    "0, processor: its output has no influence on what happens next",
    "1, router: its output picks a branch",
    "2, tool call: its output picks a tool and its arguments",
    "3, multi-step: its output decides on continuing, or is code",
)
ROLES = {
    "operator": "operator",
    "policy_officer": "policy officer",
    "auditor": "auditor",
    "admin": "administrator",
}

ARGUMENT_ROLES = {"amount_minor": "Amount in hundredths", "free_text": "Free text", "url": "URL"}


def word(kind: str, state: str) -> Word:
    """The word for a state of `kind` (a key of `KINDS`)."""
    return KINDS[kind].get(state, UNKNOWN_WORD)


def tier(number: int) -> str:
    return TIERS[number] if 0 <= number < len(TIERS) else f"Tier {number}"


def role(name: str) -> str:
    """`reviewer:finance` → `reviewer: finance`."""
    return ROLES.get(name, name.replace(":", ": ").replace("_", " "))


def argument_role(name: str) -> str:
    """What an argument is to policies: `recipient` → `Recipient`."""
    return ARGUMENT_ROLES.get(name, humanise(name))


def rule(name: str) -> str:
    """`read-both-sensitive-and-untrusted` → `Read both sensitive and untrusted`."""
    return humanise(name.replace("-", "_"))


def names(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def humanise(name: str) -> str:
    """`create_payment` → `Create payment`."""
    text = name.rsplit(".", 1)[-1].replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def origin(source: str) -> str:
    """Where a value came from, as facts name it, in words."""
    if source == "literal:address":
        return "an address in the program"
    kind, _, name = source.partition(":")
    known = {
        "task": "the task",
        "file": "a file of outsiders",
        "literal": "the program",
        "tool": name or "a tool",
        "step": f"variable {name} of an earlier step" if name else "an earlier step",
        "unknown": "unknown origin",
    }
    return known.get(kind, source)


def count(number: int, one: str, many: str = "") -> str:
    """`1 effect`, `12 effects`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """A duration in its largest sensible unit: `42 s`, `18 min`, `2 h`, `3 d`."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds / 86_400)} d"


def cost(micros: int, currency: str) -> str:
    """Millionths of a currency unit for people; small sums keep their digits."""
    if not micros:
        return f"0 {currency}".strip()
    digits = 2 if micros >= 10_000 else 4
    return f"{micros / 1_000_000:,.{digits}f} {currency}".strip()


def spent(micros: int, tokens: int, currency: str) -> str:
    """A cost as it was recorded; tokens of a model without a price cost nothing that is known."""
    return "no cost recorded" if tokens and not micros else cost(micros, currency)
