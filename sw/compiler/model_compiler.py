"""From a whole model to a network: programs for what the device can run, the rest on the host."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from weft.rtl.config import Config

from ..cycles.estimate import USUAL_MEMORY, Memory
from ..errors import UserError
from ..graph import Constant, Graph, OnnxNode, Operator, Reshape
from ..host import operators as host_operators
from ..lowering.limits import HOST_REASONS
from ..lowering.lower import lower_operator
from ..network import Network, Stage
from ..program import Program
from .compiler import check_graph, compile_graph
from .partition import Part, partition, with_inputs
from .passes import simplify
from .placement import Verdict, rows_of


def compile_model(graph: Graph, config: Config, memory: Memory = USUAL_MEMORY) -> Network:
    """Compile a model, with an eye on the memory that it will run with; what the device cannot run goes to the host.

    Raises
    ------
    UserError
        One sentence: an operator that neither of them can run.
    """
    model = _with_names(graph)
    simple = simplify(model)
    compiler = _Compiler(simple, config, memory)
    parts = compiler.parts()
    for part in parts:
        if isinstance(part, Operator):
            host_operators.types(part, simple)
    stages: tuple[Stage, ...] = tuple(
        part if isinstance(part, Operator) else compiler.programs[_key(part)] for part in parts
    )
    crossing = {*graph.inputs, *graph.outputs}
    for stage in stages:
        if isinstance(stage, Operator):
            crossing.update((*stage.inputs, stage.output))
        else:
            crossing.update(port.name for port in (*stage.inputs, *stage.outputs))
    tensors = {name: tensor for name, tensor in simple.tensors.items() if name in crossing}
    layers = [[layer.name for layer in stage.layers] for stage in stages if isinstance(stage, Program)]
    rows = rows_of(model, simple, parts, layers, compiler.verdicts)
    return Network(graph.name, config, tensors, stages, graph.inputs, graph.outputs, rows)


def verdict(operator: Operator, graph: Graph, config: Config) -> Verdict:
    """Whether the device takes an operator, as far as it can be told from that operator alone."""
    if isinstance(operator, OnnxNode):
        return Verdict(f"it {operator.reason}")
    try:
        return Verdict(layers=tuple(layer.name for layer in lower_operator(operator, graph, config)))
    except UserError as error:
        return Verdict(HOST_REASONS.get(type(operator), f"it {error}"))


def _with_names(graph: Graph) -> Graph:
    """The graph with a name of its own for each operator."""
    counts: Counter[str] = Counter()
    taken = {operator.name for operator in graph.operators}
    operators = []
    for operator in graph.operators:
        name = operator.name
        while counts[operator.name] and name in taken:
            name = f"{operator.name}.{counts[operator.name]}"
            counts[operator.name] += 1
        counts[operator.name] += not counts[operator.name]
        taken.add(name)
        operators.append(operator if name == operator.name else replace(operator, name=name))
    return replace(graph, operators=tuple(operators))


Key = tuple[str, ...]


def _key(part: Graph) -> Key:
    """What tells the parts of a graph apart."""
    return (*(operator.output for operator in part.operators), "", *part.outputs)


class _Compiler:
    """Moves operators to the host, and cuts parts in two, until all parts compile."""

    def __init__(self, graph: Graph, config: Config, memory: Memory) -> None:
        self.graph = graph
        self.config = config
        self.memory = memory
        self.verdicts = {
            operator.output: verdict(operator, graph, config)
            for operator in graph.operators
            if not isinstance(operator, Reshape | Constant)
        }
        self.cuts: set[str] = set()
        self.programs: dict[Key, Program] = {}
        self.alone: dict[Key, Verdict] = {}
        """What is known of parts of one operator."""

    def parts(self) -> tuple[Part, ...]:
        """Those of the graph; all for the device have a program."""
        while True:
            parts = self._partition({name for name, found in self.verdicts.items() if found.reason})
            if all(self._compiles(part) for part in parts if isinstance(part, Graph)):
                return parts

    def _partition(self, on_host: set[str]) -> tuple[Part, ...]:
        """The parts; a Constant that a part cannot hold is an input of it."""
        sent: dict[str, Operator] = {}
        parts: list[Part] = []
        for part in partition(self.graph, on_host, self.cuts):
            if isinstance(part, Graph):
                constants = [one for one in part.operators if isinstance(one, Constant)]
                for operator in constants:
                    self.verdicts[operator.output] = verdict(operator, part, self.config)
                refused = {one.output: one for one in constants if self.verdicts[one.output].reason}
                part = with_inputs(part, refused)
                sent |= refused
            parts.append(part)
        made = {part.output for part in parts if isinstance(part, Operator)}
        return (*(operator for name, operator in sent.items() if name not in made), *parts)

    def _compiles(self, part: Graph) -> bool:
        """Compile a part; where that fails, change what the next partition gives."""
        key = _key(part)
        if key not in self.programs:
            try:
                self.programs[key] = compile_graph(part, self.config, self.memory)
            except UserError as error:
                self._give_up(part, error)
                return False
        return True

    def _give_up(self, part: Graph, error: UserError) -> None:
        """Move those operators to the host that the device does not take where they are, or cannot hold even alone; or
        else halve the part."""
        operators = [one for one in part.operators if not isinstance(one, Reshape | Constant)]
        found = {one.output: verdict(one, part, self.config) for one in operators}
        refused = {name: one for name, one in found.items() if one.reason}
        if not refused and len(operators) == 1:
            refused = {operators[0].output: self._told(error)}
        if not refused:
            refused = {name: one for name, one in self._alone(operators) if one.reason}
        self.verdicts |= refused
        if not refused:
            self.cuts.add(operators[len(operators) // 2].output)

    def _alone(self, operators: Sequence[Operator]) -> Iterator[tuple[str, Verdict]]:
        """What each is by itself."""
        for operator in operators:
            others = {one.output for one in self.graph.operators if one is not operator}
            part = next(one for one in self._partition(others) if isinstance(one, Graph))
            key = _key(part)
            if key not in self.alone:
                self.alone[key] = self._checked(operator, part)
            yield operator.output, self.alone[key]

    def _checked(self, operator: Operator, part: Graph) -> Verdict:
        """Whether the device can hold an operator that it takes; one that it takes only among others has no reason."""
        if not verdict(operator, part, self.config).reason:
            try:
                check_graph(part, self.config, self.memory)
            except UserError as error:
                return self._told(error)
        return Verdict()

    def _told(self, error: UserError) -> Verdict:
        return Verdict(str(error).removeprefix(f"{self.graph.name}: "))
