"""Play every attack on the log and write who caught it: `python -m tests.attacks.log_table`.

Writes tests/vectors/attacks.json, and the table in deploy/docs/log-format.md between its
two marks.
"""

import json
import tempfile
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "deploy" / "docs" / "log-format.md"
BEGIN, END = "<!-- attacks -->\n", "<!-- /attacks -->"


def played() -> dict[str, dict[str, dict[str, list[int | str]]]]:
    """Return attack → strength → layer → what it said."""
    from tests.attacks import log_stage
    from tests.attacks.log_cases import BUNDLE_CASES, CASES
    from tests.harness.server import Server
    from tests.harness.settings import SESSION_FOLDER

    server = Server(SESSION_FOLDER)
    server.start()
    table: dict[str, dict[str, dict[str, list[int | str]]]] = {}
    try:
        with log_stage.prepared(server, Path(tempfile.mkdtemp())) as stage:
            for case in CASES:
                for strength in (1, 2, 3):
                    with stage.clone() as forger:
                        case.act(forger, strength)
                        caught = stage.caught_by(forger)
                    table.setdefault(case.name, {})[str(strength)] = caught
            for name, edit in BUNDLE_CASES.items():
                for strength in (1, 2, 3):
                    status = stage.forged_bundle(edit, strength, Path(tempfile.mkdtemp()))
                    table.setdefault(name, {})[str(strength)] = {"bundle": [status]}
    finally:
        server.stop()
    return table


def markdown(table: dict[str, dict[str, dict[str, list[int | str]]]]) -> str:
    """Return the table as the specification shows it."""
    lines = [
        "| attack | strength | operator's check | bundle | + kept checkpoints | + witness |",
        "|---|---|---|---|---|---|",
    ]
    for name, strengths in table.items():
        for strength, caught in strengths.items():
            cells = [
                ", ".join(map(str, caught[layer])) if layer in caught else "–"
                for layer in ("database", "bundle", "kept", "witness")
            ]
            shown = name if strength == "1" else ""
            lines.append(f"| {shown} | {strength} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    from tests.attacks.log_stage import TABLE

    table = played()
    TABLE.write_text(json.dumps(table, indent=1) + "\n")
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}{markdown(table)}{END}{after}")


if __name__ == "__main__":
    django.setup()
    main()
