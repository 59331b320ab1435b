"""What earlier steps left: functions that call tools, and objects that run code when used."""

import ast

from policies.facts.flow import DEEP
from policies.facts.functions import Functions
from policies.facts.record import CALLS, ToolSpec
from policies.facts.state import Site


class Earlier(Functions):
    """Follows what this program does with the functions of earlier steps."""

    def earlier_function(self, name: str, callee: int, node: ast.Call) -> None:
        """A function kept from an earlier step may call the tools its origin names."""
        for source in sorted(self.known[name].sources) if name in self.known else ():
            tool = source.removeprefix(CALLS)
            if tool != source and tool in self.tools:
                everything = self.join(callee, *self.arguments(node).all())
                self.sites.append(self.hidden_site(self.tools[tool], everything, node))

    def touch(self, name: str, node: ast.Name) -> None:
        """Uses what an earlier step left: it may do anything that its functions do."""
        calls = any(source.startswith(CALLS) for source in self.sources_of(name))
        running = calls or name in self.live or name in self.written or name in self.captures
        if name in self.touched or not running:
            return
        self.rebound |= self.written.get(name, set())
        if node is self.direct and name not in self.live:
            return  # a plain function that is called: `earlier_function` says with what
        self.touched.add(name)
        for one in self.shared.get(name, ()):
            self.graph.edge(self.everything, one, DEEP)
        value = self.outside(name) if self.variable(name) is None else self.variable(name)
        self.graph.edge(self.everything, value or 0, DEEP)
        for source in sorted(self.sources_of(name)):
            tool = self.tools.get(source.removeprefix(CALLS)) if source.startswith(CALLS) else None
            if tool is not None:
                self.sites.append(self.hidden_site(tool, self.everything, node, self.everything))

    def sources_of(self, name: str) -> frozenset[str]:
        return self.known[name].sources if name in self.known else frozenset()

    def rebind(self) -> None:
        """Names that functions of earlier steps may have bound anew, wherever they are read."""
        module = self.environment
        for name in sorted(self.rebound):
            if name in self.known and name not in module.versions:
                self._first(module, name)
            for node in module.versions.get(name, ()):
                self.graph.edge(self.everything, node)

    def hidden_site(
        self, spec: ToolSpec, value: int, node: ast.Call | ast.Name, decider: int = 0
    ) -> Site:
        return Site(
            spec=spec,
            environment=self.environment,
            line=node.lineno,
            column=node.col_offset,
            arguments=[("**", value, None)],
            guard=decider or self.guarded(),
            path=decider or self.path,
            rounds=decider or self.rounds,
            in_loop=True,
            maximum=None,
            after=frozenset(self.tools),
        )
