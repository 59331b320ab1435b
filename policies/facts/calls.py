"""Calls: which kind of call one is; each kind has a module of its own."""

import ast

from policies.facts import library
from policies.facts.builtin_calls import BuiltinCalls
from policies.facts.earlier import Earlier
from policies.facts.expressions import VISITORS
from policies.facts.methods import Methods
from policies.facts.texts import passes_plain
from policies.facts.tool_calls import ToolCalls


class Calls(ToolCalls, Earlier, Methods, BuiltinCalls):
    """Visits every kind of call."""

    def call(self, node: ast.Call) -> int:
        result = self.called(node)
        if self.moment:
            self.graph.edge(result, self.moment)
            if self.scopes.loose:
                self.read_beside(result)
        return result

    def called(self, node: ast.Call) -> int:
        function = node.func
        if len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            self.consumes(function, node.args[0])
        if isinstance(function, ast.Name):
            if function.id in self.tools:
                return self.tool_call(self.tools[function.id], node)
            return self.named_call(function, node)
        if isinstance(function, ast.Attribute) and self.is_standard_stream(function.value):
            return self.written_out(function, node)
        module = self.module_of(function)
        if module is not None:
            return self.library_call(module, self.without_stream(node))
        if isinstance(function, ast.Attribute):
            return self.method_call(function, node)
        if isinstance(function, ast.Call):
            self.applied.add(function)
        callee, arguments = self.evaluate(function), self.arguments(node, kept=True)
        self.may_build_class(callee, arguments, node)
        return self.apply(callee, arguments)

    def consumes(self, function: ast.expr, argument: ast.GeneratorExp) -> None:
        """Builtins that take all of a generator expression at once make it an ordinary loop."""
        if isinstance(function, ast.Attribute):
            whole = function.attr in ("join", "extend", "update")
            whole = whole and function.attr not in self.scopes.stored_attributes
        elif isinstance(function, ast.Name):
            whole = function.id in library.TAKING_ALL and self.is_builtin(function.id)
        else:
            whole = False
        if whole:
            self.consumed.add(argument)
            if isinstance(function, ast.Name) and function.id in ("all", "any", "next"):
                self.stopping.add(argument)

    def named_call(self, function: ast.Name, node: ast.Call) -> int:
        name = function.id
        module = self.module_of(function)
        if module is not None:
            return self.library_call(module, node)
        environment = self.environment_of(name)
        if environment is None and name in library.BUILTINS and name not in self.known:
            self.check_name(name, function)
            return self.builtin_call(name, node)
        self.direct = function
        callee = self.evaluate(function)
        if name in self.reads and not passes_plain(node):
            self.not_modelled("relied-on", name, node)
        if environment is None:
            self.earlier_function(name, callee, node)
            if name not in self.known:
                self.not_modelled("unbound-call", name, node)
        definition = self.inlineable(name, environment)
        arguments = self.arguments(node, kept=True)
        if definition is not None:
            return self.run_inline(definition, arguments)
        if environment is None:
            for value in arguments.all() or [self.literal]:
                self.store(value, callee)  # its function may keep what it is given
        record = self.certain_class(name, environment)
        method = self.class_method_of(name, environment)
        if method is not None:
            self.own_makers.append((callee, node, method))
        elif record is None or record.is_enum:
            self.may_build_class(callee, arguments, node)
        return (
            self.apply(callee, arguments) if record is None else self.construct(record, arguments)
        )


VISITORS[ast.Call] = Calls.call
