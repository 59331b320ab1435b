"""Expressions: from a syntax node to the node of its value in the graph."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from policies.facts import library
from policies.facts.flow import ALIAS, CHANGES, STEER, STORE
from policies.facts.record import Origin
from policies.facts.scopes import Scope
from policies.facts.state import Environment, Function, Module, Place, Walk

SEQUENCES = (ast.Tuple, ast.List)

_WITHIN = frozenset({ast.In, ast.NotIn})
_A_NUMBER = 1_000_000
"""From here on a number may be that of a telephone or an account, to be written out as text."""


class Expressions(Walk, ABC):
    """Visits every kind of expression."""

    def evaluate(self, node: ast.expr | None) -> int:
        """The value of `node`; constructs without a visitor are recorded as not modelled."""
        if node is None:
            return self.literal
        if type(node) is ast.Constant:
            value = node.value
            if type(value) is bytes:
                value = value.decode("latin-1")
            if type(value) is int and value >= _A_NUMBER:
                value = str(value)
            written = type(value) is str and library.is_address(value)
            return self.graph.node(self.address_mask) if written else self.literal
        visitor = _VISITORS.get(type(node))
        if visitor is None:
            self.not_modelled("syntax", type(node).__name__, node)
            children = [
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)
            ]
            return self.join(*(self.evaluate(child) for child in children))
        result: int = visitor(self, node)
        return result

    # Names and attributes

    def name(self, node: ast.Name) -> int:
        name = node.id
        if name in self.tools:
            self.feature("tool-as-value", name, node)
            return self.literal
        module = self.module_of(node)
        if module is not None:
            return self.module_value(module, node)
        self.check_name(name, node)
        value = self.variable(name)
        if self.environment.scope.kind == "class":
            value = self.class_name(name, value)
        if value is not None:
            self.may_be_unbound(value)
            if self.moment:
                self.meet(name, value)
            if name in self.known:
                self.touch(name, node)
            if name in self.reads and node is not self.direct:
                self.not_modelled("relied-on", name, node)
            return self.used(value)
        if name in library.BUILTINS and name not in self.known:
            if name == "type":
                return self.graph.node(self.type_bit)
            if name in library.CHECKED_BUILTINS:
                self.feature("reflection", name, node)
            if name in ("next", "print"):  # as a value: it changes what it is called with
                self.kept_methods = True
                return self.graph.node(self.literal_mask | self.mutator_bit)
            return self.literal
        if name in library.UNBOUND_MODULES and name not in self.known:
            self.feature("unbound-module", name, node)
        value = self.outside(name)
        self.may_be_unbound(value)
        if name in self.reads and node is not self.direct:
            self.not_modelled("relied-on", name, node)
        self.touch(name, node)
        return value

    def used(self, value: int) -> int:
        """The value at this place: what runs by being used, runs here."""
        if not self.marking or value == self.literal or value in self.records:
            return value
        return self.merge(value)

    def may_be_unbound(self, value: int) -> None:
        """Reading a name raises where it has been deleted, or never been bound."""
        if self.error:
            self.decide(value, self.error)

    def class_name(self, name: str, value: int | None) -> int | None:
        """Until a class body has bound a name of its own, it means the global one."""
        module = self.environment
        while module.parent is not None:
            module = module.parent
        outer = name in self.known or name in module.scope.bindings
        if value is None or not outer or name not in self.environment.scope.bindings:
            return value
        current = module.current.get(name)
        return self.merge(value, self._first(module, name) if current is None else current)

    def meet(self, name: str, value: int) -> None:
        """How far an iterator has been consumed may depend on all that is read beside it."""
        self.graph.edge(value, self.moment)
        if self.scopes.loose or name in self.scopes.iterators:
            seen = self.graph.node()
            self.decide(self.moment, seen)
            self.graph.edge(seen, value, STORE)

    def outside(self, name: str) -> int:
        """A variable of an earlier step or a task input; else a name that nothing binds."""
        module = self.environment
        while module.parent is not None:
            module = module.parent
        current = module.current.get(name)
        if current is not None:
            return current
        if name not in self.known:
            self.unbound[name] = None
            source = f"unbound:{name}"
            origin = Origin(frozenset({source}), frozenset({"unknown"}))
            module.set(name, self.graph.node(self.source("unbound", origin)))
            return module.current[name]
        return self._first(module, name)

    def check_name(self, name: str, node: ast.AST) -> None:
        if name in library.HARMLESS_TO_SHADOW and self.environment_of(name) is not None:
            return
        if name in library.CRITICAL_BUILTINS:
            self.feature("dynamic-code", name, node)
        elif library.is_dunder(name):
            if name not in library.NAMED_DUNDERS:
                self.feature("dunder", name, node)
        elif name.startswith("__") and self.in_class():
            self.not_modelled("mangled-name", name, node)  # it means another one there

    def in_class(self) -> bool:
        scope: Scope | None = self.environment.scope
        while scope is not None and scope.kind != "class":
            scope = scope.parent
        return scope is not None

    def attribute(self, node: ast.Attribute) -> int:
        module = self.module_of(node)
        if module is not None:
            return self.module_value(module, node)
        base = node.value
        named = node.attr in library.READABLE_DUNDERS
        if named and isinstance(base, ast.Attribute) and base.attr == "__class__":
            return self.join(self.evaluate(base.value))  # the class's name, not the class
        if named and isinstance(base, ast.Call) and self.is_type_of(base):
            return self.join(self.evaluate(base.args[0]))
        if node.attr in self.reads:
            self.not_modelled("relied-on", node.attr, node)
        self.check_attribute(node.attr, node)
        self.check_bound_format(node.attr, base, node)
        receiver = self.evaluate(base)
        result = self.read_attribute(receiver, node.attr)
        if node.attr in ("send", "throw"):  # kept for later: it may be called with anything
            self.flow(self.everything, self.sent if node.attr == "send" else self.thrown)
        if receiver == self.literal and node.attr in library.CHANGING_VALUES:
            self.kept_methods = True
            return self.graph.node(self.literal_mask | self.mutator_bit)  # `list.append`
        if node.attr in library.CHANGING_VALUES and receiver != self.literal:
            self.kept_methods = True
            self.graph.add(result, self.mutator_bit)  # a bound method, kept for later
            self.graph.hold(result, receiver, ALIAS)
        return result

    def is_type_of(self, node: ast.Call) -> bool:
        """Whether it is `type(x)`."""
        called = node.func
        named = isinstance(called, ast.Name) and called.id == "type" and self.is_builtin("type")
        plain = len(node.args) == 1 and not isinstance(node.args[0], ast.Starred)
        return named and plain and not node.keywords

    def read_attribute(self, receiver: int, name: str) -> int:
        result = self.part(receiver)
        if name in self.scopes.stored_attributes:
            if result == self.literal:
                result = self.graph.node(self.literal_mask)
            self.alias(self.attribute_node(name), result)
        for method in self.scopes.methods.get(name, ()):
            for function in self.definitions.get(method, ()):
                result = self.bind_method(function, receiver, result)
        if self.scopes.properties > 0 and name in self.scopes.stored_attributes:
            self.run_descriptor(name, [receiver], result)
        self.raises(result)
        return result

    @abstractmethod
    def run_descriptor(self, name: str, values: list[int], result: int) -> None: ...

    def bind_method(self, function: Function, receiver: int, result: int) -> int:
        """`receiver.name` may be this method; a property runs by being read."""
        bound = self.graph.node(function.bit)
        self.alias(result, bound)
        positional = function.positional
        if positional:
            self.alias(receiver, function.nodes[positional[0]])
        if function.decorated:
            self.alias(function.result, bound)
            self.enter(function, self.place())
        return bound

    @abstractmethod
    def touch(self, name: str, node: ast.Name) -> None: ...

    @abstractmethod
    def callbacks(self, values: list[int]) -> list[int]: ...

    @abstractmethod
    def enter(self, function: Function, at: Place) -> None: ...

    @abstractmethod
    def place(self) -> Place: ...

    @abstractmethod
    def check_bound_format(self, name: str, receiver: ast.expr | None, node: ast.AST) -> None: ...

    def check_attribute(self, name: str, node: ast.AST) -> None:
        if library.is_dunder(name):
            if name not in library.READABLE_DUNDERS and name not in library.PART_DUNDERS:
                self.feature("dunder", name, node)
        elif library.is_introspection(name):
            self.feature("introspection", name, node)
        elif name.startswith("_"):
            # A class of the program may have made the name its own, and mean another's.
            mangled = not name.startswith("__") and "__" in name[1:]
            if (
                mangled  # what a class calls `__x`
                or name.lstrip("_") in library.UNBOUND_MODULES
                or not self.is_own_attribute(name)
            ):
                self.feature("private-attribute", name, node)
        elif name in library.UNBOUND_MODULES and not self.is_own_attribute(name):
            self.feature("module-attribute", name, node)

    def is_own_attribute(self, name: str) -> bool:
        return name in library.PUBLIC_UNDERSCORE or name in self.scopes.stored_attributes

    # Modules

    def module_of(self, node: ast.expr) -> Module | None:
        """The module or library member that `node` names, if it is such a dotted name."""
        if type(node) is ast.Name:
            owner = self.environment.scope.owner(node.id)
            found = None if owner is None else self.modules.get((owner, node.id))
            if found is None and node.id in self.kept_modules:
                return self.kept_module(node, owner)
            return found
        if type(node) is not ast.Attribute:
            return None
        base = self.module_of(node.value)
        return None if base is None else self.member_of(base, node.attr, node)

    def kept_module(self, node: ast.Name, owner: Scope | None) -> Module | None:
        """What an earlier step imported under this name."""
        if owner is not None and owner.parent is not None:
            return None
        if node.id in self.known:
            self.not_modelled("module-rebound", node.id, node)  # it may be either
            return None
        return self.kept_modules[node.id]

    def member_of(self, base: Module, name: str, node: ast.AST) -> Module:
        self.dispatches = self.dispatches or name in library.DISPATCHERS
        if base.member:
            self.check_attribute(name, node)
            return Module(base.path, f"{base.member}.{name}")
        below = f"{base.path}.{name}"
        if below in library.MODULES or below in library.PACKAGES:
            return Module(below)
        names = library.MODULES.get(base.path)
        known = names is not None and name in names
        if names is None and base.path not in library.PACKAGES:  # additionally allowed package
            known = not name.startswith("_") and name not in library.ESCAPES
            known = known and not library.runs_text(name)
        if not known:
            self.feature("module-attribute", below, node)
        return Module(base.path, name)

    def module_value(self, module: Module, node: ast.AST) -> int:
        """A module or library member used as a value, not as the callee of a call."""
        if not module.member:
            self.feature("module-as-value", module.path, node)
        dividing = module.path == "operator" and "truediv" in module.member and self.path_bit
        leading = dividing or module.path == "pathlib" or module.member in library.FILE_FUNCTIONS
        if module.member and (leading or library.leads_out(module.path, module.member)):
            self.not_modelled("outside", f"{module.path}.{module.member}", node)
        if module.path in library.STATEFUL_MODULES:
            # Called from a container or by the library, it may change the state.
            state = self.graph.node(self.mutator_bit)
            self.alias(self.state_of(module.path), state)
            self.kept_methods = True
            return state
        if (module.path, module.member) in library.REFLECTIVE_MEMBERS:
            self.feature("reflection", module.member, node)
        if module.member in library.METACLASSES or (
            module.path == "enum" and module.member in library.ENUMERATIONS
        ):
            return self.graph.node(self.type_bit)
        told = library.tells_time(module.path, module.member)
        if told or library.draws(module.path, module.member):
            changing = self.graph.node(self.mutator_bit)
            self.alias(self.state_of("time" if told else "random"), changing)
            self.kept_methods = True
            return changing
        shared = self.state_of(library.shared_object(module.path, module.member))
        if library.changes_argument(module.path, module.member):
            self.kept_methods = True
            changing = self.graph.node(self.mutator_bit)
            self.alias(shared, changing)
            return changing
        return shared

    def state_of(self, path: str) -> int:
        state = self.module_state.get(path)
        if state is None:
            note = f"<{path}>"  # among the variables: it outlives the program, like files
            kept = self.known_mask(note) if note in self.known else 0
            state = self.module_state[path] = self.graph.node(self.literal_mask | kept)
            for one in self.shared.get(note, ()):
                self.alias(one, state)
        return state

    # Operators

    def binary(self, node: ast.BinOp) -> int:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        result = self.join(left, right)
        if type(node.op) is ast.Mod and self.writes_letters(node.left):
            result = self.join(result, self.graph.node(self.address_mask))
        if self.path_bit and type(node.op) is ast.Div:
            self.divided(node, left, right)
        if result != self.literal:
            self.put_together(result, (node.left, node.right))
            self.raises(result)
            if self.asked and type(node.op) is ast.Mod:
                self.may_add(right, left)
            if type(node.op) in (ast.Add, ast.Mult, ast.BitOr):  # may be lists or mappings
                for operand in {left, right} - {self.literal}:
                    self.graph.hold(result, operand, 2)
        return result

    def boolean(self, node: ast.BoolOp) -> int:
        path, guard = self.path, self.guard
        values: list[int] = []
        for operand in node.values:
            value = self.evaluate(operand)
            if value == self.literal and self.is_word(operand):
                value = self.graph.node(self.text_mask)
            values.append(value)
            self.narrow(value)
        self.path, self.guard = path, guard
        return self.merge(*values)

    def is_word(self, node: ast.expr) -> bool:
        text = node.value if isinstance(node, ast.Constant) else None
        return isinstance(text, str) and library.is_wordy(text)

    def merge(self, *values: int) -> int:
        """One of `values`, as the same object."""
        if set(values) == {self.literal}:
            return self.literal
        result = self.graph.node()
        for value in values:
            self.alias(value, result)
        return result

    def narrow(self, condition: int) -> None:
        """What follows happens only if `condition` said so."""
        if condition == self.literal or not condition:
            return
        self.path = self.join(self.path, condition) if self.path else condition
        self.guard = self.join(self.guard, condition) if self.guard else condition
        self.mark()

    def repeat(self, iterable: int) -> None:
        """What follows happens as often as `iterable` has elements.

        In a round this says nothing that the number of rounds does not say; what it leaves
        behind, in variables and objects, depends on it (`leave_loop`, `store`).
        """
        if iterable and iterable != self.literal:
            self.rounds = self.join(self.rounds, iterable) if self.rounds else iterable
            self.mark()

    def unary(self, node: ast.UnaryOp) -> int:
        result = self.join(self.evaluate(node.operand))
        self.raises(result)
        return result

    def compare(self, node: ast.Compare) -> int:
        path, guard = self.path, self.guard
        result = self.evaluate(node.left)
        asked = self.asked_for(node) if type(node.ops[0]) in _WITHIN else None
        if asked is not None:
            return asked
        for index, comparator in enumerate(node.comparators):
            if index:
                self.narrow(result)  # in `a < b < c` only what holds is gone on with
            result = self.join(result, self.evaluate(comparator))
        self.path, self.guard = path, guard
        self.raises(result)
        return result

    def asked_for(self, node: ast.Compare) -> int | None:
        """`"rates" in globals()`: whether a name is bound, and nothing else."""
        holder, name = node.comparators[0], node.left
        if not isinstance(holder, ast.Call) or holder.args or len(node.ops) > 1:
            return None
        called = holder.func
        if not isinstance(called, ast.Name) or called.id not in ("globals", "locals"):
            return None
        if not isinstance(name, ast.Constant) or not self.is_builtin(called.id):
            return None
        text = str(name.value)
        imported = isinstance(self.scopes.bound.get(text), ast.Import | ast.ImportFrom)
        if imported or text in self.kept_modules:
            return None  # which import ran is not followed
        bound = self.variable(text)
        if bound is None and text in self.known:
            bound = self.outside(text)
        result = self.graph.node(self.literal_mask)
        self.decide(bound or 0, result)
        self.decide(self.everything if bound is None and text in self.rebound else 0, result)
        return result

    def conditional(self, node: ast.IfExp) -> int:
        condition = self.evaluate(node.test)
        path, guard = self.path, self.guard
        self.narrow(condition)
        value = self.merge(self.evaluate(node.body), self.evaluate(node.orelse))
        if value != self.literal and (self.is_word(node.body) or self.is_word(node.orelse)):
            self.graph.add(value, self.text_mask)
        self.path, self.guard = path, guard
        if condition == self.literal:
            return value
        result = self.graph.node()
        self.alias(value, result)
        self.decide(condition, result)
        return result

    def named(self, node: ast.NamedExpr) -> int:
        value = self.evaluate(node.value)
        environment = self.environment
        block, self.block = self.block, self.block + 1  # may not be reached: never replaces
        while environment.scope.kind in ("comprehension", "generator") and environment.parent:
            environment = environment.parent
        inner, self.environment = self.environment, environment
        self.assign(node.target.id, value)
        self.environment, self.block = inner, block
        return value

    # Displays

    def display(self, node: ast.List | ast.Tuple | ast.Set) -> int:
        result = self.graph.node(self.literal_mask)
        values = [self.evaluate(element) for element in node.elts]
        for value in values:
            self.put(value, result)
            if isinstance(node, ast.Set):
                self.raises(value)  # only some values can be hashed
        self.columns(result, values)
        return result

    def columns(self, result: int, rows: list[int]) -> None:
        """A list of dictionaries whose fields are known is known by the fields of all of them."""
        if not rows or not all(row in self.records for row in rows):
            return
        columns = self.records[result] = dict[str, int]()
        for row in rows:
            fields = self.records[row]
            for key in tuple(fields):
                self.field(columns, key, self.read_field(row, fields, key))

    def dictionary(self, node: ast.Dict) -> int:
        result = self.graph.node(self.literal_mask)
        fields: dict[str, int] | None = {}
        for key, given in zip(node.keys, node.values, strict=True):
            item = self.evaluate(given)
            if key is None:
                fields = None
                for value in (item, *self.callbacks([item])):
                    self.put(value, result)
                continue
            self.put(item, result)
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                if fields is not None:
                    self.field(fields, key.value, item)
            else:
                fields = None
                name = self.evaluate(key)
                self.put(name, result)
                self.raises(name)
        if fields is not None:
            self.records[result] = fields
        return result

    def field(self, fields: dict[str, int], key: str, item: int) -> None:
        node = fields.get(key)
        if node is None:
            node = fields[key] = self.graph.node()
        self.alias(item, node)
        if item in self.records:
            self.held.setdefault(node, []).append(item)

    def starred(self, node: ast.Starred) -> int:
        return self.part(self.evaluate(node.value))

    def subscript(self, node: ast.Subscript) -> int:
        whole = self.evaluate(node.value)
        key = self.evaluate(node.slice)
        fields = self.records.get(whole)
        if self.asked:
            self.may_add(whole, key)
        if fields is not None and isinstance(node.slice, ast.Constant):
            result = self.read_field(whole, fields, node.slice.value)
        elif key == self.literal:
            result = self.part(whole)
        else:
            result = self.graph.node()
            self.alias(self.part(whole), result)
            self.decide(key, result)
            if not self.scopes.methods.keys().isdisjoint(("__getitem__", "__missing__")):
                self.flow(key, result)
        self.raises(result)
        self.raises(key)
        return result

    def may_add(self, whole: int, key: int) -> None:
        """Reading a `defaultdict` adds the key, and may call the factory."""
        added = self.graph.node()
        self.flow(key, added)
        for decider in (self.path, self.rounds):
            self.decide(decider, added)

        def add(_: int) -> None:
            self.graph.edge(added, whole, STORE)
            self.decide(added, self.asked)
            self.decide(whole, self.asked)

        self.graph.watch(whole, self.default_bit, add)

    def read_field(self, whole: int, fields: dict[str, int], key: object) -> int:
        """One field of a dictionary whose fields are known, with later changes to the whole."""
        result = self.graph.node()
        if isinstance(key, str):
            if key not in fields:
                fields[key] = self.graph.node()
            self.alias(fields[key], result)
        else:
            self.graph.edge(whole, result)
        self.graph.edge(whole, result, CHANGES)
        self.graph.hold(result, whole, 1)
        return result

    def slice(self, node: ast.Slice) -> int:
        parts = [part for part in (node.lower, node.upper, node.step) if part is not None]
        return self.join(*(self.evaluate(part) for part in parts))

    def joined(self, node: ast.JoinedStr) -> int:
        result = self.join(*(self.evaluate(value) for value in node.values))
        if result != self.literal:
            self.put_together(result, node.values)
        return result

    def put_together(self, result: int, parts: Iterable[ast.expr]) -> None:
        """Text of the program beside other text: a written domain makes a written address."""
        for part in parts:
            text = self.constant(part)
            if not isinstance(text, str):
                continue
            if library.is_part_of_address(text):
                self.graph.add(result, self.address_mask)
            elif library.is_wordy(text):
                self.graph.add(result, self.text_mask)

    def writes_letters(self, template: ast.expr) -> bool:
        """`"%c" % 100`: letters are written by numbers."""
        text = self.constant(template)
        return isinstance(text, str) and "%c" in text

    @abstractmethod
    def divided(self, node: ast.BinOp, left: int, right: int) -> None: ...

    @abstractmethod
    def constant(self, node: ast.expr | None, depth: int = 0) -> object: ...

    def formatted(self, node: ast.FormattedValue) -> int:
        value = self.evaluate(node.value)
        if node.format_spec is None:
            return value
        result = self.join(value, self.evaluate(node.format_spec))
        if _is_letter(node.format_spec):
            result = self.join(result, self.graph.node(self.address_mask))
        self.raises(result)
        return result

    # Comprehensions

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> int:
        return self.run_comprehension(node, node.generators, [node.elt])

    def mapping_comprehension(self, node: ast.DictComp) -> int:
        return self.run_comprehension(node, node.generators, [node.key, node.value])

    def run_comprehension(
        self, node: ast.expr, generators: list[ast.comprehension], elements: list[ast.expr]
    ) -> int:
        outer, path, guard, rounds = self.environment, self.path, self.guard, self.rounds
        multiplicity, before, ran = self.multiplicity, len(self.sites), self.ran
        deferred = self.deferral(node)
        self.loops += len(generators)
        self.deepest_loop = max(self.deepest_loop, self.loops)
        first = self.evaluate(generators[0].iter)
        inner = Environment(self.scopes.by_node[node], outer, self.block)
        late = self.graph.node() if node in self.stopping and (self.asked or _acts(node)) else 0
        if late:  # another element is asked for only if the one before was no hit
            self.path = self.join(self.path, late) if self.path else late
            self.guard = self.join(self.guard, late) if self.guard else late
        for index, generator in enumerate(generators):
            if generator.is_async:
                self.not_modelled("async", "async for", node)
            if index:
                first = self.evaluate(generator.iter)
            self.environment = inner
            self.raises(first)
            self.multiplicity = self.times(self.multiplicity, generator.iter)
            self.bind_loop(generator.target, generator.iter, first)
            self.repeat(first)
            for condition in generator.ifs:
                kept = self.evaluate(condition)
                self.narrow(kept)
                self.flow(kept, late) if late else None
        result = self.graph.node(self.literal_mask)
        values = [self.evaluate(element) for element in elements]
        for value in values:
            self.put(value, result)
            self.flow(value, late) if late else None
        if len(values) == 1:
            self.columns(result, values)
        if deferred:
            self.graph.add(result, deferred)
            self.ran = ran.union(site.spec.name for site in self.sites[before:])
        for made in (result, *self.records.get(result, {}).values()):
            self.decide(self.path, made)
            self.decide(self.rounds, made)
        self.environment, self.path, self.guard, self.rounds = outer, path, guard, rounds
        self.loops -= len(generators)
        self.multiplicity = multiplicity
        self.loop_ran(before)
        return result

    def deferral(self, node: ast.expr) -> int:
        """A generator expression with effects has them where something is taken from it."""
        if not isinstance(node, ast.GeneratorExp) or node in self.consumed:
            return 0
        if not any(isinstance(inner, ast.Call | ast.NamedExpr) for inner in ast.walk(node)):
            return 0
        bit = self.new_bit(None)
        self.spans.append((node.lineno, node.end_lineno or 0))
        self.marking = True
        self.graph.special |= bit
        own = self.deferred[bit] = (self.graph.node(), self.graph.node(), self.graph.node())
        self.path, self.guard, self.rounds = (
            self.join(one, other)
            for one, other in zip((self.path, self.guard, self.rounds), own, strict=True)
        )
        self.ran = frozenset(self.tools)
        return bit

    def loop_ran(self, before: int) -> None:
        """Calls of one loop may each come before each other."""
        inside = self.sites[before:]
        names = {site.spec.name for site in inside}
        for site in inside:
            site.in_loop = True
            site.after |= names

    def times(self, outer: int | None, iterable: ast.expr) -> int | None:
        count = _count(iterable)
        return None if outer is None or count is None else outer * count

    def bind_loop(self, target: ast.expr, iterable: ast.expr, value: int) -> None:
        """Binds a loop target; zip() and enumerate() keep their parts apart."""
        if isinstance(target, SEQUENCES):
            parts = self.loop_parts(target, iterable)
            if parts is not None:
                for element, part in zip(target.elts, parts, strict=True):
                    self.bind(element, part)
                return
        self.bind(target, self.part(value))

    def loop_parts(self, target: ast.Tuple | ast.List, iterable: ast.expr) -> list[int] | None:
        if not isinstance(iterable, ast.Call):
            return None
        function, arguments = iterable.func, iterable.args
        if not isinstance(function, ast.Name) or not self.is_builtin(function.id):
            return None
        if any(isinstance(a, ast.Starred) for a in (*target.elts, *arguments)):
            return None
        if function.id == "zip" and len(arguments) == len(target.elts):
            values = [self.evaluate(argument) for argument in arguments]
            return [self.part(value) for value in values]
        if function.id == "enumerate" and len(target.elts) == 2 and arguments:
            value = self.evaluate(arguments[0])
            index = self.graph.node(self.literal_mask)
            for start in (*arguments[1:], *(keyword.value for keyword in iterable.keywords)):
                self.flow(self.evaluate(start), index)
            self.decide(value, index)
            return [index, self.part(value)]
        return None

    # Targets

    def bind(self, target: ast.expr, value: int, *, fresh: bool = False) -> None:
        """Assigns `value` to a target of any form."""
        if isinstance(target, ast.Name):
            self.check_name(target.id, target)
            self.assign(target.id, value, fresh=fresh)
        elif isinstance(target, SEQUENCES):
            self.raises(value)
            for element in target.elts:
                if isinstance(element, ast.Starred):
                    gathered = self.graph.node()
                    self.put(self.part(value), gathered)
                    self.bind(element.value, gathered)
                else:
                    self.bind(element, self.part(value))
        elif isinstance(target, ast.Attribute):
            self.write_attribute(target, value)
        elif isinstance(target, ast.Subscript):
            self.write_item(target, value)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value)
        else:
            self.not_modelled("target", type(target).__name__, target)

    def write_attribute(self, target: ast.Attribute, value: int) -> None:
        if self.module_of(target.value) is not None:
            self.feature("monkeypatch", target.attr, target)
            return
        base = target.value
        if isinstance(base, ast.Name) and self.is_builtin(base.id):
            self.feature("monkeypatch", f"{base.id}.{target.attr}", target)
        if library.is_dunder(target.attr) or library.is_introspection(target.attr):
            self.check_attribute(target.attr, target)
        self.set_attribute(self.evaluate(base), target.attr, value)

    def is_builtin(self, name: str) -> bool:
        own = self.environment_of(name) is not None or name in self.known
        return name in library.BUILTINS and not own

    def set_attribute(self, receiver: int, name: str, value: int) -> None:
        self.store(value, receiver)
        node = self.attribute_node(name)
        self.alias(value, node)
        self.decide(self.path, node)
        self.decide(self.rounds, node)
        self.graph.edge(receiver, node, STEER)
        if self.scopes.properties > 0:
            self.run_descriptor(name, [receiver, value], self.graph.node())
        for method in self.scopes.methods.get(name, ()):
            for function in self.definitions.get(method, ()):
                if function.decorated:  # it may be the property's setter
                    self.set_property(function, receiver, value)

    def set_property(self, function: Function, receiver: int, value: int) -> None:
        self.enter(function, self.place())
        for parameter in function.nodes.values():
            for given in (receiver, value):
                self.alias(given, parameter)

    def write_item(self, target: ast.Subscript, value: int) -> None:
        whole = self.evaluate(target.value)
        key = self.evaluate(target.slice)
        self.raises(key)
        self.raises(whole)
        fields = self.records.get(whole)
        constant = isinstance(target.slice, ast.Constant) and target.slice.value
        if fields is not None and isinstance(constant, str):
            self.field(fields, constant, value)
            self.put(value, whole)
            for decider in (self.path, self.rounds):
                self.decide(decider, fields[constant])
                self.decide(decider, whole)
            if any(edge & 3 == ALIAS for edge in self.graph.back.get(whole, ())):
                self.store(value, whole)  # it may be another dictionary as well
            return
        self.store(self.merge(value, key) if key != self.literal else value, whole)

    # Functions as values

    def function_value(self, node: ast.Lambda) -> int:
        function = self.make_function(node, is_method=False)
        self.defaults(node.args, function.nodes)
        return self.graph.node(function.bit)

    def defaults(self, arguments: ast.arguments, nodes: dict[str, int]) -> None:
        positional = [*arguments.posonlyargs, *arguments.args]
        given = zip(reversed(positional), reversed(arguments.defaults), strict=False)
        keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        for parameter, default in [*given, *keyword]:
            if default is not None:
                self.alias(self.evaluate(default), nodes[parameter.arg])

    def yielded(self, node: ast.Yield) -> int:
        if node.value is not None:
            self.put(self.evaluate(node.value), self.result)
        self.decide(self.path, self.result)
        self.decide(self.rounds, self.result)
        self.raises(self.thrown)
        return self.sent

    def yielded_from(self, node: ast.YieldFrom) -> int:
        value = self.evaluate(node.value)
        self.alias(value, self.result)
        self.decide(self.path, self.result)
        return self.part(value)

    def awaited(self, node: ast.Await) -> int:
        self.not_modelled("async", "await", node)
        return self.evaluate(node.value)


def _is_letter(form: ast.expr) -> bool:
    """`:c`: letters are written by numbers."""
    last = form.values[-1] if isinstance(form, ast.JoinedStr) and form.values else None
    text = last.value if isinstance(last, ast.Constant) else ""
    return isinstance(text, str) and text.endswith("c")


def _acts(node: ast.expr) -> bool:
    """Whether something is called, or bound, that more than computes."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.NamedExpr):
            return True
        if isinstance(inner, ast.Call):
            called = inner.func
            named = isinstance(called, ast.Name) and called.id in library.SCALAR_FUNCTIONS
            method = isinstance(called, ast.Attribute) and called.attr in _COMPUTING_METHODS
            if not named and not method:
                return True
    return False


_COMPUTING_METHODS = library.SCALAR_METHODS | {"get", "items", "keys", "values", "split"}


def _count(iterable: ast.expr) -> int | None:
    """How many elements a literal or a range of literals has."""
    if isinstance(iterable, ast.List | ast.Tuple | ast.Set):
        return len(iterable.elts)
    if not isinstance(iterable, ast.Call) or not isinstance(iterable.func, ast.Name):
        return None
    if iterable.func.id == "enumerate" and len(iterable.args) == 1:
        return _count(iterable.args[0])
    if iterable.func.id != "range":
        return None
    bounds = [_integer(bound) for bound in iterable.args]
    numbers = [bound for bound in bounds if bound is not None]
    if len(numbers) != len(iterable.args) or not 1 <= len(numbers) <= 3 or numbers[2:] == [0]:
        return None
    return len(range(*numbers)) if all(abs(n) < 2**31 for n in numbers) else None


def _integer(node: ast.expr) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _integer(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    return None


_VISITORS: dict[type, Callable[..., int]] = {
    ast.Name: Expressions.name,
    ast.Attribute: Expressions.attribute,
    ast.BinOp: Expressions.binary,
    ast.BoolOp: Expressions.boolean,
    ast.UnaryOp: Expressions.unary,
    ast.Compare: Expressions.compare,
    ast.IfExp: Expressions.conditional,
    ast.NamedExpr: Expressions.named,
    ast.List: Expressions.display,
    ast.Tuple: Expressions.display,
    ast.Set: Expressions.display,
    ast.Dict: Expressions.dictionary,
    ast.Starred: Expressions.starred,
    ast.Subscript: Expressions.subscript,
    ast.Slice: Expressions.slice,
    ast.JoinedStr: Expressions.joined,
    ast.FormattedValue: Expressions.formatted,
    ast.ListComp: Expressions.comprehension,
    ast.SetComp: Expressions.comprehension,
    ast.GeneratorExp: Expressions.comprehension,
    ast.DictComp: Expressions.mapping_comprehension,
    ast.Lambda: Expressions.function_value,
    ast.Yield: Expressions.yielded,
    ast.YieldFrom: Expressions.yielded_from,
    ast.Await: Expressions.awaited,
}
VISITORS = _VISITORS
