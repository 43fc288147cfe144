"""The weight store with the array, the scratchpad and the accumulator side by side, as one top: compiled once for the
tests of all of them."""

from functools import cache

from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out, Signature, connect, flipped
from weft.gen.verilog import to_verilog
from weft.rtl.accumulator import Accumulator
from weft.rtl.array import Array
from weft.rtl.config import Config
from weft.rtl.scratchpad import Scratchpad
from weft.rtl.weights import WeightStore

TOP = "blocks_top"

_SIZES = {"weight_tiles": 32, "scratchpad_bytes": 1024, "accumulators": 24}

CONFIGS = {
    "4x4": Config(rows=4, cols=4, weight_rows=2, lanes=2, **_SIZES),
    "3x5": Config(
        rows=3,
        cols=5,
        weight_rows=3,
        lanes=5,
        parameter_channels=5,
        depthwise=True,
        memory_width=64,
        axi_width=64,
        **_SIZES,
    ),
}


class BlocksTop(Component):
    """`array` has the array's ports but for the weights, which come from the store, and the store's."""

    def __init__(self, config: Config) -> None:
        self.store, self.processing = WeightStore(config), Array(config)
        self.blocks = {"scratchpad": Scratchpad(config), "accumulator": Accumulator(config)}
        array = dict(self.processing.signature.members)
        del array["weights"]
        store = self.store.signature.members
        self.passed = tuple(array)
        super().__init__(
            {
                "array": Out(Signature({**array, "write": store["write"], "line": In(store["read"].shape)})),
                **{name: Out(block.signature) for name, block in self.blocks.items()},
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store = store = self.store
        m.submodules.processing = processing = self.processing
        connect(m, flipped(self.array.write), store.write)
        m.d.comb += [store.read.eq(self.array.line), processing.weights.eq(store.weights)]
        for name in self.passed:
            inner, outer = getattr(processing, name), getattr(self.array, name)
            m.d.comb += outer.eq(inner) if name == "sums" else inner.eq(outer)
        for name, block in self.blocks.items():
            m.submodules[name] = block
            connect(m, flipped(getattr(self, name)), block)
        return m


@cache
def verilog(config: Config) -> str:
    """The Verilog of the top."""
    return to_verilog(BlocksTop(config), TOP)
