"""Calls of tools: the sites that policies decide on, and what the tools return."""

import ast

from policies.facts.flow import CHANGES, TOLD, TooComplexError
from policies.facts.functions import Functions
from policies.facts.paths import MAX_DEPTH, below
from policies.facts.record import FINAL_ANSWER, ToolSpec
from policies.facts.roles import is_key
from policies.facts.scopes import MAX_NODES, NEVER_CAUGHT
from policies.facts.state import Site


class ToolCalls(Functions):
    """Visits calls of tools."""

    def tool_call(self, spec: ToolSpec, node: ast.Call) -> int:
        passed = self.tool_arguments(spec, node)
        for name, value, expression in tuple(passed):
            if (value in self.records or spec.role_paths) and name in spec.parameter_names:
                passed += self.inner_arguments(spec, name, value, expression)
        place = spec, self.environment, node.lineno, node.col_offset
        decided = self.guarded(), self.path, self.rounds
        often = self.multiplicity != 1, self.multiplicity
        self.sites.append(Site(*place, passed, *decided, *often, self.ran))
        self.ran |= {spec.name}
        result = self.graph.node(self.result_of(spec))
        reads = spec.effect == "read"
        for name, value, _ in passed:
            if reads and is_key(name, spec.roles.get(name, "")):
                self.decide(value, result)
            elif value == self.literal:
                self.graph.add(result, self.literal_mask)
            else:
                self.graph.edge(value, result, TOLD)
        self.decide(self.path, result)
        self.raises(result)
        if spec.name == FINAL_ANSWER:
            self.stop(NEVER_CAUGHT)
        return result

    def tool_arguments(
        self, spec: ToolSpec, node: ast.Call
    ) -> list[tuple[str, int, ast.expr | None]]:
        names = spec.parameter_names
        passed: list[tuple[str, int, ast.expr | None]] = []
        starred = False
        for index, argument in enumerate(node.args):
            if isinstance(argument, ast.Starred):
                passed.append(("*", self.part(self.evaluate(argument.value)), None))
                starred = True
            elif starred or index >= len(names):
                passed.append(("*", self.evaluate(argument), None))
            else:
                passed.append((names[index], self.evaluate(argument), argument))
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            fields = self.records.get(value) if keyword.arg is None else None
            if keyword.arg is not None:
                passed.append((keyword.arg, value, keyword.value))
            elif fields is not None:
                passed.extend((key, self.read_field(value, fields, key), None) for key in fields)
                stored = self.graph.node()  # under keys that the program does not show
                self.graph.edge(value, stored, CHANGES)
                passed.append(("**", stored, None))
                self.spreads.append((passed, value, fields))
            else:
                passed.append(("**", self.part(value), None))
        return passed

    def late_fields(self) -> None:
        """Fields that a dictionary got after the walk had passed a call that spreads it."""
        for passed, value, fields in self.spreads:
            names = {name for name, _, _ in passed}
            for key in [key for key in fields if key not in names]:
                passed.append((key, self.read_field(value, fields, key), None))

    def inner_arguments(
        self, spec: ToolSpec, name: str, value: int, expression: ast.expr | None
    ) -> list[tuple[str, int, ast.expr | None]]:
        """What has a role inside an argument: a field where the fields are seen, else all of it."""
        fields = self.records.get(value)
        if fields is None and not spec.role_paths:
            return []
        declared = [path for path in spec.role_paths if path.startswith(f"{name}.")]
        if fields is None:
            return [(path, value, None) for path in declared]
        found = {path: path.split(".")[1] for path in declared}
        found |= {path: key for path, key in self.paths_in(name, fields) if spec.role(path)}
        shown = _items_of(expression)
        return [
            (path, self.read_field(value, fields, key), shown.get(key) if direct else None)
            for path, key in found.items()
            for direct in [path == below(name, key)]
        ]

    def paths_in(self, name: str, fields: dict[str, int]) -> list[tuple[str, str]]:
        """Paths of all keys that are seen in an object, each with the outermost key on its way."""
        found: list[tuple[str, str]] = []
        waiting = [(below(name, key), key, node, MAX_DEPTH) for key, node in fields.items()]
        while waiting:
            path, key, node, depth = waiting.pop()
            found.append((path, key))
            self.paths += 1
            if self.paths > MAX_NODES:
                raise TooComplexError
            for item in self.held.get(node, ()) if depth > 1 else ():
                inner = self.records[item].items()
                waiting += [(below(path, k), key, n, depth - 1) for k, n in inner]
        return found


def _items_of(node: ast.expr | None) -> dict[str, ast.expr]:
    """The items of a dictionary that is written out at its place."""
    if not isinstance(node, ast.Dict) or None in node.keys:
        return {}
    return {
        key.value: value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }
