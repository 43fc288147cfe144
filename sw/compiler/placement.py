"""What becomes of each operator of a model, in words: a row per operator, and what `--strict` makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import UserError
from ..graph import (
    Constant,
    Dequantize,
    Graph,
    OffsetBinary,
    OnnxNode,
    Operator,
    Quantize,
    Reshape,
    Softmax,
    SoftmaxInt8,
    Transpose,
)
from ..network import HOST, NOWHERE, NPU, Network, Row
from .partition import Part
from .passes import drop_unused

BORDER = (Quantize, Dequantize, OffsetBinary, Reshape, Softmax, SoftmaxInt8)
"""What may be on the host before the first and behind the last operator of the device, besides transposes as layout."""

LAYOUTS = ((0, 2, 3, 1), (0, 3, 1, 2))
"""Permutations that bring channels last, or back."""


@dataclass(frozen=True)
class Verdict:
    """Whether the device takes an operator."""

    reason: str = ""
    """Why it does not, half a sentence."""
    layers: tuple[str, ...] = ()
    """The names of the layers that it becomes, if it stays alone."""


def kind_of(operator: Operator) -> str:
    """What the operator column says."""
    if isinstance(operator, OnnxNode):
        from onnx import ModelProto  # only models that have such a node wait for it

        nodes = ModelProto.FromString(operator.model.tobytes()).graph.node
        return str(nodes[0].op_type) if nodes else "OnnxNode"
    return type(operator).__name__


class _Rows:
    """Rows as they are made, in the order of the model."""

    def __init__(
        self,
        model: Graph,
        simple: Graph,
        parts: Sequence[Part],
        layers: Sequence[Sequence[str]],
        verdicts: Mapping[str, Verdict],
    ) -> None:
        self.model = model
        self.parts = [part for part in parts if isinstance(part, Graph)]
        self.layers = layers
        self.verdicts = verdicts
        self.program = {one.output: index for index, part in enumerate(self.parts) for one in part.operators}
        self.simple = {one.name: one for one in simple.operators}
        self.host = {part.output for part in parts if isinstance(part, Operator)}
        self.inner = inner_operators(
            simple,
            [one.output for part in self.parts for one in part.operators if not isinstance(one, Reshape | Constant)],
        )
        self.used = {operator.output for operator in drop_unused(model).operators}
        self.owners: dict[str, tuple[str, int]] = {}
        """Tensor -> the operator whose layer makes it, and the program."""

    def row(self, operator: Operator) -> Row:
        kind, name = kind_of(operator), operator.name
        if operator.output not in self.used:
            return Row(name, kind, NOWHERE, "nothing reads its result")
        now = self.simple.get(name)
        moves = isinstance(operator, Reshape | Transpose)
        if isinstance(now, Reshape) or (now is None and moves):
            if operator.inputs[0] in self.owners:
                self.owners[operator.output] = self.owners[operator.inputs[0]]
            return Row(name, kind, NOWHERE)
        if isinstance(operator, Constant):
            if operator.output in self.program:
                return Row(name, kind, NPU, "in the layers that read it", program=self.program[operator.output])
            found = self.verdicts.get(operator.output, Verdict())
            return Row(name, kind, HOST, found.reason or "operators of the host read it")
        if now is not None and now.output in self.host and now.output not in self.program:
            return Row(name, kind, HOST, self.verdicts[now.output].reason, inner=now.output in self.inner)
        if now is not None:
            program = self.program[now.output]
            own = tuple(one for one in self.verdicts[now.output].layers if one in self.layers[program])
            if own:
                self.owners[operator.output] = name, program
                return Row(name, kind, NPU, program=program, layers=own)
        return self._absorbed(operator, now)

    def _absorbed(self, operator: Operator, now: Operator | None) -> Row:
        """An operator whose work is done in the layer of another one."""
        owner = next((self.owners[name] for name in operator.inputs if name in self.owners), None)
        if owner is None:
            program = self.program[now.output] if now is not None else -1
            return Row(operator.name, kind_of(operator), NPU, program=program)
        self.owners[operator.output] = owner
        return Row(operator.name, kind_of(operator), NPU, f"in the layer of {owner[0]}", program=owner[1])


def rows_of(
    model: Graph, simple: Graph, parts: Sequence[Part], layers: Sequence[Sequence[str]], verdicts: Mapping[str, Verdict]
) -> tuple[Row, ...]:
    """A row per operator of `model`.

    Parameters
    ----------
    simple
        The model's graph after its rewriting, which is what `parts` and `verdicts` (by tensor) are of.
    layers
        The names of the layers in the program of each part for the device.
    """
    rows = _Rows(model, simple, parts, layers, verdicts)
    return tuple(rows.row(operator) for operator in model.operators)


def inner_operators(graph: Graph, device: Sequence[str]) -> set[str]:
    """The operators that are not on the device, nor stand at its border; all by the tensors that they make."""
    own = set(device)
    behind: set[str] = set()
    for operator in graph.operators:
        if any(name in own or name in behind for name in operator.inputs):
            behind.add(operator.output)
    before: set[str] = set()
    for operator in reversed(graph.operators):
        if operator.output in own or operator.output in before:
            before.update(operator.inputs)
    found = set()
    for operator in graph.operators:
        layout = isinstance(operator, Transpose) and operator.permutation in LAYOUTS
        border = layout or isinstance(operator, BORDER)
        between = operator.output in behind and operator.output in before
        if operator.output not in own and not isinstance(operator, Constant) and (between or not border):
            found.add(operator.output)
    return found


def refuse_host_operators(network: Network) -> None:
    """Let nothing pass but what stands at the border.

    Raises
    ------
    UserError
        Names the first operator that runs on the host, and why; the first that computes, if one does.
    """
    inner = [row for row in network.rows if row.inner]
    # What only carries values there and back is not what the host is needed for.
    around = {kind.__name__ for kind in (*BORDER, Transpose)}
    for row in [row for row in inner if row.op not in around] or inner:
        raise UserError(f"{network.name}: {row.op} {row.name!r} would run on the host: {row.note}")
