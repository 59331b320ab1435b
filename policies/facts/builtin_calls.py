"""Calls of builtins."""

import ast

from policies.facts import library
from policies.facts.flow import ALIAS, PART
from policies.facts.functions import Arguments, Functions

_STOPPING = frozenset({"all", "any", "next"})


class BuiltinCalls(Functions):
    """Visits calls of builtins; `getattr` and its kin are read as plain attributes."""

    def builtin_call(self, name: str, node: ast.Call) -> int:
        if name in ("getattr", "hasattr", "setattr", "delattr"):
            return self.reflective(name, node)
        if name == "open":
            return self.open_file(node)
        if name == "print":
            node = self.without_stream(node)
        late = name in _STOPPING and any(map(self.calls_lazily, node.args))
        arguments = self.until_hit(node) if late else self.arguments(node, kept=name == "dict")
        values = arguments.all()
        if name == "dict" and self.may_be_pairs(node):
            for value in (*arguments.positional, *arguments.spread):
                self.put_under(None, value)
        if name == "print":
            targets = [arguments.named.pop("file", 0), *arguments.spread]
            for target in filter(None, targets):
                for value in arguments.all():
                    self.store(value, target)
                if self.scopes.hooks:
                    self.callbacks([target, *arguments.all()])
            return self.literal
        if name == "type" and len(values) != 1:
            self.feature("computed-type", "type(name, bases, body)", node)
        if name == "format":
            self.check_format_value(node)
        if name not in library.SCALAR_FUNCTIONS:  # they run special methods, and nothing else
            values += self.callbacks(values)
        if name == "next":
            self.change_silently(values[:1])
        if name == "map" and len(values) > 3:
            self.class_builder(values[0], node)
        if name in ("chr", "bytes", "bytearray"):
            values.append(self.graph.node(self.address_mask))  # letters are written by numbers
        rounds = self.rounds
        if self.marking and len(values) > 1:  # how far one is read depends on the others
            self.repeat(self.join(*values))
        if name == "type":
            result = self.graph.node(self.type_bit)
            for value in values:
                self.alias(value, result)
        elif name in library.SCALAR_FUNCTIONS:
            result = self.join(*values)
        elif name in ("super", "iter", "next") and values:
            result = self.merge(*values, self.part(values[0]))
        else:
            result = self.graph.node(self.literal_mask)
            if name == "dict" and not (arguments.positional or arguments.spread):
                fields = self.records[result] = dict[str, int]()
                for key, value in arguments.named.items():
                    self.field(fields, key, value)
            if name == "super":
                self.super_of(result)
            for value in values:
                self.put(value, result)
                self.graph.hold(result, value, ALIAS)
                if name in ("max", "min", "sum"):  # one of its elements
                    self.graph.hold(result, value, PART)
        self.raises(result)
        self.rounds = rounds
        return result

    def calls_lazily(self, node: ast.expr) -> bool:
        """Whether it calls a function for each element that is asked for: `map(f, xs)`."""
        if not isinstance(node, ast.Call):
            return False
        module = self.module_of(node.func)
        if module is not None:
            return module.path == "itertools"
        return isinstance(node.func, ast.Name) and node.func.id in ("map", "filter")

    def until_hit(self, node: ast.Call) -> Arguments:
        """Arguments of what stops at the first hit: the next call depends on what came before."""
        path, guard = self.path, self.guard
        late = self.graph.node()
        self.narrow(late)
        arguments = self.arguments(node)
        for value in arguments.all():
            self.flow(value, late)
        self.path, self.guard = path, guard
        return arguments

    def without_stream(self, node: ast.Call) -> ast.Call:
        """`print(…, file=sys.stderr)` is a print; as a value the stream stays refused."""
        kept = [keyword for keyword in node.keywords if not self.is_stream(keyword)]
        if len(kept) == len(node.keywords):
            return node
        return ast.copy_location(ast.Call(node.func, node.args, kept), node)

    def is_stream(self, keyword: ast.keyword) -> bool:
        return keyword.arg in ("file", "stream") and self.is_standard_stream(keyword.value)

    def is_standard_stream(self, stream: ast.expr) -> bool:
        if not isinstance(stream, ast.Attribute) or stream.attr not in ("stdout", "stderr"):
            return False
        module = self.module_of(stream.value)
        return module is not None and (module.path, module.member) == ("sys", "")

    def written_out(self, function: ast.Attribute, node: ast.Call) -> int:
        """`sys.stdout.write(…)` is a print; nothing else of the stream is known."""
        if function.attr not in ("write", "flush", "writelines"):
            self.feature("module-attribute", f"sys.stdout.{function.attr}", node)
        values = self.arguments(node).all()
        return self.join(*values, *self.callbacks(values))

    def super_of(self, result: int) -> None:
        """`super()` is the instance: the first parameter of the function around it."""
        if self.function is not None and self.function.positional:
            self.alias(self.function.nodes[self.function.positional[0]], result)

    def reflective(self, name: str, node: ast.Call) -> int:
        """What getattr and its kin do is plain attribute access when the name is a literal."""
        arguments = self.arguments(node)
        self.relying += 1
        attributes = self.strings_of(node.args[1]) if len(node.args) > 1 else None
        self.relying -= 1
        if node.keywords or arguments.spread or not attributes:
            self.feature("reflection", name, node)
            return self.apply(self.literal, arguments)
        if self.module_of(node.args[0]) is not None:
            self.feature("reflection", name, node)
        path, guard = self.path, self.guard
        self.narrow(arguments.positional[1])  # what chose the name chose what is read or set
        results = [
            self.reflected(name, each, node, arguments) for each in dict.fromkeys(attributes)
        ]
        self.path, self.guard = path, guard
        if arguments.positional[1] == self.literal:
            return results[0] if len(results) == 1 else self.merge(*results)
        result = self.graph.node(self.literal_mask)
        for each in results:
            self.alias(each, result)
        self.decide(arguments.positional[1], result)
        return result

    def reflected(self, name: str, attribute: str, node: ast.Call, arguments: Arguments) -> int:
        if name in ("setattr", "delattr"):
            self.check_written_attribute(node.args[0], attribute, node)
        self.check_attribute(attribute, node)
        if name == "getattr":
            self.check_bound_format(attribute, node.args[0], node)
        receiver = arguments.positional[0]
        if name == "setattr" and len(arguments.positional) == 3:
            self.set_attribute(receiver, attribute, arguments.positional[2])
            return self.literal
        result = self.read_attribute(receiver, attribute)
        return self.merge(result, *arguments.positional[2:])
