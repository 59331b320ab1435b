"""Ways to reach what the syntax tree does not show: attributes by text, classes by call.

A use of reflection is plain attribute access when all its names stand in the program as
literals; each check here reads those names, and what it cannot read is a finding. Covered:
format strings, also as bound methods; `operator.attrgetter`; `functools.wraps`, which copies
and merges attributes by name; `__match_args__`, by which a class pattern reads attributes;
annotations as text, which `functools.singledispatch` evaluates; metaclasses, which build
classes from text.
"""

import ast
import re
import string
from abc import abstractmethod

from policies.facts import library
from policies.facts.expressions import Expressions
from policies.facts.flow import TooComplexError

_FORMATS = frozenset({"format", "format_map"})
_SLOTS = frozenset({"__dict__", "__weakref__"})


class Reflection(Expressions):
    """Checks shared by the visitors of calls and statements."""

    def check_getter(self, node: ast.Call) -> None:
        for argument in node.args:
            name = self.constant(argument)
            if not isinstance(name, str):
                self.feature("reflection", "attrgetter", node)
                continue
            for part in name.split("."):
                self.check_attribute(part, node)
                self.check_bound_format(part, None, node)
        if node.keywords:
            self.feature("reflection", "attrgetter", node)

    def check_wraps(self, node: ast.Call) -> None:
        """`wraps(f, assigned, updated)` copies and merges any attributes, `__globals__` too."""
        if len(node.args) != 1 or node.keywords or isinstance(node.args[0], ast.Starred):
            self.feature("reflection", "wraps with attribute names", node)
        elif node not in self.applied:
            self.feature("reflection", "wraps kept as a value", node)

    def check_attribute_names(self, name: str, value: ast.expr | None, node: ast.AST) -> None:
        """`__match_args__` and `__slots__` name attributes that are then read or made."""
        elements = value.elts if isinstance(value, ast.Tuple | ast.List) else [value]
        for element in elements:
            text = element.value if isinstance(element, ast.Constant) else None
            if not isinstance(text, str):
                self.feature("reflection", name, node)
            elif text not in _SLOTS or name != "__slots__":
                self.check_attribute(text, node)
                self.check_bound_format(text, None, node)

    def is_loose(self, node: ast.AST) -> bool:
        """Whether what this part of an annotation is cannot be seen: it may be text."""
        if isinstance(node, ast.Name):
            if self.environment_of(node.id) is None or node.id in self.scopes.classes:
                return False
            return self.module_of(node) is None
        if isinstance(node, ast.Attribute):
            return self.module_of(node) is None
        return not isinstance(node, _PLAIN_ANNOTATION)

    def check_annotation_text(self, node: ast.Constant) -> None:
        """Text in an annotation may be evaluated; what is not an expression never is."""
        try:
            tree = ast.parse(str(node.value).strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for inner in ast.walk(tree):
            if not isinstance(inner, _PLAIN_ANNOTATION):
                self.feature("annotation-code", str(node.value), node)
                return
            if isinstance(inner, ast.Attribute):
                self.check_attribute(inner.attr, node)
            elif isinstance(inner, ast.Name):
                self.check_name(inner.id, node)

    def check_written_attribute(self, base: ast.expr, name: str, node: ast.Call) -> None:
        if isinstance(base, ast.Name) and self.is_builtin(base.id):
            self.feature("monkeypatch", f"{base.id}.{name}", node)
        if name not in self.scopes.stored_attributes:  # put together, so as not to be read
            self.feature("reflection", f"attribute {name}", node)

    # Packages that were allowed additionally

    def check_package(self, path: str, member: str, node: ast.Call) -> None:
        """Of packages outside the table only known dangers are seen, and what leads out."""
        if library.leads_out(path, member):
            self.not_modelled("outside", f"{path}.{member}", node)
        if library.runs_text(member):
            self.feature("runs-text", f"{path}.{member}", node)
        self.check_paths(member.rpartition(".")[2], node)

    def check_query(self, method: str, node: ast.Call) -> None:
        """`DataFrame.query` and `eval` run their text; `@name` in it is a variable."""
        self.check_paths(method, node)
        if method not in ("query", "eval") or method in self.scopes.methods or not node.args:
            return
        text = self.constant(node.args[0])
        if not isinstance(text, str):
            self.not_modelled("runs-text", method, node)
        elif "__" in text or _REACHING.search(text):
            self.feature("runs-text", text, node)

    def check_paths(self, name: str, node: ast.Call) -> None:
        if not library.takes_path(name):
            return
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            text = self.constant(argument)
            if isinstance(text, str) and library.is_outside_path(text) and "\n" not in text:
                self.feature("file-path", text, node)

    # Classes made by calling

    def check_class_names(self, name: str, node: ast.Call) -> None:
        """`Enum("E", names)` puts every name of `names` into a class, special ones as well."""
        for argument in [*node.args[1:], *(keyword.value for keyword in node.keywords)]:
            for inner in ast.walk(argument):
                if isinstance(inner, ast.Constant):
                    text = str(inner.value)
                    if "__" in text:
                        self.feature("computed-type", name, node)
                elif not isinstance(inner, ast.List | ast.Tuple | ast.Dict | ast.Load):
                    self.not_modelled("computed-type", name, node)
                    return

    def class_builder(self, callee: int, node: ast.AST) -> None:
        """Remembers a call that makes a class if `callee` turns out to be a metaclass."""
        if callee and callee != self.literal:
            self.class_builders.append((callee, node))

    # Format strings

    def check_bound_format(self, name: str, receiver: ast.expr | None, node: ast.AST) -> None:
        """`"…".format` as a value: what is called later, or by the library, is checked here."""
        if self.path_bit and name in library.PATH_METHODS:
            self.not_modelled("file-path", f"{name} as a value", node)
        if name not in _FORMATS or (receiver is not None and self.is_own_object(receiver, name)):
            return
        self.relying += 1
        templates = None if receiver is None else self.strings_of(receiver)
        self.relying -= 1
        if templates is None:
            self.not_modelled("format-string", f"{name} as a value", node)
            return
        for template in templates:
            self.check_template(template, node, depth=0)

    def check_format(self, receiver: ast.expr, node: ast.AST) -> None:
        """`"{0.attribute}".format(x)` reads attributes that the syntax tree does not show."""
        if self.is_own_object(receiver, "format"):
            return
        self.relying += 1
        templates = self.strings_of(receiver)
        self.relying -= 1
        if templates is None:
            self.not_modelled("format-string", "format string is not a literal", node)
            return
        for template in templates:
            self.check_template(template, node, depth=0)

    def is_own_object(self, node: ast.expr, method: str) -> bool:
        """Whether `node` certainly is an instance of a class that has such a method itself."""
        if method not in self.scopes.methods:
            return False
        if isinstance(node, ast.Name):
            if node.id == "self":
                return True
            assigned = self.single_value(node.id)
            node = node if assigned is None else assigned
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            return False
        name = node.func.id
        owner = self.environment.scope.owner(name)
        single = owner is not None and owner.bindings.get(name) == 1
        return single and self.scopes.classes.get(name) == 1

    def check_template(self, template: str, node: ast.AST, *, depth: int) -> None:
        try:
            fields = list(string.Formatter().parse(template))
        except ValueError:
            return  # the program will raise the same
        for _, name, form, _ in fields:
            if name is None:
                continue
            for piece in name.replace("[", ".[").split(".")[1:]:
                if not piece.startswith("["):
                    self.check_attribute(piece, node)
                    self.feature_if_hidden(piece, node)
            if form and depth < 3:
                self.check_template(form, node, depth=depth + 1)

    def feature_if_hidden(self, attribute: str, node: ast.AST) -> None:
        if attribute in self.scopes.methods or not attribute.isidentifier():
            self.feature("format-attribute", attribute, node)

    def check_format_value(self, node: ast.Call) -> None:
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            self.not_modelled("format-string", "format(*…)", node)

    def strings_of(self, node: ast.expr) -> list[str] | None:
        """The strings `node` can be, when all of them stand in the program."""
        value = self.constant(node)
        if isinstance(value, str):
            return [value]
        if isinstance(node, ast.IfExp):
            first, second = self.strings_of(node.body), self.strings_of(node.orelse)
            return None if first is None or second is None else first + second
        if isinstance(node, ast.Subscript):
            return self.strings_of_items(node.value)
        if isinstance(node, ast.Name):
            assigned = self.single_value(node.id)
            if assigned is not None and not isinstance(assigned, ast.Name):
                return self.strings_of(assigned)
            return self.strings_of_loop(node.id)
        if isinstance(node, ast.Call):
            return self.strings_of_get(node)
        return None

    def strings_of_loop(self, name: str) -> list[str] | None:
        """A name that a `for` takes from a written list, and nothing else binds."""
        owner = self.environment.scope.owner(name)
        if owner is None or owner.bindings.get(name) != 1 or name not in owner.looped:
            return None
        known = owner.parent is None and name in self.known
        return None if known else self.strings_of_items(owner.looped[name])

    def strings_of_get(self, node: ast.Call) -> list[str] | None:
        """`TEMPLATES.get(key, default)` of a written dictionary."""
        called = node.func
        if not isinstance(called, ast.Attribute) or called.attr != "get" or len(node.args) != 2:
            return None
        items, default = self.strings_of_items(called.value), self.strings_of(node.args[1])
        return None if items is None or default is None else items + default

    def strings_of_items(self, node: ast.expr) -> list[str] | None:
        holder = self.single_value(node.id) if isinstance(node, ast.Name) else node
        kept = isinstance(node, ast.Name) and not isinstance(holder, ast.Tuple)
        if kept and not self.only_read(node.id):  # type: ignore[attr-defined]
            return None
        if isinstance(holder, ast.Dict):
            items = list(holder.values)
        elif isinstance(holder, ast.List | ast.Tuple):
            items = holder.elts
        else:
            return None
        values = [self.constant(item) for item in items]
        texts = [value for value in values if isinstance(value, str)]
        return texts if len(texts) == len(values) else None

    @abstractmethod
    def only_read(self, name: str) -> bool: ...

    def single_value(self, name: str) -> ast.expr | None:
        self.resolved += 1
        if self.resolved > _MAX_RESOLVED:  # names of names: each line may double the way
            raise TooComplexError
        owner = self.environment.scope.owner(name)
        if owner is None or (owner.parent is None and name in self.known):
            return None
        if owner.kind == "class":
            return None  # it may not be bound yet, and then means the global one
        if self.relying and owner.parent is None and self.environment.scope is not owner:
            self.relied.add(f"={name}")  # a later step may bind it anew
        return owner.single.get(name)

    def constant(self, node: ast.expr | None, depth: int = 0) -> object:
        """The exact value of `node` if it is a constant, else None."""
        if isinstance(node, ast.Constant):
            return node.value
        if depth > 20:
            return None
        if isinstance(node, ast.Name):
            assigned = self.single_value(node.id)
            if isinstance(assigned, ast.Constant | ast.BinOp | ast.UnaryOp):
                return self.constant(assigned, depth + 1)
            return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left = self.constant(node.left, depth + 1)
            right = self.constant(node.right, depth + 1)
            if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) < 10_000:
                return left + right
            return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            text, count = (self.constant(each, depth + 1) for each in (node.left, node.right))
            if isinstance(text, str) and type(count) is int and 0 <= len(text) * count < 10_000:
                return text * count
            return None
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.constant(node.operand, depth + 1)
            return -value if isinstance(value, int | float) else None
        return None


_MAX_RESOLVED = 20_000
_REACHING = re.compile(r"@\s*\w+\s*[.(\[]")
_PLAIN_ANNOTATION = (
    ast.Expression | ast.Name | ast.Attribute | ast.Subscript | ast.Constant | ast.Tuple
    | ast.List | ast.BinOp | ast.BitOr | ast.Load | ast.Slice
)  # fmt: skip
