"""Names and attributes: variables, what earlier steps left, and what modules offer."""

import ast
from abc import ABC, abstractmethod

from policies.facts import library
from policies.facts.addresses import is_wordy
from policies.facts.flow import ALIAS, STORE
from policies.facts.record import Origin
from policies.facts.scopes import Scope
from policies.facts.state import Function, Module, Place, Walk

_OF_ANY = frozenset({"args", "name", "value"})  # of errors and of enumerations, whatever they hold


class Names(Walk, ABC):
    """Visits names and attributes."""

    @abstractmethod
    def evaluate(self, node: ast.expr | None) -> int: ...

    def kept(self, node: ast.expr | None) -> int:
        """The value of `node` where it is kept for later: what it spells may become a recipient."""
        if type(node) is ast.Constant and type(node.value) is str:
            value = self.evaluate(node)
            return self.word if value == self.literal and is_wordy(node.value) else value
        return self.evaluate(node)

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
            if self.error:
                self.decide(value, self.error)  # it may have been deleted, or not bound yet
            if self.moment:
                self.meet(name, value)
            if name in self.known:
                self.touch(name, node)
            if name in self.reads and node is not self.direct:
                self.not_modelled("relied-on", name, node)
            return self.used(value) if self.marking else value
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
        if self.error:
            self.decide(value, self.error)
        if name in self.reads and node is not self.direct:
            self.not_modelled("relied-on", name, node)
        self.touch(name, node)
        return value

    def used(self, value: int) -> int:
        """The value at this place: what runs by being used, runs here."""
        return value if value == self.literal or value in self.records else self.merge(value)

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
            self.read_beside(value)

    def read_beside(self, value: int) -> None:
        """This may be an iterator, and the statement reads on in it."""
        if value != self.literal:
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
        if name[0] != "_" and name not in library.CRITICAL_BUILTINS:
            return
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
        if self.moment and self.scopes.loose:
            self.read_beside(result)
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
        stored = name in self.scopes.stored_attributes
        shown = stored and name not in _OF_ANY
        result = self.under(receiver, name) if shown else self.part(receiver)
        if stored:
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
    def under(self, whole: int, key: str) -> int: ...

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
            if node.id not in self.imported and node.id not in self.kept_modules:
                return None
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
        if (module.path, module.member) == ("sys", "exit"):
            self.not_modelled("outside", "sys.exit as a value", node)
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
        draws = library.draws(module.path, module.member)
        if told or draws:
            changing = self.graph.node(self.mutator_bit)
            for shown, changes in (("time", told), ("random", draws)):
                if changes:
                    self.alias(self.state_of(shown), changing)
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

    def is_builtin(self, name: str) -> bool:
        own = self.environment_of(name) is not None or name in self.known
        return name in library.BUILTINS and not own
