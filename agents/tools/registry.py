"""Loads a tool by its import path, from the modules an operator allowed.

Importing a module runs it, so the path is checked before anything is imported: only
`module:function` with plain names, and only modules at or below an allowed prefix. The allowed
prefixes come from the caller; an empty collection allows nothing.
"""

import importlib
import re
from collections.abc import Collection

from agents.tools.definition import ToolDefinition
from agents.tools.errors import ToolDefinitionError, ToolImportError

_PATH = re.compile(
    r"(?P<module>[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*){0,20})"
    r":(?P<name>[A-Za-z][A-Za-z0-9_]*)"
)


def load(import_path: str, allowed: Collection[str]) -> ToolDefinition:
    """The tool at an import path.

    Args:
        import_path: `module:function`.
        allowed: module prefixes, such as `countersign.demo` (itself and all below it).

    Raises:
        ToolImportError: not allowed, not there, or no tool; says which.
    """
    match = _PATH.fullmatch(import_path)
    if match is None:
        raise ToolImportError(f"{import_path!r:.120} is no import path such as package.tools:name")
    module, name = match["module"], match["name"]
    if not any(module == prefix or module.startswith(f"{prefix}.") for prefix in allowed if prefix):
        names = ", ".join(sorted(allowed)) or "none"
        raise ToolImportError(f"module {module} is not among those allowed for tools ({names})")
    definition = getattr(_module(module), name, None)
    if not isinstance(definition, ToolDefinition):
        raise ToolImportError(f"{import_path} is not a tool: decorate the function with @tool")
    if definition.import_path != import_path:
        raise ToolImportError(
            f"{import_path} is another name of {definition.import_path}; use that"
        )
    return definition


def _module(name: str) -> object:
    try:
        return importlib.import_module(name)
    except ToolDefinitionError as fault:
        raise ToolImportError(f"a tool in {name} is not well defined: {fault}") from fault
    except Exception as fault:  # a module under construction may raise anything
        kind = type(fault).__name__
        raise ToolImportError(f"module {name} cannot be imported: {kind}: {fault}") from fault
