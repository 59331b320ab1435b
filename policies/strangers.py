"""Names in rules that nothing has. Pure.

A misspelt attribute is refused when a policy is compiled. A misspelt label or tool is not: it is a
text like any other, and the rule would never hold. So it is said, and whoever signs can ask.
"""

from collections.abc import Iterator
from functools import cache

from cedarpy import pst

from policies.engine import PolicySet, compile_policy, nodes
from policies.starter import starter_text

_LABELS = frozenset(
    {"call.labels", "call.deciders", "call.guards", "call.rounds", "call.seen", "run.seen"}
    | {"program.reads", "program.sent", "answer.labels", "answer.choices"}
    | {"prompt.labels", "prompt.refused_labels"}
)
_FLOWS = frozenset({"call.flows", "call.choices", "program.flows", "program.choices"})


def strangers(policies: PolicySet) -> list[str]:
    """A sentence for each label that no tool returns and each tool that is not registered."""
    tools = {tool.name for tool in policies.tools}
    labels = {label for tool in policies.tools for label in tool.labels} | _familiar()
    found = []
    for name, tree in policies.trees.items():
        found += [
            f"Rule {name} speaks of {label!r} data, but no registered tool returns any."
            for label in sorted(set(_labels(tree)) - labels)
        ]
        found += [
            f"Rule {name} speaks of the tool {tool!r}, which is not registered."
            for tool in sorted(_tools(tree) - tools)
        ]
    return found


@cache
def _familiar() -> frozenset[str]:
    """Labels that the starter policy speaks of: whoever writes tools is told to use these."""
    starter = compile_policy(starter_text(), tools=())
    return frozenset(label for tree in starter.trees.values() for label in _labels(tree))


def _tools(tree: pst.Template) -> set[str]:
    return {uid.id for uid in pst.entity_uids(tree) if str(uid.type) == "Tool"}


def _labels(tree: pst.Template) -> Iterator[str]:
    for node in nodes(tree):
        if isinstance(node, pst.BinaryOp) and node.op.startswith("contains"):
            for held, named in ((node.left, node.right), (node.right, node.left)):
                path = _path(held)
                texts = named.elements if isinstance(named, pst.Set) else (named,)
                said = [text.value for text in texts if isinstance(text, pst.StringLit)]
                if path in _LABELS:
                    yield from said
                elif path in _FLOWS:
                    yield from (text.partition(" -> ")[0] for text in said)


def _path(node: pst.Expr) -> str:
    """`call.labels` for that attribute of the context; "" for anything else."""
    if not isinstance(node, pst.GetAttr) or not isinstance(node.base, pst.GetAttr):
        return ""
    held = node.base.base == pst.Var("context")
    return f"{node.base.attr}.{node.attr}" if held else ""
