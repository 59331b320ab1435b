"""`manage.py policy_check`: what the policies say about a program, before it runs.

Works straight after installation with nothing running: without a database, or without an
active policy set, the starter policies decide, and standard error says so. A person at a
terminal gets words; a pipe, a file and `--jsonl` get JSON with all facts.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from audit.verifier.countersign_verify import printable
from policies.engine import PolicyError, PolicySet, compile_policy
from policies.facts.extract import extract
from policies.facts.library import DEFAULT_IMPORTS
from policies.facts.record import ToolSpec
from policies.requests import RunContext
from policies.starter import starter_text
from policies.verdict import judge

MAX_LINE = 20_000_000
_FIELDS = frozenset({"name", "version", "effect", "tier", "labels", "roles", "parameters"})
_OPTIONAL = frozenset({"idempotent", "description", "result", "returns", "output", "summary"})


class LineError(Exception):
    """A line of the input that cannot be judged; its text is the answer."""


class Command(BaseCommand):
    help = "Says whether a program would be allowed, reviewed or denied, and why."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", default="-", help='a Python file, or "-"')
        parser.add_argument(
            "--jsonl",
            action="store_true",
            help="the file has one JSON object a line: {id, code, tools?, imports?}",
        )
        parser.add_argument(
            "--workspace",
            default="",
            help="use the policies of this one: its name in addresses, or its id",
        )

    def handle(self, *_args: object, **options: Any) -> None:
        workspace = _named(options["workspace"])
        text = self._policy_text(workspace)
        registered = _registered_tools(workspace)
        if not options["jsonl"]:
            answer = _judge({"code": _read(options["file"])}, text, registered)
            if self.stdout.isatty():
                self.stdout.write(_words(answer))
            else:
                self._print(answer)
            return
        for number, line in enumerate(_lines(options["file"]), start=1):
            if line.strip():
                self._print(_judge_line(line, number, text, registered))

    def _policy_text(self, workspace: str) -> str:
        if not workspace:
            self.stderr.write("policy_check: no --workspace, so the starter policies decide.")
            return starter_text()
        try:
            return _active_policy(workspace)
        except Exception as error:
            raise CommandError(
                f"workspace {workspace!r} has no active policy set to be had: {error}"
            ) from error

    def _print(self, answer: Mapping[str, Any]) -> None:
        text = json.dumps(answer, ensure_ascii=False, sort_keys=True)
        try:
            text.encode(getattr(self.stdout, "encoding", None) or "utf-8")
        except UnicodeEncodeError:  # half a character, or a terminal that shows only ASCII
            text = json.dumps(answer, sort_keys=True)
        self.stdout.write(text)


def _words(answer: Mapping[str, Any]) -> str:
    """The answer for a person: what was decided, and each rule by name and sentence."""
    rules = [f"  {rule['id']}: {rule['sentence']}" for rule in answer["rules"]]
    more = "All facts, as JSON: the same command with its output in a pipe or a file."
    return "\n".join(map(printable, [answer["sentence"], *rules, more]))


def _named(text: str) -> str:
    """The id of the workspace, as text; "" for none."""
    if not text:
        return ""
    from audit import naming  # noqa: PLC0415 - needs the database

    try:
        return str(naming.workspace_named(text))
    except Exception as error:
        raise CommandError(f"workspace {text!r} cannot be looked up: {error}") from error


def _active_policy(workspace: str) -> str:
    """Text of the workspace's active policy set."""
    from policies import selectors  # noqa: PLC0415 - needs the database

    return selectors.active_policy(UUID(workspace)).text


def _registered_tools(workspace: str) -> dict[str, ToolSpec]:
    """Tools by name, from the provider that the settings name; none without one."""
    path = getattr(settings, "COUNTERSIGN_TOOL_SPECS", "")
    if not path:
        return {}
    try:
        specs: Iterable[ToolSpec] = import_string(path)(workspace)
        return {spec.name: spec for spec in specs}
    except Exception:  # noqa: BLE001 - a provider without its database knows no tools
        return {}


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    try:
        return Path(name).read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}") from error


def _lines(name: str) -> Iterable[bytes]:
    if name == "-":
        yield from sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as stream:
            yield from stream
    except OSError as error:
        raise CommandError(f"cannot read {name}: {error.strerror}") from error


def _judge_line(
    line: bytes, number: int, text: str, registered: Mapping[str, ToolSpec]
) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    try:
        if len(line) > MAX_LINE:
            raise LineError(f"the line is longer than {MAX_LINE} bytes")
        program = json.loads(line)
        if not isinstance(program, dict):
            raise LineError("the line is not a JSON object")
        if "id" in program:
            answer["id"] = program["id"]
        return {**answer, **_judge(program, text, registered)}
    except LineError as error:
        message = str(error)
    except (ValueError, RecursionError) as error:
        message = f"the line is not JSON: {error}"
    except PolicyError as error:
        message = f"the policies do not fit the tools: {error}"
    return {"line": number, **answer, "error": message}


def _judge(
    program: Mapping[str, Any], text: str, registered: Mapping[str, ToolSpec]
) -> dict[str, Any]:
    code = program.get("code")
    if not isinstance(code, str):
        raise LineError('"code" must be a string')
    tools = _tools(program.get("tools"), registered)
    imports = _imports(program.get("imports"))
    facts = extract(code, tools=tools, allowed_imports=DEFAULT_IMPORTS | imports)
    policies: PolicySet = compile_policy(text, tools=tools)
    verdict = judge(RunContext(), facts, tools, policies)
    decision = verdict.decision.to_json()
    return {
        "outcome": decision["outcome"],
        "rules": decision["rules"],
        "sentence": decision["sentence"],
        "facts": facts.to_json(),
    }


def _tools(given: object, registered: Mapping[str, ToolSpec]) -> list[ToolSpec]:
    if given is None:
        return list(registered.values())
    if not isinstance(given, list):
        raise LineError('"tools" must be a list')
    specs: dict[str, ToolSpec] = {}
    for item in given:
        spec = registered.get(item) if isinstance(item, str) else _inline(item)
        if spec is None:
            raise LineError(f"tool {item!r} is not registered")
        if spec.name in specs or spec.name == "final_answer":
            raise LineError(f"tool name {spec.name!r} is taken")
        specs[spec.name] = spec
    return list(specs.values())


def _inline(item: object) -> ToolSpec:
    if not isinstance(item, dict):
        raise LineError("a tool is a registered name or an object")
    unknown = sorted(set(item) - _FIELDS - _OPTIONAL)
    if unknown:
        raise LineError(f"a tool has no field {unknown[0]!r}")
    name = item.get("name")
    if not isinstance(name, str) or not name.isidentifier():
        raise LineError('a tool\'s "name" must be a Python identifier')
    tier = item.get("tier", 0 if item.get("effect") == "read" else 4)
    if isinstance(tier, bool) or not isinstance(tier, int) or not 0 <= tier <= 4:
        raise LineError(f'tool {name!r}: "tier" must be 0 to 4')
    if item.get("effect", "write") not in ("read", "write"):
        raise LineError(f'tool {name!r}: "effect" must be "read" or "write"')
    return ToolSpec(
        name=name,
        version=str(item.get("version", "")),
        effect=item.get("effect", "write"),
        tier=tier,
        labels=frozenset(_strings(item.get("labels"), name)),
        roles=_roles(item.get("roles"), name),
        parameters=_parameters(item.get("parameters"), name),
        idempotent=item.get("idempotent") is True,
    )


def _strings(value: object, name: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise LineError(f'tool {name!r}: "labels" must be a list of strings')
    return value


def _roles(value: object, name: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(role, str) for role in value.values()):
        raise LineError(f'tool {name!r}: "roles" must map arguments to roles')
    return value


def _parameters(value: object, name: str) -> dict[str, Any]:
    """A JSON Schema object, or its properties alone, or a list of names."""
    if value is None:
        return {}
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return {"type": "object", "properties": {item: {} for item in value}}
    if not isinstance(value, dict):
        raise LineError(f'tool {name!r}: "parameters" must be a JSON Schema object')
    if "properties" in value or value.get("type") == "object":
        properties = value.get("properties", {})
        if not isinstance(properties, dict):
            raise LineError(f'tool {name!r}: "properties" must be an object')
        return value
    properties = {key: item if isinstance(item, dict) else {} for key, item in value.items()}
    return {"type": "object", "properties": properties}


def _imports(given: object) -> frozenset[str]:
    if given is None:
        return frozenset()
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise LineError('"imports" must be a list of module names')
    return frozenset(given)
