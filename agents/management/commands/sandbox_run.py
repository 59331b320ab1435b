"""``manage.py sandbox_run``: run a program in a jail and print what came of it."""

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents.sandbox import config, runtime
from agents.sandbox.contract import EndStep, GuestCall, JailLimits, Reply, StepRequest, StepResult
from agents.sandbox.errors import SandboxError
from agents.sandbox.pool import Pool
from agents.sandbox.runtime import Runtime


class _NoTools:
    """There are no tools here, so there is nothing to answer."""

    def call(self, call: GuestCall) -> Reply:
        return EndStep(f"{call.tool} is not available")

    def needs_value(self, token: str, what: str) -> None:
        del token, what


class _BadLine(Exception):
    """An input line that is no job; ``name`` is its id as far as it could be read."""

    def __init__(self, problem: str, name: Any = None) -> None:
        super().__init__(problem)
        self.name = name


class Command(BaseCommand):
    help = "Run a Python program in a fresh jail and print {stdout, value, error} as JSON."
    requires_system_checks: list[str] = []  # Nothing but the jail is needed, no database either.

    def add_arguments(self, parser: ArgumentParser) -> None:
        limits = JailLimits()
        parser.add_argument("file", help="the program, or - for standard input")
        parser.add_argument(
            "--jsonl",
            action="store_true",
            help="the input holds one {id, code, state?} per line; each gets a fresh jail",
        )
        parser.add_argument("--runtime", default="stdlib", help="name of a built runtime")
        parser.add_argument("--wall-s", type=float, default=limits.wall_s)
        parser.add_argument("--cpu-s", type=int, default=limits.cpu_s)
        parser.add_argument("--memory-mb", type=int, default=limits.memory_bytes >> 20)
        parser.add_argument("--output-bytes", type=int, default=limits.output_bytes)
        parser.add_argument("--seed", default="sandbox_run", help="seed of the random sources")

    def handle(self, **options: Any) -> None:
        try:
            limits = JailLimits(
                wall_s=options["wall_s"],
                cpu_s=options["cpu_s"],
                memory_bytes=options["memory_mb"] << 20,
                output_bytes=options["output_bytes"],
            )
            setup = config.from_settings()
            chosen = runtime.named_runtime(options["runtime"], setup.home)
            pool = Pool(setup)
        except (SandboxError, ValueError) as error:
            raise CommandError(str(error)) from error
        runner = _Runner(pool, chosen, limits, options["seed"])
        try:
            if options["jsonl"]:
                for line in _lines(options["file"]):
                    self._print(runner.run_line(line))
            else:
                self._print(runner.run(_text(options["file"]), {}))
        except SandboxError as error:
            raise CommandError(str(error)) from error
        finally:
            pool.close()

    def _print(self, answer: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(answer, ensure_ascii=False))
        self.stdout.flush()


class _Runner:
    """Runs jobs one after another, each in a jail of its own."""

    def __init__(self, pool: Pool, chosen: Runtime, limits: JailLimits, seed: str) -> None:
        self._pool = pool
        self._runtime = chosen
        self._limits = limits
        self._seed = seed

    def run(self, code: str, state: dict[str, Any]) -> dict[str, Any]:
        request = StepRequest(
            index=1, code=code, time_us=time.time_ns() // 1_000, seed=self._seed, state=state
        )
        with self._pool.acquire(self._runtime, self._limits) as jail:
            return _shown(jail.step(request, _NoTools()))

    def run_line(self, line: bytes) -> dict[str, Any]:
        try:
            name, code, state = _job(line)
        except _BadLine as bad:
            error = {"type": "bad_line", "message": str(bad), "line": None}
            return {"id": bad.name, "stdout": "", "value": None, "error": error}
        return {"id": name, **self.run(code, state)}


def _shown(result: StepResult) -> dict[str, Any]:
    error = result.error
    return {
        "stdout": result.stdout,
        "value": result.final if result.status == "final" else result.value,
        "error": error and {"type": error.type, "message": error.message, "line": error.line},
    }


def _job(line: bytes) -> tuple[Any, str, dict[str, Any]]:
    """Read one line.

    Raises:
        _BadLine: the person who wrote it has to correct it.
    """
    try:
        job = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _BadLine(f"not JSON: {error}") from error
    if not isinstance(job, dict):
        raise _BadLine("a line is an object {id, code, state?}")
    name, code, state = job.get("id"), job.get("code"), job.get("state", {})
    if unknown := job.keys() - {"id", "code", "state"}:
        raise _BadLine(f"unknown fields: {', '.join(sorted(unknown))}", name)
    if "id" not in job:
        raise _BadLine("id is missing")
    if not isinstance(code, str):
        raise _BadLine("code must be text", name)
    if state is None:
        state = {}
    if not isinstance(state, dict) or not all(key.isidentifier() for key in state):
        raise _BadLine("state must be an object whose keys are variable names", name)
    return name, code, state


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _lines(file: str) -> Iterator[bytes]:
    """Give the lines that hold something, as they come."""
    if file == "-":
        yield from _filled(sys.stdin.buffer)
        return
    try:
        with Path(file).open("rb") as stream:
            yield from _filled(stream)
    except OSError as error:
        raise CommandError(str(error)) from error


def _filled(stream: Iterable[bytes]) -> Iterator[bytes]:
    return (line for line in stream if line.strip())


def _text(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise CommandError(str(error)) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not UTF-8: {error}") from error
