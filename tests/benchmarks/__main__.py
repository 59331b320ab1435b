"""``make bench`` and ``make soak``: run the harnesses, print a table, keep the numbers.

Every module ``bench_<what>`` beside this one has ``run() -> list[Result]``. A soak harness is a
test marked ``soak`` that hands its numbers to the fixture ``measured``.
"""

import argparse
import importlib
import os
import pkgutil
import sys
import traceback

# Before anything imports Django's settings.
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.harness.settings"

import django
import pytest

from countersign import heap
from tests import benchmarks
from tests.benchmarks.result import MEASURED, Result, save, table

NO_TESTS = 5


def modules(wanted: list[str]) -> list[str]:
    found = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__))
    names = [name for name in found if name.startswith("bench_")]
    return [name for name in names if not wanted or name.removeprefix("bench_") in wanted]


def bench(wanted: list[str]) -> int:
    """Run every harness; one that breaks does not keep the others from running."""
    django.setup()
    results: list[Result] = []
    broken = []
    for name in modules(wanted):
        sys.stderr.write(f"{name} …\n")
        try:
            module = importlib.import_module(f"tests.benchmarks.{name}")
            # As every process does that serves, once it has loaded what it works with.
            heap.settle()
            found = module.run()
        except Exception:  # noqa: BLE001 - reported below, and by the exit status
            traceback.print_exc()
            broken.append(name)
            continue
        save(found)
        results += found
    print(table(results))  # noqa: T201 - it is what the command is for
    if broken:
        print(f"broken: {', '.join(broken)}")  # noqa: T201
    return 1 if broken else 0


def soak(wanted: list[str]) -> int:
    words = ["-m", "soak", "-q", "tests", *(["-k", " or ".join(wanted)] if wanted else [])]
    status = pytest.main(words)
    save(MEASURED)
    print(table(MEASURED))  # noqa: T201
    return 0 if status == NO_TESTS else int(status)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("names", nargs="*", help="only these (after bench_)")
    chosen = parser.parse_args()
    sys.exit(soak(chosen.names) if chosen.soak else bench(chosen.names))
