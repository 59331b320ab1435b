"""Files of the working directory: who opens them, under which names.

All files are one place: what is written to any may be read from any. Names have to be seen:
written out, put together of written parts (filenames.py), passed by callers that write them, or
taken from a listing. What leads out of the working directory is refused; the sandbox holds it, too.
Covered: `open`, the parts of `os` and `os.path` that name and list files, and `pathlib`. A path
object is told by a bit of its value, since `a / b` is a division everywhere else.
"""

import ast

from policies.facts import library
from policies.facts.filenames import stays_inside
from policies.facts.texts import Texts

_LISTINGS = frozenset({("os", "listdir"), ("os", "walk")})
_OPENER = 7  # position of the argument of `open`


class Files(Texts):
    """Visits what opens, names and lists files."""

    def seen_files(self) -> int:
        """All files, where something of them is looked at."""
        self.file_scopes.add(self.environment.scope)
        return self.files

    def check_files(self, path: str, member: str, node: ast.Call, values: list[int]) -> None:
        """A function of `os`, `os.path` or `pathlib`."""
        if path == "pathlib":
            if member not in ("Path", "PurePath", "PurePosixPath"):
                self.not_modelled("outside", f"{path}.{member}", node)
            self.check_names(node.args, node)
            self.named_files += [(value, node) for value in values]
            values.append(self.graph.node(self.path_bit))
        elif member in library.FILE_FUNCTIONS:
            if member not in library.PLAIN_FILE_FUNCTIONS:
                self.not_modelled("outside", f"{path}.{member}", node)
            self.check_names(node.args[:1] or [ast.Constant(".")], node)
            if member in library.FILE_CHANGES:
                self.change_files(values)
            self.raises(self.seen_files())
            values.append(self.files)
        else:
            self.put_together(self.join(*values), node.args)

    def check_names(self, names: list[ast.expr], node: ast.AST) -> None:
        for name in names:
            for path in [None] if isinstance(name, ast.Starred) else self.file_names(name):
                if path is None:
                    self.not_modelled("file-path", "not a literal", node)
                elif library.is_outside_path(path):
                    self.feature("file-path", path, node)

    def change_files(self, values: list[int]) -> None:
        """A name or a text is kept as it is now: what the files hold later is not in it."""
        self.store(self.join(*values), self.files)

    def open_file(self, node: ast.Call) -> int:
        self.check_opener(node)
        arguments = self.arguments(node)  # type: ignore[attr-defined]
        for path in self.file_names(node.args[0]) if node.args else [None]:
            if path is None:
                self.feature("file-path", "not a literal", node)
            elif library.is_outside_path(path):
                self.feature("file-path", path, node)
        for value in arguments.positional[:1]:
            self.named_files.append((value, node))
        return self.opened(arguments.all())

    def opened(self, values: list[int]) -> int:
        self.change_files([self.literal, *values])
        self.raises(self.seen_files())  # whether a file is there can be seen
        handle = self.graph.node(self.literal_mask)
        self.alias(self.files, handle)
        return handle

    def file_names(self, node: ast.expr) -> list[str | None]:
        """The names it may be; none where it is made of parts that stay inside, None if unknown."""
        self.relying += 1
        try:
            texts = self.strings_of(node)
            if texts is not None:
                return list(texts)
            return [] if self.is_inside(node) else [None]
        finally:
            self.relying -= 1

    def is_inside(self, node: ast.expr) -> bool:
        if self.is_listed(node) or stays_inside(node, self.written_as, self.joined_path):
            return True
        passed = self.passed_as_parameter(node)
        if not passed or self.depth > 4:
            return False
        self.depth += 1
        inside = all(self.within(scope, self.names_inside, given) for given, scope in passed)
        self.depth -= 1
        return inside

    def names_inside(self, node: ast.expr) -> bool:
        names = self.file_names(node)
        return all(name is not None and not library.is_outside_path(name) for name in names)

    def written_as(self, node: ast.expr) -> ast.expr | None:
        """What a name is; of several texts the one that leads out, if one does."""
        if self.is_listed(node):
            return ast.Constant("listed")
        made = self.single_value(node.id) if isinstance(node, ast.Name) else None
        if made is not None:
            return made
        texts = self.strings_of(node) or []
        leading = [text for text in texts if library.is_outside_path(text)]
        return ast.Constant((leading or texts)[0]) if texts else None

    def is_listed(self, node: ast.expr) -> bool:
        """Whether it is what a loop takes from a listing: names of files that are there."""
        owner = self.environment.scope.owner(node.id) if isinstance(node, ast.Name) else None
        if not isinstance(node, ast.Name) or owner is None or owner.bindings.get(node.id) != 1:
            return False
        known = owner.parent is None and node.id in self.known
        return not known and self.is_listing(owner.looped.get(node.id))

    def is_listing(self, node: ast.expr | None, depth: int = 4) -> bool:
        """Whether all that this holds are names of files that are there."""
        if isinstance(node, ast.Name) and depth:
            made = self.single_value(node.id)
            if made is None:
                return self.is_listed(node) and self.only_read(node.id)
            return self.is_listing(made, depth - 1) and self.only_read(node.id)
        if isinstance(node, ast.ListComp) and len(node.generators) == 1 and depth:
            loop = node.generators[0]
            kept = isinstance(loop.target, ast.Name) and isinstance(node.elt, ast.Name)
            same = kept and loop.target.id == node.elt.id  # type: ignore[attr-defined]
            return same and self.is_listing(loop.iter, depth - 1)
        if not isinstance(node, ast.Call) or not depth:
            return False
        called = node.func
        if isinstance(called, ast.Name) and called.id in ("sorted", "list") and node.args:
            return self.is_listing(node.args[0], depth - 1)
        module = self.module_of(called)
        if module is not None or not isinstance(called, ast.Attribute):
            return module is not None and (module.path, module.member) in _LISTINGS
        globbed = called.attr in library.LISTINGS and called.attr not in self.scopes.methods
        return globbed and stays_inside(called.value, self.written_as, self.joined_path)

    def joined_path(self, node: ast.expr) -> list[ast.expr] | None:
        """The parts of `os.path.join(…)`, `Path(…)` and `path / name`, in their order."""
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Call):
            module = self.module_of(node.func)
            named = (module.path, module.member) if module is not None else ()
            joining = named in (("os.path", "join"), ("pathlib", "Path"))
            parts = node.args if joining and not node.keywords else []
        return parts or None

    def check_opener(self, node: ast.Call) -> None:
        """`open(path, opener=f)` opens whichever descriptor `f` returns, not `path`."""
        spread = any(isinstance(argument, ast.Starred) for argument in node.args)
        named = any(keyword.arg in (None, "opener") for keyword in node.keywords)
        if spread or named or len(node.args) > _OPENER:
            self.feature("file-path", "opener", node)

    def check_log_file(self, node: ast.Call) -> None:
        """Files that are opened by other means than `open` are not followed."""
        for keyword in node.keywords:
            if keyword.arg in (None, "filename", "from_file", "handlers"):
                self.not_modelled("file-path", f"{keyword.arg or '**'}", node)

    # Path objects

    def divided(self, node: ast.BinOp, left: int, right: int) -> None:
        """`folder / name` names a file, where one of the two is a path."""
        if isinstance(node.right, ast.Constant) and not isinstance(node.right.value, str):
            return
        below = ast.BinOp(ast.Constant("a"), node.op, node.right)
        self.relying += 1
        seen = stays_inside(below, self.written_as, self.joined_path)
        folder = stays_inside(node.left, self.written_as, self.joined_path)
        self.relying -= 1
        self.divisions.append((left, right, node, seen))
        if not folder:  # what is no path itself may be a root
            self.divisions.append((right, left, node, False))

    def check_divisions(self) -> None:
        value = self.graph.value
        for left, right, node, seen in self.divisions:
            if (value[left] | value[right]) & self.path_bit:
                self.named_files.append((right, node))
                if not seen and not value[right] & self.path_bit:
                    self.feature("file-path", "not a literal", node)

    def path_method(
        self, name: str, node: ast.Call, receiver: int, values: list[int]
    ) -> int | None:
        """A method that may be a path's, in a program that has paths."""
        called = self.graph.node(self.literal_mask)  # that there is a file of this name tells it
        self.decide(receiver, called)
        if name in library.PATHS_OUT:
            self.feature("file-path", name, node)
        if name in library.PATH_NAMING and (name != "replace" or len(node.args) == 1):
            self.check_names(node.args, node)
        if name == "open":
            self.check_opener(node)
            return self.opened([called, *values])
        if name in library.PATH_READING:
            self.raises(self.seen_files())
            values.append(self.files)
        if name == "stat":
            values.append(self.state_of("time"))
        if name in library.PATH_CHANGES and (name != "replace" or len(node.args) == 1):
            self.change_files([called, *values])
        return None
