"""A compiled model: programs for the device, and the operators of the host before, between and behind them."""

from dataclasses import dataclass
from math import prod

from weft.rtl.config import Config

from .errors import UserError
from .graph import Graph, Operator, Tensor, verify
from .program import LayerInfo, Program

LARGEST_TENSOR = 1 << 28
"""Elements of one sample of any tensor."""

Stage = Operator | Program
"""An operator of the host, or a program, whose ports have the names of the tensors that it reads and makes."""


@dataclass(frozen=True)
class Row:
    """What has become of one operator of the model."""

    name: str
    op: str
    where: str
    """NPU, HOST, or NOWHERE for one that takes nothing but another view of its input."""
    note: str = ""
    """Why it is on the host, or which other operator's layer does its work, in one sentence."""
    program: int = -1
    """Which of the programs for the device."""
    layers: tuple[str, ...] = ()
    """Those of the program that are this operator's."""
    inner: bool = False
    """It is a host operator that is more than what stands before the first and behind the last one of the device."""


NPU, HOST, NOWHERE = "npu", "host", "layout"


@dataclass(frozen=True, eq=False)
class Network:
    """A model, compiled for one configuration.

    Raises
    ------
    UserError
        One sentence that says which part is wrong.
    """

    name: str
    config: Config
    tensors: dict[str, Tensor]
    """Those that the host has to do with, by name; shapes are those of one sample."""
    stages: tuple[Stage, ...]
    """In order: each reads the inputs and what stages before it made."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    """One per operator of the model, in its order."""

    def __post_init__(self) -> None:
        for name, tensor in self.tensors.items():
            if prod(tensor.shape) > LARGEST_TENSOR:
                raise UserError(f"{self.name}: the tensor {name!r} has more than {LARGEST_TENSOR} elements")
        operators: list[Operator] = []
        for stage in self.stages:
            if isinstance(stage, Operator):
                operators.append(stage)
            else:
                self._check(stage)
                reads = tuple(port.name for port in stage.inputs)
                operators += [Operator(stage.name, reads, port.name) for port in stage.outputs]
        for name in (*self.inputs, *self.outputs, *(name for one in operators for name in one.inputs)):
            if name not in self.tensors:
                raise UserError(f"{self.name}: the tensor {name!r} has no description")
        verify(Graph(self.name, self.tensors, tuple(operators), self.inputs, self.outputs))
        for name in (*self.inputs, *self.outputs):
            if self.tensors[name].shape[:1] != (1,):
                shape = self.tensors[name].shape
                raise UserError(f"{self.name}: the tensor {name!r} of shape {shape} must have a batch of 1")

    def _check(self, program: Program) -> None:
        if program.config != self.config:
            raise UserError(f"{self.name}: a program is for another configuration than the network")
        for port in (*program.inputs, *program.outputs):
            tensor = self.tensors.get(port.name)
            if tensor is None or tensor.dtype != port.dtype or tensor.size != prod(port.shape):
                raise UserError(f"{self.name}: the port {port.name!r} of a program does not suit the tensor")

    @property
    def programs(self) -> tuple[Program, ...]:
        """Those for the device, in order."""
        return tuple(stage for stage in self.stages if isinstance(stage, Program))

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The layers of all programs."""
        return tuple(layer for program in self.programs for layer in program.layers)
