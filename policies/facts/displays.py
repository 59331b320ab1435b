"""Lists, sets and dictionaries that are written out, and what is taken out of any."""

import ast

from policies.facts.addresses import is_address
from policies.facts.flow import CHANGES, PART, STORE, TOLD, WORDS
from policies.facts.names import Names


class Displays(Names):
    """Visits displays and subscripts; keeps the fields of dictionaries apart where they show."""

    def display(self, node: ast.List | ast.Tuple | ast.Set) -> int:
        result = self.graph.node(self.literal_mask)
        values = [self.kept(element) for element in node.elts]
        for value in values:
            self.put(value, result)
            if isinstance(node, ast.Set):
                self.raises(value)  # only some values can be hashed
        self.columns(result, values)
        return result

    def columns(self, result: int, rows: list[int]) -> None:
        """A list of dictionaries whose fields are known is known by the fields of all of them."""
        if not rows or not all(row in self.records for row in rows):
            return
        columns = self.records[result] = dict[str, int]()
        for row in rows:
            fields = self.records[row]
            for key in tuple(fields):
                self.field(columns, key, self.read_field(row, fields, key))

    def dictionary(self, node: ast.Dict) -> int:
        result = self.graph.node(self.literal_mask)
        fields: dict[str, int] | None = {}
        for key, given in zip(node.keys, node.values, strict=True):
            item = self.kept(given)
            if key is None:
                fields = None
                for value in (item, *self.callbacks([item])):
                    self.put(value, result)
                continue
            self.put(item, result)
            self.put_under(key, item)
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                if is_address(key.value):
                    self.put(self.evaluate(key), result)
                if fields is not None:
                    self.field(fields, key.value, item)
            else:
                fields = None
                name = self.evaluate(key)
                self.put(name, result)
                self.raises(name)
        if fields is not None:
            self.records[result] = fields
        return result

    def put_under(self, key: ast.expr | None, item: int) -> None:
        if item != self.literal:
            name = key.value if isinstance(key, ast.Constant) else ""
            self.worded.setdefault(name if isinstance(name, str) else "", []).append(item)

    def under(self, whole: int, key: str) -> int:
        """What stands in `whole` under this key: of words, only those that were put under it."""
        if whole <= self.word:
            return whole
        result = self.graph.node()
        self.graph.edge(whole, result, TOLD)
        self.graph.hold(result, whole, PART)
        self.worded_reads.append((key, result))
        return result

    def late_words(self) -> None:
        """Words under the keys that were read; where they are put may stand anywhere."""
        for key, result in self.worded_reads:
            if self.class_mask:
                self.graph.edge(self.loose_words, result, WORDS)
            for item in {*self.worded.get(key, ()), *self.worded.get("", ())}:
                if item == self.word:
                    self.graph.add(result, self.text_mask)
                else:
                    self.graph.edge(item, result, WORDS)

    def field(self, fields: dict[str, int], key: str, item: int) -> None:
        node = fields.get(key)
        if node is None:
            node = fields[key] = self.graph.node()
        self.alias(item, node)
        if item in self.records:
            self.held.setdefault(node, []).append(item)

    def starred(self, node: ast.Starred) -> int:
        return self.part(self.evaluate(node.value))

    def subscript(self, node: ast.Subscript) -> int:
        whole = self.evaluate(node.value)
        key = self.evaluate(node.slice)
        fields = self.records.get(whole)
        if self.asked:
            self.may_add(whole, key)
        if fields is not None and isinstance(node.slice, ast.Constant):
            result = self.read_field(whole, fields, node.slice.value)
        elif isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            result = self.under(whole, node.slice.value)
        elif key == self.literal:
            result = self.part(whole)
        else:
            result = self.graph.node()
            self.alias(self.part(whole), result)
            self.decide(key, result)
            if not self.scopes.methods.keys().isdisjoint(("__getitem__", "__missing__")):
                self.flow(key, result)
        self.raises(result)
        self.raises(key)
        if self.moment and self.scopes.loose:
            self.read_beside(result)
        return result

    def may_add(self, whole: int, key: int) -> None:
        """Reading a `defaultdict` adds the key, and may call the factory."""
        added = self.graph.node()
        self.flow(key, added)
        for decider in (self.path, self.rounds):
            self.decide(decider, added)

        def add(_: int) -> None:
            self.graph.edge(added, whole, STORE)
            self.decide(added, self.asked)
            self.decide(whole, self.asked)

        self.graph.watch(whole, self.default_bit, add)

    def read_field(self, whole: int, fields: dict[str, int], key: object) -> int:
        """One field of a dictionary whose fields are known, with later changes to the whole."""
        result = self.graph.node()
        if isinstance(key, str):
            if key not in fields:
                fields[key] = self.graph.node()
            self.alias(fields[key], result)
        else:
            self.graph.edge(whole, result)
        self.graph.edge(whole, result, CHANGES)
        self.graph.hold(result, whole, 1)
        return result

    def slice(self, node: ast.Slice) -> int:
        parts = [part for part in (node.lower, node.upper, node.step) if part is not None]
        return self.join(*(self.evaluate(part) for part in parts))
