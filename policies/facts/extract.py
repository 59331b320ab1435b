"""Static analysis of one program: `extract(code, …) -> Facts`.

Guarantees: never raises and never runs the program; whatever it cannot follow is in the
record as a problem, a feature or an unmodelled construct; origins are an over-approximation.
Does not guarantee: that a program behaves well. The broker decides again on actual values.

Order:
1. parse, with limits (source.py);
2. resolve names (scopes.py);
3. walk the statements into a value graph (statements.py and below), then solve it (flow.py);
4. look for what only the whole program shows (checks.py);
5. read call sites and variables off the solved graph (sites.py, variables.py);
6. look at the literals (resources.py).
"""

import ast
import hashlib
from collections.abc import Collection, Mapping, Sequence

from policies.facts import checks, library, sharing
from policies.facts.flow import MAX_STEPS, TooComplexError
from policies.facts.plain import Rough, rough_parts
from policies.facts.record import (
    EMPTY,
    CallSite,
    Cost,
    Facts,
    Finding,
    Origin,
    ToolSpec,
)
from policies.facts.resources import resources_in
from policies.facts.scopes import MAX_DEPTH, MAX_NODES, Scopes, TooDeepError, TooLargeError
from policies.facts.shape import Syntax
from policies.facts.sites import ANSWER, Sites
from policies.facts.source import Source, parse
from policies.facts.statements import Statements
from policies.facts.variables import Variables

_OUTSIDERS = frozenset({"untrusted", "unknown"})


class _Reader(Sites, Variables):
    """Reads off the solved graph what a record holds."""


def extract(
    code: str,
    *,
    tools: Sequence[ToolSpec],
    allowed_imports: Collection[str] = library.DEFAULT_IMPORTS,
    known: Mapping[str, Origin] = EMPTY,
    task_text: str = "",
) -> Facts:
    """Facts of `code`.

    Args:
        code: the program's text; it may be anything.
        tools: the tool versions the program may call; `final_answer` is always one more.
        allowed_imports: module names; "pandas" also allows its public submodules.
        known: origins of variables that exist before the program runs.
        task_text: the goal as the requester typed it; a literal that stands in it as a
            whole word counts as coming from the task.
    """
    source = parse(code)
    if source.tree is None:
        return Facts(_digest(code), problems=source.problems, variables=dict(known))
    try:
        return _analyse(code, source, source.tree, tools, allowed_imports, known, task_text)
    except (RecursionError, TooDeepError):
        problem = Finding("too-deep", f"nesting over {MAX_DEPTH}", 1, 0)
    except TooComplexError:
        problem = Finding("too-complex", f"over {MAX_STEPS} steps of analysis", 1, 0)
    except TooLargeError:
        problem = Finding("too-large", f"over {MAX_NODES} nodes", 1, 0)
    except Exception as error:  # noqa: BLE001 - hostile input must end as a fact, and deny
        problem = Finding("analysis-failed", type(error).__name__, 1, 0)
    return Facts(_digest(code), problems=(problem,), variables=dict(known))


def _analyse(
    code: str,
    source: Source,
    tree: ast.Module,
    tools: Sequence[ToolSpec],
    allowed: Collection[str],
    known: Mapping[str, Origin],
    task_text: str,
) -> Facts:
    scopes = Scopes(tree)
    specs = {spec.name: spec for spec in (*tools, ANSWER)}
    walk = Statements(scopes, specs, allowed, known)
    walk.run(tree.body)
    walk.walk_uncalled()
    walk.late_fields()
    walk.late_words()
    walk.rebind()
    walk.graph.add(walk.everything, walk.all_sources())
    walk.graph.solve(walk.run_implicitly)
    checks.rebindings(walk)
    checks.relied_on(walk)
    checks.computed_classes(walk)
    checks.switches(walk)
    reader = _Reader(walk, task_text, code)
    walk.check_divisions()
    for name, opened in walk.named_files:
        if not _OUTSIDERS.isdisjoint(reader.origin_of_mask(walk.graph.value[name]).labels):
            walk.not_modelled("file-path", "made of outsiders' text", opened)
    calls = reader.calls()
    rough, kept = _rough(scopes, specs, known)
    return Facts(
        source_sha256=_digest(code),
        syntax=Syntax(tree, frozenset(specs), frozenset(scopes.bound)),
        imports=tuple(sorted(walk.imports, key=lambda i: (i.line, i.column, i.module, i.name))),
        features=_sorted(walk.features),
        unmodelled=_sorted(walk.unmodelled),
        rough=rough,
        touches=_touches(calls, known),
        unbound=tuple(sorted(walk.unbound)),
        calls=calls,
        resources=resources_in(scopes.strings),
        cost=Cost(source.lines, scopes.nodes, walk.deepest_loop, walk.unbounded),
        variables=reader.variables((*rough, *kept)),
    )


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _sorted(findings: Collection[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (f.line, f.column, f.kind, f.name)))


def _rough(
    scopes: Scopes, tools: Mapping[str, ToolSpec], known: Mapping[str, Origin]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What is rough in this program, and what more is rough in later steps."""
    here, later = rough_parts(scopes, tools)
    earlier = {Finding(kind, name, 0, 0) for kind, name in sharing.rough_in(known)}
    return _sorted({_noted(part) for part in here} | earlier), _sorted(set(map(_noted, later)))


def _noted(part: Rough) -> Finding:
    kind, name, node = part
    return Finding(kind, name[:80], getattr(node, "lineno", 1), getattr(node, "col_offset", 0))


def _touches(calls: Collection[CallSite], known: Mapping[str, Origin]) -> frozenset[str]:
    returned = (site.tool_labels for site in calls)
    kept = (origin.labels | origin.control for origin in known.values())
    return frozenset().union(*returned, *kept)
