"""A graph in parts: what runs on the device, in as few programs as possible, and operators of the host between them.

A Reshape is nothing on either side, and a Constant is known on either, so both are wherever they are needed.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from ..graph import Constant, Graph, Operator, Reshape

Part = Graph | Operator
"""A graph for the device, or one operator of the host."""


def partition(graph: Graph, on_host: Collection[str], cuts: Collection[str] = ()) -> tuple[Part, ...]:
    """The parts in order: each reads the graph's inputs and what parts before it made.

    Operators are taken as soon as all that they read is there, first all of the host, then all of the device, and so
    on: no order has fewer parts for the device.

    Parameters
    ----------
    on_host
        Operators of the host, by the tensors that they make; all others are for the device.
    cuts
        Operators of the device that begin a part, by the tensors that they make.
    """
    return _Partition(graph, frozenset(on_host), frozenset(cuts)).parts()


def with_inputs(part: Graph, constants: Collection[str]) -> Graph:
    """The part with some of its Constants as inputs, behind those that it has."""
    names = [operator.output for operator in part.operators if operator.output in constants]
    left = tuple(operator for operator in part.operators if operator.output not in constants)
    return replace(part, inputs=(*part.inputs, *names)).with_operators(left)


class _Partition:
    def __init__(self, graph: Graph, on_host: frozenset[str], cuts: frozenset[str]) -> None:
        self.graph = graph
        self.on_host = on_host
        self.cuts = cuts
        self.makers = {operator.output: operator for operator in graph.operators}
        self.at_hand = {*graph.inputs}
        """Inputs, and what operators that have been taken make."""
        self.brought: set[str] = set()
        """What Reshapes and Constants of the host make."""
        self.found: list[Operator | list[Operator]] = []

    def root(self, name: str) -> str:
        """The tensor that has the elements of `name`."""
        maker = self.makers.get(name)
        return self.root(maker.inputs[0]) if isinstance(maker, Reshape) else name

    def parts(self) -> tuple[Part, ...]:
        remaining = [one for one in self.graph.operators if not isinstance(one, Reshape | Constant)]
        while remaining:
            remaining = self._host_phase(remaining)
            remaining = self._device_phase(remaining)
        for name in self.graph.outputs:
            self._bring(name)
        parts = []
        for index, one in enumerate(self.found):
            parts.append(self._device_part(one, index) if isinstance(one, list) else one)
        return tuple(parts)

    def _ready(self, operator: Operator) -> bool:
        roots = [self.root(name) for name in operator.inputs]
        return all(root in self.at_hand or isinstance(self.makers.get(root), Constant) for root in roots)

    def _host_phase(self, operators: Sequence[Operator]) -> list[Operator]:
        left = []
        for operator in operators:
            if operator.output in self.on_host and self._ready(operator):
                for name in operator.inputs:
                    self._bring(name)
                self.found.append(operator)
                self.at_hand.add(operator.output)
            else:
                left.append(operator)
        return left

    def _bring(self, name: str) -> None:
        """Have the host make a tensor that only a Reshape or a Constant stands for."""
        maker = self.makers.get(name)
        if name not in self.brought and isinstance(maker, Reshape | Constant):
            for source in maker.inputs:
                self._bring(source)
            self.found.append(maker)
            self.brought.add(name)

    def _device_phase(self, operators: Sequence[Operator]) -> list[Operator]:
        part: list[Operator] = []
        left = []
        full = False
        for operator in operators:
            full = full or bool(part and operator.output in self.cuts and self._ready(operator))
            if full or operator.output in self.on_host or not self._ready(operator):
                left.append(operator)
            else:
                part.append(operator)
                self.at_hand.add(operator.output)
        if part:
            self.found.append(part)
        return left

    def _device_part(self, operators: Sequence[Operator], index: int) -> Graph:
        taken: dict[str, Operator] = {}

        def take(operator: Operator) -> None:
            for name in operator.inputs:
                if isinstance(self.makers.get(name), Reshape | Constant):
                    take(self.makers[name])
            taken.setdefault(operator.output, operator)

        for operator in operators:
            take(operator)
        inputs = dict.fromkeys(name for one in taken.values() for name in one.inputs if name not in taken)
        elsewhere = {self.root(name) for name in self._read_elsewhere(index)}
        outputs = tuple(operator.output for operator in operators if operator.output in elsewhere)
        part = replace(self.graph, inputs=tuple(inputs), outputs=outputs)
        return part.with_operators(tuple(taken.values()))

    def _read_elsewhere(self, index: int) -> Iterator[str]:
        yield from self.graph.outputs
        for other, one in enumerate(self.found):
            if other != index:
                for operator in one if isinstance(one, list) else [one]:
                    yield from operator.inputs
