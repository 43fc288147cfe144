# amaranth: UnusedElaboratable=no

"""The primitives of the iCE40: equal to the portable forms, and in the netlist that Yosys makes."""

import re

import pytest
from amaranth.hdl import Const, Module
from amaranth.lib.wiring import Component, In, Out
from weft.fpga import flow
from weft.fpga.cells import cell_models
from weft.fpga.device import ice40
from weft.fpga.ice40 import Ice40
from weft.gen.presets import NANO
from weft.rtl.array import Array
from weft.rtl.memory import Memory1RW
from weft.rtl.pe import ProcessingElement

from tests.fpga.side_by_side import compare

DEVICE = ice40("up5k", "sg48")


ICARUS = {"macros": ("NO_ICE40_DEFAULT_ASSIGNMENTS",), "settle": 50}
"""For Yosys' models: Icarus 11 does not know how they say what an open input is."""

EXTREME = "($urandom % 3 == 0) ? {bits}'b1 << {sign} : ($urandom % 5 == 0) ? ({bits}'b1 << {sign}) - 1 : $urandom"
"""Often the lowest and the highest number."""


def extremes(names, bits):
    return {name: EXTREME.format(bits=bits, sign=bits - 1) for name in names}


def test_element_adds_to_sums_of_any_width(tmp_path):
    inputs = extremes(("activation_in", "weight"), 8) | extremes(("psum_in",), 32)
    compare(tmp_path, ProcessingElement(), Ice40(), cell_models("ice40"), cycles=20_000, inputs=inputs, **ICARUS)


@pytest.mark.parametrize("rows, cols", [(4, 4), (5, 3)])
def test_array(tmp_path, rows, cols):
    config = NANO.replace(rows=rows, cols=cols)
    bytes_of = {"activations": rows, "weights": cols}
    inputs = {
        name: "{" + ", ".join([f"8'(({EXTREME.format(bits=8, sign=7)}))"] * count) + "}"
        for name, count in bytes_of.items()
    }
    compare(tmp_path, Array(config), Ice40(), cell_models("ice40"), cycles=5000, inputs=inputs, **ICARUS)


def test_another_latency_is_refused():
    with pytest.raises(ValueError, match=r"^multiply_latency must be 1 on iCE40, not 2$"):
        Ice40().multiply_add(Module(), "0", *(Const(0, 8) for _ in range(4)), 32, latency=2)


def netlist(component):
    """Verilog of the synthesized component."""
    design = flow.design(component, "top", technology=Ice40())
    return (flow.synthesize(design, DEVICE) / flow.NETLIST_VERILOG).read_text()


class Parity(Component):
    """An array and one bit of its sums: with no logic but carry chains and registers Yosys' abc9 fails."""

    def __init__(self):
        self.array = Array(NANO)
        members = self.array.signature.members
        super().__init__({name: members[name] for name in ("activations", "first", "weights")} | {"parity": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = self.array
        for name in ("activations", "first", "weights"):
            m.d.comb += getattr(self.array, name).eq(getattr(self, name))
        m.d.comb += self.parity.eq(self.array.sums.as_value().xor())
        return m


def test_every_cell_of_the_array_keeps_two_signed_sums():
    text = netlist(Parity())
    cells = re.findall(r"SB_MAC16 #\((.*?)\) ", text, re.DOTALL)
    assert len(cells) == NANO.rows * NANO.cols // 2
    for cell in cells:
        parameters = dict(re.findall(r"\.(\w+)\((.*?)\)", cell))
        assert parameters["MODE_8x8"] == "1'h1"
        assert parameters["A_SIGNED"] == parameters["B_SIGNED"] == "1'h1"
        assert parameters["A_REG"] == parameters["B_REG"] == "1'h1"
        assert parameters["TOPOUTPUT_SELECT"] == parameters["BOTOUTPUT_SELECT"] == "2'h1"


@pytest.mark.parametrize("width, depth, cells", [(24, 100, 2), (8, 65536, 2)])
def test_memories_of_one_port_are_large_ones(width, depth, cells):
    class Top(Component):
        """The memory's ports are signals of the top."""

        def __init__(self):
            self.memory = Memory1RW(width, depth, 8)
            names = dict(self.memory.signature.members)
            super().__init__({name: (In if member.flow is In else Out)(member.shape) for name, member in names.items()})

        def elaborate(self, platform):
            m = Module()
            m.submodules.memory = self.memory
            for name, member in self.memory.signature.members.items():
                inner, outer = getattr(self.memory, name), getattr(self, name)
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
            return m

    text = netlist(Top())
    assert len(re.findall(r"\bSB_SPRAM256KA\b", text)) == cells
    assert "SB_RAM40_4K" not in text
