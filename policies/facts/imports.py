"""Imports: what is allowed, and which names mean modules."""

import ast

from policies.facts import library
from policies.facts.calls import Calls
from policies.facts.record import Import
from policies.facts.state import Module


class Imports(Calls):
    """Visits imports."""

    def importing(self, node: ast.Import) -> None:
        for alias in node.names:
            allowed = self.may_import(alias.name)
            self.note_import(node, alias.name, "", allowed=allowed)
            path = alias.name if alias.asname else alias.name.split(".")[0]
            self.bind_module(alias.asname or path, Module(path), node)

    def importing_from(self, node: ast.ImportFrom) -> None:
        source = node.module or ""
        if node.level:
            self.note_import(node, "." * node.level + source, "", allowed=False)
            return
        for alias in node.names:
            self.dispatches = self.dispatches or alias.name in library.DISPATCHERS
            below = f"{source}.{alias.name}"
            is_module = below in library.MODULES or below in library.PACKAGES
            allowed = self.may_import(below if is_module else source) and alias.name != "*"
            if allowed and not is_module and source != "__future__":
                allowed = self.may_take(source, alias.name)
            self.note_import(node, source, alias.name, allowed=allowed)
            if alias.name != "*":
                module = Module(below) if is_module else Module(source, alias.name)
                self.bind_module(alias.asname or alias.name, module, node)

    def may_import(self, module: str) -> bool:
        if module in self.allowed:
            return True
        extra = self.allowed - library.DEFAULT_IMPORTS
        parts = module.split(".")
        parents = {".".join(parts[:length]) for length in range(1, len(parts))}
        if parents & extra and not set(parts[1:]) & library.ESCAPES:
            return not any(part.startswith("_") for part in parts)
        return module in library.PACKAGES and any(a.startswith(module + ".") for a in self.allowed)

    def may_take(self, module: str, name: str) -> bool:
        names = library.MODULES.get(module)
        if names is not None:
            return name in names
        if module in library.PACKAGES and module not in self.allowed:
            return False  # only the way to its modules
        return not name.startswith("_") and name not in library.ESCAPES

    def note_import(self, node: ast.stmt, module: str, name: str, *, allowed: bool) -> None:
        self.imports.append(Import(module, name, node.lineno, node.col_offset, allowed))

    def bind_module(self, name: str, module: Module, node: ast.stmt) -> None:
        owner = self.environment.scope.owner(name) or self.environment.scope
        self.imported.add(name)
        before = self.modules.setdefault((owner, name), module)
        self.import_counts[owner, name] = self.import_counts.get((owner, name), 0) + 1
        if (before.path, before.member) != (module.path, module.member):
            self.not_modelled("module-rebound", name, node)
