"""Statements: the order in which a program does things."""

import ast
from collections.abc import Callable, Sequence

from policies.facts import library
from policies.facts.definitions import Definitions
from policies.facts.exits import breaks, ends_program
from policies.facts.flow import STORE
from policies.facts.functions import Arguments
from policies.facts.imports import Imports
from policies.facts.scopes import pairs_of, raised_name

_FRESH = frozenset({
    ast.Dict, ast.List, ast.Set, ast.Tuple, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp, ast.Call, ast.BinOp, ast.JoinedStr, ast.Subscript, ast.Lambda,
})  # fmt: skip


class Statements(Imports, Definitions):
    """Visits every kind of statement."""

    def run(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            visitor = _VISITORS.get(type(statement))
            if visitor is None:
                # Its inner statements are unknown too: this is a finding, not a gap to live with.
                self.feature("unknown-syntax", type(statement).__name__, statement)
                continue
            before = self.before = len(self.stops)
            self.mark()
            if self.moment or not (self.scopes.iterators or self.scopes.loose):
                visitor(self, statement)
            else:
                self.moment = self.graph.node()
                visitor(self, statement)
                self.moment = 0
            for decider, _ in self.stops[before:]:
                self.narrow(decider)  # what follows runs only because this did not end it

    def nested(self, statements: Sequence[ast.stmt]) -> None:
        """A block that may not run, or run again: its assignments replace nothing."""
        self.block += 1
        self.run(statements)
        self.block -= 1

    # Simple statements

    def expression(self, node: ast.Expr) -> None:
        self.evaluate(node.value)
        if ends_program(node.value):
            self.leaving()

    def assignment(self, node: ast.Assign) -> None:
        alone = len(node.targets) == 1
        for target in node.targets:
            self.special_name(target, node.value)
        pairs = pairs_of(node.targets[0], node.value) if alone else None
        if pairs is not None:
            values = [(element, self.kept(value)) for element, value in pairs]
            for element, value in values:
                self.bind(element, value)
            return
        value = self.kept(node.value)
        for target in node.targets:
            self.bind(target, value, fresh=alone and type(node.value) in _FRESH)

    def special_name(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name) and target.id in library.ATTRIBUTE_LISTS:
            self.check_attribute_names(target.id, value, target)
            key = self.environment.scope, target.id
            self.special_names.setdefault(key, set()).add(target)

    def annotated(self, node: ast.AnnAssign) -> None:
        self.annotation(node.annotation)
        self.special_name(node.target, node.value)
        if node.value is not None:
            fresh = type(node.value) in _FRESH
            self.bind(node.target, self.kept(node.value), fresh=fresh)
        elif isinstance(node.target, ast.Name):
            self.check_name(node.target.id, node.target)  # a dataclass makes it a field
        else:
            self.evaluate(node.target)

    def augmented(self, node: ast.AugAssign) -> None:
        value = self.evaluate(node.value)
        target = node.target
        if isinstance(target, ast.Name):
            self.check_name(target.id, target)
            old = self.name(ast.copy_location(ast.Name(target.id, ast.Load()), target))
            self.store(value, old)
            result = self.graph.node()
            self.alias(old, result)
            self.put(value, result)
            self.put_together(result, (node.value,))
            if self.path_bit and isinstance(node.op, ast.Div):
                whole = ast.BinOp(ast.Name(target.id, ast.Load()), node.op, node.value)
                self.divided(ast.copy_location(whole, node), old, value)
            self.block += 1  # never replaces: `+=` may change the object in place
            self.assign(target.id, result)
            self.block -= 1
        elif isinstance(target, ast.Attribute):
            self.write_attribute(target, value)
        else:
            self.write_item(target, value)
        self.raises(value)

    def delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.check_name(target.id, target)
                for decider in (self.path, self.rounds):
                    self.decide(decider, self.variable(target.id) or 0)
            elif isinstance(target, ast.Attribute):
                self.write_attribute(target, self.literal)
            elif isinstance(target, ast.Subscript):
                self.write_item(target, self.literal)

    def assertion(self, node: ast.Assert) -> None:
        condition = self.evaluate(node.test)
        if node.msg is not None:
            self.raises(self.evaluate(node.msg))
        self.raises(condition)
        path, guard = self.path, self.guard
        self.narrow(condition)
        self.stop(raised_name(node))
        self.leaving()
        self.path, self.guard = path, guard

    def raising(self, node: ast.Raise) -> None:
        for part in (node.exc, node.cause):
            value = 0 if part is None else self.evaluate(part)
            if self.scopes.classes and isinstance(part, ast.Name | ast.Attribute | ast.Subscript):
                value = self.apply(value, Arguments([], {}, []))  # a class is made an instance
            if value and self.error:
                self.alias(value, self.error)  # the very objects, not their text
        if self.error:
            self.decide(self.path, self.error)
            self.decide(self.rounds, self.error)
        self.stop(raised_name(node))
        self.leaving()

    def returning(self, node: ast.Return) -> None:
        if node.value is not None:
            self.alias(self.kept(node.value), self.result) if self.result else None
        if self.result:
            self.decide(self.path, self.result)
            self.decide(self.rounds, self.result)
        self.leaving()

    def ending_round(self, node: ast.Break | ast.Continue) -> None:
        self.leaving(round_only=True)

    def leaving(self, *, round_only: bool = False) -> None:
        """Whatever comes after, in all blocks around, comes only because this was not reached."""
        path, guard = self.path, self.guard
        if self.rounds and not round_only:  # without a round it would not have been reached
            path, guard = self.join(path, self.rounds), self.join(guard, self.rounds)
        self.exits.append((path, guard, round_only))

    def left_since(self, first: int) -> bool:
        """Narrows to what was not left since there were `first` exits, if there are any."""
        if len(self.exits) == first:
            return False
        exits = self.exits[first:]
        paths = {path for path, _, _ in exits if path}
        guards = {guard for _, guard, _ in exits if guard}
        if paths:
            self.path = self.join(self.path, *paths) if len(paths) > 1 else paths.pop()
        if guards:
            self.guard = self.join(self.guard, *guards) if len(guards) > 1 else guards.pop()
        if paths or guards:
            self.mark()
        return True

    def nothing(self, node: ast.stmt) -> None:
        """`pass`, `global`, `nonlocal`: their effect is elsewhere."""

    # Branches and loops

    def branch(self, node: ast.If) -> None:
        condition = self.evaluate(node.test)
        path, guard, before = self.path, self.guard, len(self.exits)
        self.narrow(condition)
        narrowed = (self.path, self.guard)
        self.nested(node.body)
        self.path, self.guard = narrowed
        self.nested(node.orelse)
        self.path, self.guard = path, guard
        self.left_since(before)

    def for_loop(self, node: ast.For) -> None:
        iterable = self.evaluate(node.iter)
        self.raises(iterable)
        before, outer, left = len(self.sites), self.multiplicity, len(self.exits)
        path, guard, rounds = self.path, self.guard, self.rounds
        old = self.current_of(node.target)
        self.multiplicity = self.times(outer, node.iter)
        self.enter_loop()
        self.repeat(iterable)
        self.bind_loop(node.target, node.iter, iterable)
        self.loop_body(node.body, before)
        if breaks(node.body):
            self.left_over(iterable)
        self.multiplicity = outer
        self.leave_loop(old)
        self.after_loop(node, path, guard, left)
        self.rounds = rounds

    def left_over(self, iterable: int) -> None:
        """How much a loop that was left has consumed depends on why it was left."""
        if self.path and iterable != self.literal:
            seen = self.graph.node()
            self.decide(self.path, seen)
            self.graph.edge(seen, iterable, STORE)

    def enter_loop(self) -> None:
        self.loop_names.append({})
        self.loops += 1
        self.deepest_loop = max(self.deepest_loop, self.loops)

    def loop_body(self, body: Sequence[ast.stmt], before: int) -> None:
        if not self.scopes.stops and not breaks(body):
            self.nested(body)
        else:
            # What leaves a round decides about every further one; so may errors of functions.
            late_path, late_guard = self.graph.node(), self.graph.node()
            self.path = self.join(self.path, late_path)
            self.guard = self.join(self.guard, late_guard)
            self.nested(body)
            self.flow(self.path, late_path)
            self.flow(self.guard, late_guard)
        self.loops -= 1
        self.loop_ran(before)

    def after_loop(self, node: ast.For | ast.While, path: int, guard: int, left: int) -> None:
        """`else` runs only without a `break`; the rest runs unless more than a round was left."""
        if node.orelse and any(round_only for _, _, round_only in self.exits[left:]):
            self.narrow(self.rounds)
        self.exits[left:] = [exit_ for exit_ in self.exits[left:] if not exit_[2]]
        self.nested(node.orelse)
        within = self.path, self.guard
        if self.left_since(left):
            self.path = self.join(self.path, within[0]) if within[0] else self.path
            self.guard = self.join(self.guard, within[1]) if within[1] else self.guard
        else:
            self.path, self.guard = path, guard

    def current_of(self, target: ast.expr) -> dict[str, int]:
        """Nodes of the names a loop target replaces: without a round they stay."""
        plain = isinstance(target, ast.Name)
        parts = [target] if plain else ast.walk(target)
        names = [part.id for part in parts if isinstance(part, ast.Name)]
        current = self.environment.current
        return {name: current[name] for name in names if name in current}

    def leave_loop(self, old: dict[str, int]) -> None:
        """After the loop, what it assigned tells how many rounds there were."""
        for environment, name in self.loop_names.pop():
            node = environment.current.get(name)
            if node is None:
                continue
            if environment is not self.environment or self.block != environment.block:
                self.decide(self.rounds, node)
                self.decide(self.path, node)
                continue
            after = self.graph.node()
            for value in {node, old.get(name, node)}:
                self.alias(value, after)
            self.decide(self.rounds, after)
            self.decide(self.path, after)  # a `break` decides which round was the last
            if name in environment.scope.captured:
                self.decide(self.rounds, node)
            environment.set(name, after)

    def while_loop(self, node: ast.While) -> None:
        before, outer, left = len(self.sites), self.multiplicity, len(self.exits)
        self.multiplicity = None
        self.enter_loop()
        path, guard, rounds = self.path, self.guard, self.rounds
        self.block += 1
        condition = self.evaluate(node.test)
        self.block -= 1
        self.repeat(condition)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        if endless and not breaks(node.body):
            self.unbounded += 1
        self.narrow(condition)
        if any(isinstance(inner, ast.Call) for inner in ast.walk(node.test)):
            self.evaluate(node.test)  # as often as it holds: what it changes tells of that
        self.loop_body(node.body, before)
        self.multiplicity = outer
        self.leave_loop({})
        self.after_loop(node, path, guard, left)
        self.rounds = rounds

    def trying(self, node: ast.Try | ast.TryStar) -> None:
        """Whatever the body computes may decide whether a handler runs."""
        outer_error, path, guard = self.error, self.path, self.guard
        caught = self.graph.node()
        self.error = caught
        self.path = self.join(path, caught) if path else caught
        before, exits = len(self.stops), len(self.exits)
        self.nested(node.body)
        inner_path, inner_guard = self.path, self.guard
        self.stops[before:] = [s for s in self.stops[before:] if not self.catches(node, s[1])]
        self.error = outer_error
        if outer_error:
            self.graph.edge(caught, outer_error)
        self.path, self.guard = path, guard
        self.narrow(caught)
        for handler in node.handlers:
            self.handler(handler, caught)
        self.path, self.guard = path, guard
        self.left_try(exits, inner_path, inner_guard)
        self.narrow(caught)
        self.nested(node.orelse)
        self.path, self.guard = path, guard
        self.left_try(exits, inner_path, inner_guard)
        self.nested(node.finalbody)

    def left_try(self, first: int, path: int, guard: int) -> None:
        if self.left_since(first):
            self.path = self.join(self.path, path)
            self.guard = self.join(self.guard, guard) if guard else self.guard

    def catches(self, node: ast.Try | ast.TryStar, error: str) -> bool:
        """Whether one of the handlers certainly takes an error of this name."""
        names = {name for handler in node.handlers for name in _handled(handler.type)}
        raised = self.scopes.stops if error == "?" else {error}
        return all(any(self.is_kind(each, name) for name in names) for each in raised)

    def is_kind(self, error: str, handled: str, depth: int = 9) -> bool:
        if error == handled or not depth:
            return error == handled
        known, taken = library.ERRORS.get(error), library.ERRORS.get(handled)
        if known is not None:
            return taken is not None and issubclass(known, taken)
        if error == "?":  # as good as always an error that was caught before
            return handled in ("Exception", "BaseException")
        made = self.scopes.bound.get(error)
        bases = made.bases if isinstance(made, ast.ClassDef) else []
        names = [base.id for base in bases if isinstance(base, ast.Name)]
        return any(self.is_kind(name, handled, depth - 1) for name in names)

    def handler(self, node: ast.ExceptHandler, caught: int) -> None:
        self.block += 1
        if node.type is not None:
            self.narrow(self.evaluate(node.type))
        if node.name:
            value = self.graph.node()
            self.alias(caught, value)
            self.assign(node.name, value)
        self.graph.edge(caught, self.handled)
        path, guard = self.path, self.guard
        self.run(node.body)
        self.path, self.guard = path, guard
        self.block -= 1

    def with_block(self, node: ast.With) -> None:
        managers: list[int] = []
        for item in node.items:
            value = self.evaluate(item.context_expr)
            managers.append(value)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, self.merge(value, self.part(value)))
        # `__exit__` is given the exception, and may swallow it as an `except` would.
        outer_error, path, exits = self.error, self.path, len(self.exits)
        caught = self.error = self.graph.node()
        self.path = self.join(path, caught) if path else caught
        self.nested(node.body)
        self.error = outer_error
        self.flow(caught, self.thrown)
        if not self.left_since(exits):
            self.path = path
        if outer_error:
            self.graph.edge(caught, outer_error)
        for value in managers:
            self.flow(caught, value)

    def asynchronous(self, node: ast.AsyncFor | ast.AsyncWith) -> None:
        self.not_modelled("async", type(node).__name__, node)
        if isinstance(node, ast.AsyncFor):
            self.bind(node.target, self.part(self.evaluate(node.iter)))
        else:
            for item in node.items:
                value = self.evaluate(item.context_expr)
                if item.optional_vars is not None:
                    self.bind(item.optional_vars, value)
        self.nested(node.body)

    # match

    def matching(self, node: ast.Match) -> None:
        subject = self.evaluate(node.subject)
        path, guard, exits = self.path, self.guard, len(self.exits)
        for case in node.cases:
            self.narrow(subject)
            self.block += 1
            for part in ast.walk(case.pattern):
                if isinstance(part, ast.MatchValue):
                    self.narrow(self.evaluate(part.value))  # what the subject is compared with
                elif isinstance(part, ast.MatchMapping):
                    for key in part.keys:
                        self.narrow(self.evaluate(key))
            self.pattern(case.pattern, subject)
            if case.guard is not None:
                self.narrow(self.evaluate(case.guard))
            self.run(case.body)
            self.block -= 1
        narrowed = self.path, self.guard
        self.path, self.guard = path, guard
        if self.left_since(exits):
            self.path, self.guard = (
                self.join(one, other)
                for one, other in zip((self.path, self.guard), narrowed, strict=True)
            )

    def pattern(self, node: ast.pattern, subject: int) -> None:
        if isinstance(node, ast.MatchClass):
            self.narrow(self.evaluate(node.cls))
        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            self.assign(node.name, self.merge(subject, self.part(subject)))
        if isinstance(node, ast.MatchMapping) and node.rest:
            self.assign(node.rest, self.part(subject))
        if isinstance(node, ast.MatchClass):
            for attribute in node.kwd_attrs:
                self.check_attribute(attribute, node)
                self.check_bound_format(attribute, None, node)
                self.raises(self.read_attribute(subject, attribute))
        inner = subject if isinstance(node, ast.MatchAs | ast.MatchOr) else self.part(subject)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.pattern):
                self.pattern(child, inner)


def _handled(kinds: ast.expr | None) -> list[str]:
    """Names of the errors that a handler takes."""
    if kinds is None:
        return ["BaseException"]
    listed = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
    return [kind.id for kind in listed if isinstance(kind, ast.Name)]


_VISITORS: dict[type, Callable[..., None]] = {
    ast.Expr: Statements.expression,
    ast.Assign: Statements.assignment,
    ast.AnnAssign: Statements.annotated,
    ast.AugAssign: Statements.augmented,
    ast.Delete: Statements.delete,
    ast.Assert: Statements.assertion,
    ast.Raise: Statements.raising,
    ast.Return: Statements.returning,
    ast.Pass: Statements.nothing,
    ast.Break: Statements.ending_round,
    ast.Continue: Statements.ending_round,
    ast.Global: Statements.nothing,
    ast.Nonlocal: Statements.nothing,
    ast.If: Statements.branch,
    ast.For: Statements.for_loop,
    ast.While: Statements.while_loop,
    ast.Try: Statements.trying,
    ast.TryStar: Statements.trying,
    ast.With: Statements.with_block,
    ast.AsyncFor: Statements.asynchronous,
    ast.AsyncWith: Statements.asynchronous,
    ast.Match: Statements.matching,
    ast.Import: Statements.importing,
    ast.ImportFrom: Statements.importing_from,
    ast.FunctionDef: Statements.function_definition,
    ast.AsyncFunctionDef: Statements.function_definition,
    ast.ClassDef: Statements.class_definition,
}
