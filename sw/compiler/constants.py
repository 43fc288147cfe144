"""What the drain needs besides sums: parameters per channel, and tables. They stay on the chip if they fit; else those
of a layer are loaded in each run, while the layer before it is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from weft.rtl.config import Config
from weft.rtl.isa import RESULT_TABLE_OFFSET, Space

from ..errors import UserError
from ..lowering.layers import Block, Layer, table_bytes
from .allocate import parameter_lines
from .schedule import Schedule

ALIGNMENT = 64
"""Constants start at multiples of this in the image: a word of the widest memory port."""


@dataclass(frozen=True)
class Resident:
    """Bytes that the setup program loads."""

    space: Space
    local: int
    content: bytes


@dataclass
class Region:
    """Some bytes of a local space that a layer's drains read."""

    space: Space
    local: int
    content: bytes
    layer: int
    load: int = -1
    """Number of the LOAD that brings them, if there is one."""
    last_use: int = -1
    """Number of the last DRAIN so far that reads them."""

    def meets(self, other: "Region") -> bool:
        """Both take a byte."""
        apart = self.local + len(self.content) <= other.local or other.local + len(other.content) <= self.local
        return self.space is other.space and not apart


def agree(group: Sequence[Layer], layers: Sequence[Layer], config: Config) -> bool:
    """The constants of a group of all these layers can be on the chip at once: at most one table of each kind, and
    parameters that, where not all layers' fit, do not meet however a ring of lines is filled."""
    kinds = ([one.sum_tables for one in group], [one.result_table for one in group])
    if any(sum(table is not None for table in some) > 1 for some in kinds):
        return False
    lines = [_least_lines(one, config) for one in group]
    every = sum(_least_lines(one, config) for one in layers)
    # Where the ring begins anew, it leaves out fewer lines than the next layer has.
    left_out = max(lines) if len(group) > 1 else 0
    room: int = config.parameter_lines
    return min(every, sum(lines) + left_out) <= room


def _least_lines(layer: Layer, config: Config) -> int:
    return -(-layer.output_channels // int(config.lanes))


@dataclass
class _Lines:
    """Parameter lines, in which the same ones are stored once."""

    config: Config
    parts: list[bytes] = field(default_factory=list)
    found: dict[bytes, int] = field(default_factory=dict)
    count: int = 0

    def add(self, content: bytes) -> int:
        """The first line of the content."""
        if content not in self.found:
            self.found[content] = self.count
            self.parts.append(content)
            self.count += len(content) // self.config.parameter_line_bytes
        return self.found[content]


class Constants:
    """The constants of all layers, and their LOADs.

    Parameters
    ----------
    blocks : per layer, in the order of its mappings.
    base : base register of the image; what is loaded in the run comes first in it.

    Raises
    ------
    UserError
        If one layer has more channels than the parameter memory holds.
    """

    def __init__(
        self, config: Config, schedule: Schedule, layers: Sequence[Layer], blocks: Sequence[Sequence[Block]], base: int
    ) -> None:
        self.config = config
        self.schedule = schedule
        self.base = base
        self.resident: list[Resident] = []
        self.image = b""
        self._offsets: dict[bytes, int] = {}
        self._regions: list[list[Region]] = [[] for _ in layers]
        self._present: list[Region] = []
        self.lines = self._place_parameters(layers, blocks)
        self._place_tables(layers)
        for region in (one for some in self._regions for one in some):
            if region.content not in self._offsets:
                self._offsets[region.content] = len(self.image)
                self.image += region.content + bytes(-len(region.content) % ALIGNMENT)

    def _place_parameters(self, layers: Sequence[Layer], blocks: Sequence[Sequence[Block]]) -> list[list[int]]:
        """First lines per layer and block."""
        config = self.config
        contents = [[self._records(layer, block) for block in some] for layer, some in zip(layers, blocks, strict=True)]
        together = _Lines(config)
        lines = [[together.add(content) for content in some] for some in contents]
        if together.count <= config.parameter_lines:
            self.resident.append(Resident(Space.PARAMETERS, 0, b"".join(together.parts)))
            return lines
        lines, start = [], 0
        for index, (layer, some) in enumerate(zip(layers, contents, strict=True)):
            own = _Lines(config)
            inside = [own.add(content) for content in some]
            if own.count > config.parameter_lines:
                raise UserError(
                    f"{layer.op} {layer.name!r} has {own.count * config.lanes} channels with padding to whole lanes, "
                    f"{own.count * config.lanes - config.parameter_channels} more than the {config.parameter_channels} "
                    f"parameter channels of the configuration"
                )
            if start + own.count > config.parameter_lines:
                start = 0
            local = start * config.parameter_line_bytes
            self._regions[index].append(Region(Space.PARAMETERS, local, b"".join(own.parts), index))
            lines.append([start + line for line in inside])
            start += own.count
        return lines

    def _records(self, layer: Layer, block: Block) -> bytes:
        channels = slice(block.first_output, block.first_output + block.outputs)
        return parameter_lines(layer.bias[channels], layer.multiplier[channels], layer.shift[channels], self.config)

    def _place_tables(self, layers: Sequence[Layer]) -> None:
        found: dict[int, list[Region]] = {0: [], RESULT_TABLE_OFFSET: []}
        for index, layer in enumerate(layers):
            for local, table in ((0, layer.sum_tables), (RESULT_TABLE_OFFSET, layer.result_table)):
                if table is not None:
                    found[local].append(Region(Space.TABLES, local, table_bytes(table), index))
        for regions in found.values():
            if len({region.content for region in regions}) == 1:
                self.resident.append(Resident(Space.TABLES, regions[0].local, regions[0].content))
            else:
                for region in regions:
                    self._regions[region.layer].append(region)

    def check(self, group: Sequence[int]) -> None:
        """Make sure that no constants of layers that are computed side by side have the same place.

        Raises
        ------
        UserError
            If some have: `agree` knows the lines of whole layers, not those of their blocks.
        """
        regions = self._of(group)
        for index, region in enumerate(regions):
            met = [other for other in regions[:index] if other.meets(region)]
            if any((other.local, other.content) != (region.local, region.content) for other in met):
                raise UserError(
                    f"the parameters or tables of {len(group)} layers computed side by side do not fit on the chip"
                )

    def prepare(self, group: Sequence[int]) -> None:
        """Emit the LOADs for some layers that are computed together, those that are still due."""
        for region in self._of(group):
            self._load(region)

    def prepare_next(self, group: Sequence[int], following: Sequence[int]) -> None:
        """Emit the LOADs for the layers behind them whose place is free already."""
        for region in self._of(following):
            if not any(region.meets(own) for own in self._of(group)):
                self._load(region)

    def _of(self, group: Sequence[int]) -> list[Region]:
        return [region for index in group for region in self._regions[index]]

    def needed(self, index: int) -> list[int]:
        """The LOADs that a layer's drains wait for."""
        return [region.load for region in self._regions[index]]

    def use(self, index: int, drain: int) -> None:
        """The DRAIN reads the layer's constants."""
        for region in self._regions[index]:
            region.last_use = drain

    def _load(self, region: Region) -> None:
        if region.load >= 0:
            return
        replaced = [other for other in self._present if other.meets(region)]
        same = next((one for one in replaced if (one.local, one.content) == (region.local, region.content)), None)
        if same is not None and len(replaced) == 1:
            region.load, region.last_use = same.load, same.last_use
        else:
            region.load = self.schedule.load(
                "a layer's parameters or tables",
                len(region.content),
                self.config.memory_bytes,
                after=[other.last_use for other in replaced],
                tag=region.layer + 1,
                space=region.space,
                base=self.base,
                offset=self._offsets[region.content],
                local=region.local,
            )
        self._present = [other for other in self._present if other not in replaced] + [region]
