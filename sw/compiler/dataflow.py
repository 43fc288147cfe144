"""Layers, and which of them write and read each tensor; what they give the array and the drain to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from weft.rtl.config import Config

from ..cycles.estimate import USUAL_MEMORY, Memory
from ..lowering.layers import Layer
from .constants import agree
from .merging import drained
from .ways import cycles, fastest_way, weight_tiles

MOST_LAYERS = 4
"""In a group."""


@dataclass(frozen=True)
class Dataflow:
    """The layers, elementwise ones by rows, and what is known of their tensors."""

    layers: tuple[Layer, ...]
    sizes: Mapping[str, int]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    config: Config
    memory: Memory = USUAL_MEMORY

    @cached_property
    def readers(self) -> dict[str, list[int]]:
        """Layers by the tensor that they read."""
        found: dict[str, list[int]] = {name: [] for name in self.sizes}
        for index, layer in enumerate(self.layers):
            for name in dict.fromkeys(layer.sources):
                found[name].append(index)
        return found

    @cached_property
    def writers(self) -> dict[str, list[int]]:
        """Layers by the tensor that they write; the graph's inputs have none."""
        found: dict[str, list[int]] = {name: [] for name in self.sizes}
        for index, layer in enumerate(self.layers):
            found[layer.target].append(index)
        return found

    @cached_property
    def _work(self) -> list[tuple[int, int, int]]:
        """Per layer: cycles in the array, cycles in the drain, bytes of weights."""
        config = self.config
        tile_bytes = config.weight_steps * config.weight_line_bytes
        found = []
        for layer in self.layers:
            way = fastest_way(layer, config)
            found.append((cycles(layer, way), drained(layer, config), weight_tiles(way) * tile_bytes))
        return found

    def work(self, index: int) -> tuple[int, int, int]:
        """Cycles of a layer in the array, in the drain, and its bytes of weights."""
        return self._work[index]

    def may_pass(self, name: str) -> bool:
        """The tensor can pass from one layer to another band by band: it is not put together of several layers'
        results, each with rows of its own."""
        writers = self.writers[name]
        return not writers or (len(writers) == 1 and self.layers[writers[0]].whole)

    def inside(self, name: str, group: range) -> bool:
        """The tensor passes between layers of the group, and nobody else reads it."""
        writers = self.writers[name]
        within = bool(writers) and all(index in group for index in (*writers, *self.readers[name]))
        return within and bool(self.readers[name]) and name not in self.outputs

    def may_group(self, group: range) -> bool:
        """These layers pass on what they make, band by band, and agree on the constants they use."""
        if len(group) > MOST_LAYERS:
            return False
        for index in group[:-1]:
            name = self.layers[index].target
            if not self.may_pass(name) or not any(reader in group for reader in self.readers[name]):
                return False
        return agree([self.layers[index] for index in group], self.layers, self.config)
