"""Effects as tables: every value, where it came from, what it is for. Pure.

Built from what the request displays (and thereby binds); the state of each effect is added beside
it and is not part of what was signed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agents.approvals.manifest import GIVEN_FILES, is_currency, minor_units, money
from audit.canonical import JSON
from countersign.console import words
from countersign.console.values import Shown, shown

# Up to this many runs of one tool a table per tool reads best; beyond it, one list in order.
MAX_TABLES = 4
LONG = 90
MAX_COLUMNS = 6
_TELLING = ("tool", "file", "task", "literal", "step")
UNTRUSTED = "untrusted"
AFTER = ", after untrusted text was read"


@dataclass(frozen=True)
class Origin:
    """One source of a value, in words; `untrusted` when a label says so.

    `written`: the agent wrote it after it had read outsiders' text, so it may be theirs.
    """

    text: str
    untrusted: bool
    written: bool = False


@dataclass(frozen=True)
class Part:
    """One value with its origins; `about` says which value they are of where it is not plain.

    `masked`: a rule hides it until whoever reads asks for it.
    """

    value: Shown
    origins: tuple[Origin, ...]
    also: tuple[Origin, ...] = ()
    about: str = ""
    masked: bool = False

    @property
    def untrusted(self) -> bool:
        return any(origin.untrusted for origin in (*self.origins, *self.also))

    @property
    def written(self) -> bool:
        return any(origin.written for origin in (*self.origins, *self.also))


@dataclass(frozen=True)
class Cell:
    """What stands under one heading: one value, or two that belong together."""

    heading: str
    role: str
    parts: tuple[Part, ...]

    @property
    def numeric(self) -> bool:
        return self.role == "amount"


@dataclass(frozen=True)
class Row:
    """One effect."""

    number: int
    tool: str
    version: str
    words: str
    cells: tuple[Cell, ...]
    state: str

    @property
    def untrusted(self) -> bool:
        parts = [part for cell in self.cells for part in cell.parts]
        return any(part.untrusted for part in parts)


@dataclass(frozen=True)
class Heading:
    """What a column holds; `cell` stands for all of it where every row has the same origins."""

    text: str
    numeric: bool
    cell: Cell | None


@dataclass(frozen=True)
class Group:
    """Effects that follow each other and share their headings; `wide` has too much for columns."""

    tool: str
    words: str
    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    wide: bool


@dataclass(frozen=True)
class Source:
    """What the run has read, and where in this request it goes.

    `seen`: outsiders' text that the agent may have known when it wrote the program.
    """

    name: str
    labels: tuple[str, ...]
    calls: int
    reaches: tuple[str, ...]
    seen: bool = False


def rows(
    effects: Sequence[Mapping[str, Any]],
    labels: Mapping[str, Sequence[str]],
    states: Mapping[int, str],
    masked: Collection[str] = (),
    seen: Collection[str] = (),
) -> tuple[Row, ...]:
    """The effects of a request.

    Args:
        effects: entries of the manifest, as displayed.
        labels: tool → labels of what it returned in this run.
        states: position → state of the call now.
        masked: arguments that a rule hides until whoever reads asks for them.
        seen: labels of what the agent had read when it wrote the program.
    """
    names = {str(e["token"]): f"result of effect {e['position'] + 1}" for e in effects}
    return tuple(
        Row(
            number=effect["position"] + 1,
            tool=effect["tool"],
            version=effect["version"],
            words=words.humanise(effect["tool"]),
            cells=_cells(
                effect, labels, names, frozenset(masked), after=AFTER if UNTRUSTED in seen else ""
            ),
            state=states.get(effect["position"], ""),
        )
        for effect in effects
    )


def groups(found: Sequence[Row]) -> tuple[Group, ...]:
    """Rows in their order, as few tables as keep it."""
    together: list[list[Row]] = []
    for row in found:
        if together and _shape(together[-1][0]) == _shape(row):
            together[-1].append(row)
        else:
            together.append([row])
    if len(together) > MAX_TABLES:
        return (Group("", "", (), tuple(found), wide=True),)
    return tuple(
        Group(
            part[0].tool,
            part[0].words,
            _headings(part),
            tuple(part),
            _is_wide(part),
        )
        for part in together
    )


def summary(found: Sequence[Row], displayed: Mapping[str, Any]) -> list[str]:
    """The figures under the table: largest, smallest, recipients, values from untrusted text."""
    said: list[str] = []
    sums = displayed.get("totals", {}).get("amounts", {})
    for currency, total in sums.items():
        values = sorted(_amounts(displayed.get("effects", ()), currency))
        if len(values) > 1:
            big, small = money(values[-1], currency), money(values[0], currency)
            said.append(f"{money(total, currency)} in all, largest {big}, smallest {small}")
    people = len(displayed.get("totals", {}).get("recipients", ()))
    if people:
        said.append(words.count(people, "recipient"))
    bad = sum(part.untrusted for row in found for cell in row.cells for part in cell.parts)
    typed = sum(part.written for row in found for cell in row.cells for part in cell.parts)
    if bad or not typed:
        said.append(f"{words.count(bad, 'value') if bad else 'no value'} from untrusted text")
    if typed:
        said.append(f"{words.count(typed, 'value')} written{AFTER.removeprefix(',')}")
    return said


def sources(displayed: Mapping[str, Any]) -> tuple[Source, ...]:
    """What the run has read so far and whether this request uses it."""
    uses: dict[str, list[str]] = {}
    for effect in displayed.get("effects", ()):
        for origins in effect["origins"].values():
            for source in origins:
                kind, _, tool = source.partition(":")
                name = words.humanise(effect["tool"])
                read = {"tool": tool, "file": GIVEN_FILES}.get(kind, "")
                if read and name not in uses.setdefault(read, []):
                    uses[read].append(name)
    seen = UNTRUSTED in displayed.get("seen", ())
    return tuple(
        Source(
            words.humanise(row["tool"]),
            tuple(row["labels"]),
            int(row.get("calls", 0)),
            tuple(uses.get(row["tool"], ())),
            seen and UNTRUSTED in row["labels"],
        )
        for row in displayed.get("data", ())
        if row["effect"] == "read"
    )


def labels_of(displayed: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Tool → labels of what it returned, as the request displays them."""
    return {row["tool"]: row["labels"] for row in displayed.get("data", ())}


def numbers(found: Iterable[Row]) -> dict[str, str]:
    """Tool → `effect 1` or `effects 1–12`, for the lines of the program that make them."""
    by_tool: dict[str, list[int]] = {}
    for row in found:
        by_tool.setdefault(row.tool, []).append(row.number)
    return {
        tool: f"effect {n[0]}" if len(n) == 1 else f"effects {_ranges(n)}"
        for tool, n in by_tool.items()
    }


def _ranges(found: Sequence[int]) -> str:
    if found[-1] - found[0] + 1 == len(found):
        return f"{found[0]}–{found[-1]}"
    return ", ".join(map(str, found))


def _cells(
    effect: Mapping[str, Any],
    labels: Mapping[str, Sequence[str]],
    names: Mapping[str, str],
    masked: frozenset[str],
    *,
    after: str,
) -> tuple[Cell, ...]:
    arguments: Mapping[str, Any] = effect["arguments"]
    by_role = {role: name for name, role in effect["roles"].items() if name in arguments}
    cells: list[Cell] = []
    used: set[str] = set()

    def part(value: Shown, name: str) -> Part:
        used.add(name)
        said = "" if is_currency(arguments[name]) else after
        return Part(value, _origins(effect, name, labels, said), masked=name in masked)

    recipient, payee = by_role.get("recipient"), by_role.get("payee")
    if recipient:
        parts = [part(shown(arguments[name], names), name) for name in (payee, recipient) if name]
        cells.append(Cell("Recipient", "recipient", _once(parts)))
    currency = by_role.get("currency")
    total = by_role.get("amount_minor") or by_role.get("amount")
    if total:
        paid = amount(effect, arguments.get(currency or ""))
        if paid and currency:
            of, other = part(paid, total), part(paid, currency)
            also = () if of.origins == other.origins else other.origins
            cells.append(Cell("Amount", "amount", (replace(of, also=also, about="currency"),)))
        else:
            plain = part(shown(arguments[total], names), total)
            cells.append(Cell(words.humanise(total), "amount", (plain,)))
    # In the order of the call, but long texts go last.
    for name, value in sorted(arguments.items(), key=lambda item: len(str(item[1])) > LONG):
        if name not in used:
            role = str(effect["roles"].get(name, ""))
            cells.append(Cell(words.humanise(name), role, (part(shown(value, names), name),)))
    return tuple(cells)


def _once(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Values that come from the same place say so once, at the last of them."""
    same = len({part.origins for part in parts}) == 1
    return (*(replace(part, origins=()) if same else part for part in parts[:-1]), parts[-1])


def _origins(
    effect: Mapping[str, Any], name: str, labels: Mapping[str, Sequence[str]], after: str
) -> tuple[Origin, ...]:
    found: list[Origin] = []
    for source in telling(effect["origins"].get(name) or ("unknown",)):
        kind, _, tool = source.partition(":")
        bad = kind == "file" or (kind == "tool" and UNTRUSTED in labels.get(tool, ()))
        written = bool(after) and kind == "literal"
        text = words.origin(source) + (after if written else "")
        found.append(Origin(text, bad, written))
    return tuple(found)


def telling(sources: Sequence[str]) -> list[str]:
    """The sources that say most: tools, files, then the task, then what is known beside them.

    An address that the program wrote is told beside them: it may be the value. Variables of
    earlier steps carry the sources of what made them, and nearly every value was touched by a
    literal; both are left out where something outside the program is known. The page of the call
    has the whole list.
    """
    kinds = {kind: [s for s in sources if s.partition(":")[0] == kind] for kind in _TELLING}
    outside = kinds["tool"] + kinds["file"] + kinds["task"]
    other = [s for s in sources if s.partition(":")[0] not in _TELLING]
    if outside + other:
        return outside + other + [s for s in kinds["literal"] if s != "literal"]
    plain = [s for s in kinds["literal"] if s == "literal"]
    return (plain or kinds["literal"]) + kinds["step"]


def _shape(row: Row) -> tuple[object, ...]:
    return (row.tool, row.version, *(cell.heading for cell in row.cells))


def _headings(part: Sequence[Row]) -> tuple[Heading, ...]:
    columns = zip(*(row.cells for row in part), strict=True)
    return tuple(
        Heading(
            cells[0].heading,
            cells[0].numeric,
            cells[0] if len({_origins_in(cell) for cell in cells}) == 1 else None,
        )
        for cells in columns
    )


def _origins_in(cell: Cell) -> tuple[object, ...]:
    return tuple((part.origins, part.also) for part in cell.parts)


def _is_wide(part: Sequence[Row]) -> bool:
    cells = [cell for row in part for cell in row.cells]
    long = any(len(each.value.text) > LONG for cell in cells for each in cell.parts)
    return long or len(part[0].cells) > MAX_COLUMNS


def _amounts(effects: Iterable[Mapping[str, Any]], currency: str) -> Iterable[int]:
    for effect in effects:
        by_role = {role: effect["arguments"].get(name) for name, role in effect["roles"].items()}
        value = minor(effect)
        if value is not None and (by_role.get("currency") or "") == currency:
            yield value


def minor(effect: Mapping[str, Any]) -> int | None:
    """The amount of an effect in hundredths of its currency, where a role names one exactly."""
    return minor_units(
        {role: effect["arguments"].get(name) for name, role in effect["roles"].items()}
    )


def amount(effect: Mapping[str, Any], currency: JSON) -> Shown | None:
    """The amount with its currency as people write it, or None where it is not one."""
    value = minor(effect)
    if value is None or not is_currency(currency):
        return None
    return Shown((money(value, currency),))
