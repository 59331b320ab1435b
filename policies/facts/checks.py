"""What only the whole program shows: names bound anew, classes made by calls, switches."""

import ast

from policies.facts import library
from policies.facts.lookalikes import lookalike
from policies.facts.statements import Statements

_GUARDED = (library.CRITICAL_BUILTINS | library.CHECKED_BUILTINS) - {"type"}
_REFUSED_NAMES = _GUARDED - library.HARMLESS_TO_SHADOW


def rebindings(walk: Statements) -> None:
    for name, node in walk.scopes.bound.items():
        if name in walk.tools:
            walk.feature("tool-rebound", name, node)
        elif name in _REFUSED_NAMES:
            walk.feature("builtin-rebound", name, node)
        elif not name.isascii():
            twin = lookalike(name)
            if twin in walk.tools or twin in library.BUILTINS:
                walk.feature("lookalike", name, node)
    for name in walk.unbound:
        if not name.isascii() and lookalike(name) in walk.tools:
            walk.feature("lookalike", name, ast.Pass(lineno=1, col_offset=0))
    for (scope, name), _module in walk.modules.items():
        if scope.bindings.get(name, 0) > walk.import_counts[scope, name]:
            walk.not_modelled("module-rebound", name, walk.scopes.bound[name])
    module = walk.environment.scope
    for name in walk.kept_modules.keys() & module.bindings.keys():
        if module.bindings[name] > walk.import_counts.get((module, name), 0):
            walk.not_modelled("module-rebound", name, walk.scopes.bound[name])


def relied_on(walk: Statements) -> None:
    """What an earlier step read as written text, and this one binds anew."""
    for note in sorted(walk.reads):
        name = note.removeprefix("=")
        if name != note and name in walk.environment.scope.bindings.keys() | (
            walk.scopes.stored_attributes
        ):
            walk.not_modelled("relied-on", name, walk.scopes.bound.get(name, _NOWHERE))


_NOWHERE = ast.Pass(lineno=1, col_offset=0)


def computed_classes(walk: Statements) -> None:
    """What makes classes, or names attributes, in ways that only the whole program shows."""
    plain = walk.function_mask | walk.class_mask
    everything = walk.type_bit | walk.enum_mask
    for made, makers in (
        (walk.class_builders, walk.type_bit | walk.enum_mask),
        (walk.class_bases, walk.type_bit),
        # A class method makes instances of its own class, which is an enumeration or is not.
        ([(c, n) for c, n, method in walk.own_makers if _may_be_enum(walk, method)], everything),
    ):
        for callee, node in made:
            mask = walk.graph.value[callee]
            if mask & makers:
                finding = walk.not_modelled if mask & plain else walk.feature
                finding("computed-type", "a class is made by a call", node)
    for node in walk.loose_annotations if walk.dispatches else ():
        walk.feature("annotation-code", ast.unparse(node), node)
    for scope in walk.scopes.by_node.values():
        for name in library.ATTRIBUTE_LISTS & scope.bindings.keys():
            if scope.bindings[name] > len(walk.special_names.get((scope, name), ())):
                walk.feature("reflection", name, walk.scopes.bound[name])


def _may_be_enum(walk: Statements, method: ast.AST) -> bool:
    holders = (
        record
        for record in walk.classes.values()
        if any(f.node is method for functions in record.methods.values() for f in functions)
    )
    return any(record.is_enum or record.external for record in holders)


def switches(walk: Statements) -> None:
    """All else can tell how the interpreter was set: by what is written in the program alone."""
    sources = walk.all_sources() & ~walk.address_mask
    for member, node, deciders in walk.switches:
        mask = 0
        for decider in deciders:
            mask |= walk.graph.value[decider]
        if (mask | mask >> walk.graph.width) & sources:
            walk.not_modelled("interpreter-limit", member, node)
