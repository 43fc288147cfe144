"""The array shapes on which whole programs are compared; few, since each is compiled once, and all different."""

from functools import cache

from weft.fpga.ecp5 import REGISTERED
from weft.rtl.config import Config
from weft.sim.verilated import VerilatedNpu

BASE = Config(
    depthwise=True,
    tables=True,
    weight_tiles=512,
    scratchpad_bytes=16384,
    accumulators=128,
    parameter_channels=480,
    memory_width=64,
    axi_width=64,
)

CONFIGURATIONS = {
    "1x1": BASE.replace(
        rows=1, cols=1, depthwise=False, tables=False, weight_tiles=8192, memory_width=32, axi_width=32
    ),
    "2x3": BASE.replace(rows=2, cols=3, weight_tiles=4096, lanes=3, axi_width=128, axi_burst=4),
    "4x4": BASE.replace(
        rows=4, cols=4, depthwise=False, tables=False, weight_rows=1, weight_tiles=2048, memory_width=32, axi_width=32
    ),
    "5x3": BASE.replace(rows=5, cols=3, tables=False, weight_rows=5, lanes=1, accumulators=50),
    "8x8": BASE.replace(rows=8, cols=8, weight_rows=8, lanes=2, accumulators=256),
    "3x16": BASE.replace(rows=3, cols=16, weight_rows=3, lanes=8),
    "16x4": BASE.replace(
        rows=16,
        cols=4,
        weight_rows=2,
        lanes=2,
        memory_latency=2,
        multiply_latency=2,
        pipelined=True,
        memory_width=128,
        axi_width=256,
    ),
    "16x16": BASE.replace(rows=16, cols=16, weight_rows=16, lanes=4, queue_depth=1, fetch_depth=2),
}

TRUSTED = CONFIGURATIONS["8x8"].replace(fences=True, checks=True, autopsy=True)
"""With all that finds faults; not one of CONFIGURATIONS, whose tests then show that it is not needed."""

TRUSTED_REGISTERED = TRUSTED.replace(**REGISTERED)
"""The same with all registers that a fast FPGA wants."""


COMPACT = {
    "compact": BASE.replace(
        **{"rows": 6, "cols": 3, "weight_rows": 2, "depthwise": False, "tables": False},
        **{"memory_width": 16, "axi_width": 32, "accumulators": 100, "compact": True, "counter_bits": 10},
    ),
}
"""Of the small forms of the units: for what is not a matter of the shape alone."""


@cache
def device(name: str) -> VerilatedNpu:
    """The compiled RTL of a configuration; one per process."""
    return VerilatedNpu((CONFIGURATIONS | COMPACT)[name])
