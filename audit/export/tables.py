"""The forms of a bundle that people read: CSV and a printable HTML report.

Both are derived from the entries; the verifier checks the entries.
"""

import html
import json
from collections import Counter
from collections.abc import Mapping, Sequence

from audit.canonical import JSON

CSV_HEADER = (
    "position",
    "time",
    "action",
    "actor_type",
    "actor_id",
    "actor_name",
    "on_behalf_of_type",
    "on_behalf_of_id",
    "on_behalf_of_name",
    "subject_type",
    "subject_id",
    "subject_version",
    "run",
    "run_seq",
    "detail",
    "payloads",
    "id",
    "prev",
    "trace",
    "leaf_hash",
)
# A spreadsheet would run a cell that begins so; some take the full-width forms for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MAX_REPORTED = 5000
"""Entries printed in the report; the CSV has them all."""


BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Without it spreadsheets take UTF-8 for the letters of their own country."""


def csv_line(cells: Sequence[object]) -> bytes:
    """Return one line: every cell quoted, none of them a formula."""
    return (",".join(map(_cell, cells)) + "\r\n").encode()


def csv_cells(position: int, leaf: Mapping[str, JSON], digest: bytes) -> list[object]:
    behalf = leaf.get("on_behalf_of", {})
    return [
        position,
        leaf["time"],
        leaf["action"],
        leaf["actor"]["type"],
        leaf["actor"]["id"],
        leaf["actor"]["name"],
        behalf.get("type", ""),
        behalf.get("id", ""),
        behalf.get("name", ""),
        leaf["subject"]["type"],
        leaf["subject"]["id"],
        leaf["subject"].get("version", ""),
        leaf.get("run", ""),
        leaf.get("run_seq", ""),
        json.dumps(leaf["detail"], ensure_ascii=False) if "detail" in leaf else "",
        " ".join(leaf.get("payloads", {})),
        leaf["id"],
        leaf.get("prev", ""),
        leaf.get("trace", ""),
        digest.hex(),
    ]


def _cell(value: object) -> str:
    text = str(value)
    if text.startswith(_FORMULA):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"'


_STYLE = """
body{font:11pt/1.45 system-ui,sans-serif;color:#1a1a1a;max-width:62rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}
table{border-collapse:collapse;width:100%;font-size:9pt}th,td{text-align:left;padding:.25rem .5rem;
border-bottom:1px solid #ccc;vertical-align:top;overflow-wrap:anywhere}
th{border-bottom:2px solid #555}thead{display:table-header-group}tr{break-inside:avoid}
code{font:9pt ui-monospace,monospace;overflow-wrap:anywhere}dt{color:#555;font-size:9pt}
dd{margin:0 0 .5rem}.note{border-left:3px solid #777;padding-left:.75rem;color:#333}
@media print{body{margin:0;max-width:none}}
"""


class Report:
    """Gathers what the printed report shows while entries pass by."""

    def __init__(self, memory: Mapping[str, JSON] | None = None) -> None:
        memory = memory or {}
        self.actions: Counter[str] = Counter(memory.get("actions", {}))
        self.people: Counter[str] = Counter(memory.get("people", {}))
        self.shown = int(memory.get("shown", 0))
        self.first_time = str(memory.get("first_time", ""))
        self.last_time = str(memory.get("last_time", ""))

    def memory(self) -> dict[str, JSON]:
        return {
            "actions": dict(self.actions),
            "people": dict(self.people.most_common(1000)),
            "shown": self.shown,
            "first_time": self.first_time,
            "last_time": self.last_time,
        }

    def row(self, position: int, leaf: Mapping[str, JSON]) -> bytes:
        """Count an entry; return its table row, or nothing once there are too many."""
        self.actions[leaf["action"]] += 1
        self.people[f"{leaf['actor']['name']} ({leaf['actor']['type']})"] += 1
        self.shown += 1
        self.first_time, self.last_time = self.first_time or leaf["time"], leaf["time"]
        if self.shown > MAX_REPORTED:
            return b""
        subject = leaf["subject"]
        cells = [
            str(position),
            leaf["time"][:19].replace("T", " "),
            leaf["action"],
            _actor(leaf),
            f"{subject['type']} {subject['id']}",
            ", ".join(f"{k}: {_said(v)}" for k, v in leaf.get("detail", {}).items()),
        ]
        return ("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>\n").encode()

    def page(self, facts: Mapping[str, str], rows: bytes, statement: str) -> bytes:
        """Return the whole report."""
        described = "".join(
            f"<dt>{html.escape(k)}</dt><dd><code>{html.escape(v)}</code></dd>"
            for k, v in facts.items()
        )
        more = self.shown - MAX_REPORTED
        rest = f"<p>{more} further entries are in entries.csv.</p>" if more > 0 else ""
        return (
            (
                '<!doctype html><html lang="en"><meta charset="utf-8">'
                f"<title>Audit report</title><style>{_STYLE}</style>"
                f"<h1>Audit report</h1><p class=note>{html.escape(statement)}</p>"
                f"<h2>What this bundle is</h2><dl>{described}</dl>"
                f"<h2>What happened</h2>{_counts('Action', self.actions)}"
                f"<h2>Who acted</h2>{_counts('Actor', self.people)}"
                "<h2>Entries</h2><table><thead><tr><th>Position<th>Time (UTC)<th>Action<th>Actor"
                "<th>Subject<th>Detail</thead><tbody>\n"
            ).encode()
            + rows
            + f"</tbody></table>{rest}</html>\n".encode()
        )


def _actor(leaf: Mapping[str, JSON]) -> str:
    name: str = leaf["actor"]["name"]
    behalf = leaf.get("on_behalf_of", {})
    told = bool(behalf) and behalf["id"] != leaf["actor"]["id"]
    return f"{name}, for {behalf['name']}" if told else name


def _said(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _counts(title: str, counted: Counter[str]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}<td>{count}" for name, count in counted.most_common(100)
    )
    return f"<table><thead><tr><th>{title}<th>Entries</thead><tbody>{rows}</tbody></table>"
