"""A program for the device: all that the driver needs to run it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import NamedTuple

from weft.rtl.config import Config
from weft.rtl.isa import INSTRUCTION_BYTES, Instruction, Opcode, Space

from .errors import UserError

ITEM_BYTES = {"int8": 1, "uint8": 1, "int32": 4}


def _need(good: bool, sentence: str) -> None:
    if not good:
        raise UserError(sentence)


@dataclass(frozen=True)
class Port:
    """One input or output of a program, as it lies in the input buffer (base 1) or output buffer (base 2)."""

    name: str
    shape: tuple[int, ...]
    """Of one sample, NHWC, with a leading 1."""
    dtype: str
    """int8, uint8 or int32."""
    scale: float
    zero_point: int
    offset: int
    """First byte in the buffer."""
    bytes: int
    """Size in the buffer; elements are dense and little endian."""

    def __post_init__(self) -> None:
        where = f"port {self.name!r}"
        _need(
            isinstance(self.name, str) and bool(self.name),
            f"the name of a port must be text, not {self.name!r}",
        )
        shape = self.shape
        good = isinstance(shape, tuple) and shape[:1] == (1,) and all(type(n) is int and n > 0 for n in shape)
        _need(good, f"{where}: the shape must be positive integers after a leading 1, not {shape!r}")
        _need(
            self.dtype in ITEM_BYTES,
            f"{where}: the type must be one of {', '.join(ITEM_BYTES)}, not {self.dtype!r}",
        )
        size = prod(self.shape) * ITEM_BYTES[self.dtype]
        _need(
            type(self.bytes) is int and self.bytes == size,
            f"{where}: {self.shape} of {self.dtype} has {size} bytes, not {self.bytes!r}",
        )
        _need(
            type(self.scale) in (int, float) and 0 < self.scale < float("inf"),
            f"{where}: the scale must be a positive number, not {self.scale!r}",
        )
        _need(
            type(self.zero_point) is int,
            f"{where}: the zero point must be an integer, not {self.zero_point!r}",
        )
        _need(
            type(self.offset) is int and 0 <= self.offset < 1 << 32,
            f"{where}: the offset must be from 0 to 2^32 - 1, not {self.offset!r}",
        )


@dataclass(frozen=True)
class LayerInfo:
    """What the compiler knows of one layer; `tag` is in its instructions and names it in traces."""

    name: str
    op: str
    tag: int
    macs: int
    """Multiplications of the layer's definition, not those with packed or padded zeros."""
    passes: int
    """Cycles that its array passes take at least."""
    predicted_cycles: int
    tiles: int = 0
    """Times that sums are drained."""
    moved_bytes: int = 0
    """Bytes from and to memory in a run."""
    weight_bytes: int = 0
    """Bytes of weights on the chip, or that a run streams; the zeros that fill up tiles included."""
    streamed: bool = False
    """Weights come from memory in each run."""

    def __post_init__(self) -> None:
        for name in ("name", "op"):
            _need(
                isinstance(getattr(self, name), str),
                f"the {name} of a layer must be text, not {getattr(self, name)!r}",
            )
        for name in ("tag", "macs", "passes", "predicted_cycles", "tiles", "moved_bytes", "weight_bytes"):
            value = getattr(self, name)
            _need(
                type(value) is int and value >= 0,
                f"layer {self.name!r}: {name} must be an integer of 0 or more, not {value!r}",
            )
        _need(
            type(self.streamed) is bool, f"layer {self.name!r}: streamed must be true or false, not {self.streamed!r}"
        )
        _need(self.tag < 1 << 16, f"layer {self.name!r}: the tag must be below {1 << 16}, not {self.tag}")


class Traffic(NamedTuple):
    """The last four parts of a LayerInfo, from a layer's instructions."""

    tiles: int = 0
    moved_bytes: int = 0
    weight_bytes: int = 0
    streamed: bool = False


def traffic_of(instructions: Sequence[Instruction], tags: Sequence[int], config: Config) -> dict[int, Traffic]:
    """What the instructions of each layer do, by its tag. Loads of no layer are for the one that comes next, stores of
    none for the one before."""
    found = {tag: Traffic() for tag in tags}
    resident: dict[int, dict[int, int]] = {tag: {} for tag in tags}
    waiting, last = 0, tags[0]
    for one in instructions:
        owner = one.tag if one.opcode is not Opcode.END and one.tag in found else None
        if one.opcode in (Opcode.LOAD, Opcode.STORE):
            moved = one.bytes * one.rows
            if owner is None and one.opcode is Opcode.LOAD:
                waiting += moved
                continue
            old = found[last if owner is None else owner]
            weights = moved if one.opcode is Opcode.LOAD and one.space == Space.WEIGHTS.value else 0
            found[last if owner is None else owner] = old._replace(
                moved_bytes=old.moved_bytes + moved,
                weight_bytes=old.weight_bytes + weights,
                streamed=old.streamed or weights > 0,
            )
        elif owner is not None:
            last, old = owner, found[owner]
            drained = one.opcode is Opcode.DRAIN
            found[owner] = old._replace(tiles=old.tiles + drained, moved_bytes=old.moved_bytes + waiting)
            waiting = 0
            if one.opcode is Opcode.CONV:
                tiles = one.n_count * one.ky_count * one.kx_count * -(-one.run // config.rows)
                resident[owner][one.weights] = tiles * config.macs_per_cycle
    return {
        tag: one if one.streamed else one._replace(weight_bytes=sum(resident[tag].values()))
        for tag, one in found.items()
    }


@dataclass(frozen=True)
class Program:
    """A network of device operators, compiled for one configuration.

    Raises
    ------
    UserError
        One sentence that says which part is wrong.
    """

    config: Config
    image: bytes
    """Constant memory (weights, parameters, instructions), placed at base 0."""
    setup: int
    """Offset in `image` of the program that loads what stays on chip, run once; -1 if there is none."""
    run: int
    """Offset in `image` of the program of one inference."""
    workspace_bytes: int
    """Scratch memory at base 3."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[LayerInfo, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        _need(isinstance(self.config, Config), "the config of a program must be a Config")
        _need(isinstance(self.image, bytes), "the image of a program must be bytes")
        _need(isinstance(self.name, str), f"the name of a program must be text, not {self.name!r}")
        for name, least in (("setup", -1), ("run", 0)):
            offset = getattr(self, name)
            inside = type(offset) is int and least <= offset <= len(self.image) - INSTRUCTION_BYTES
            _need(
                inside and (offset == -1 or offset % INSTRUCTION_BYTES == 0),
                f"the offset of the {name} program must be a multiple of {INSTRUCTION_BYTES} inside the "
                f"image of {len(self.image)} bytes, not {offset!r}",
            )
        _need(
            type(self.workspace_bytes) is int and self.workspace_bytes >= 0,
            f"workspace_bytes must be an integer of 0 or more, not {self.workspace_bytes!r}",
        )
        for kind, ports in (("input", self.inputs), ("output", self.outputs)):
            _need(
                isinstance(ports, tuple) and bool(ports),
                f"a program must have a tuple of at least one {kind}",
            )
            names = [port.name for port in ports]
            _need(
                len(set(names)) == len(names),
                f"the {kind}s must have different names, not {', '.join(names)}",
            )
            regions = sorted((port.offset, port.offset + port.bytes, port.name) for port in ports)
            for (_, end, first), (start, _, second) in pairwise(regions):
                _need(end <= start, f"the {kind}s {first!r} and {second!r} overlap in the buffer")

    @property
    def input_bytes(self) -> int:
        """Bytes of the input buffer of one inference."""
        return max(port.offset + port.bytes for port in self.inputs)

    @property
    def output_bytes(self) -> int:
        """Bytes of the output buffer of one inference."""
        return max(port.offset + port.bytes for port in self.outputs)
