"""The primitives of the iCE40 in the netlist that Yosys makes."""

import re

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out
from weft.fpga import flow
from weft.fpga.device import ice40
from weft.fpga.ice40 import Ice40
from weft.gen.presets import NANO
from weft.rtl.array import Array
from weft.rtl.memory import Memory1RW

DEVICE = ice40("up5k", "sg48")


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


def test_every_cell_of_the_array_keeps_two_signed_products():
    text = netlist(Parity())
    cells = re.findall(r"SB_MAC16 #\((.*?)\) ", text, re.DOTALL)
    assert len(cells) == NANO.rows * NANO.cols // 2
    for cell in cells:
        parameters = dict(re.findall(r"\.(\w+)\((.*?)\)", cell))
        assert parameters["MODE_8x8"] == "1'h1"
        assert parameters["A_SIGNED"] == parameters["B_SIGNED"] == "1'h1"
        assert parameters["A_REG"] == parameters["B_REG"] == "1'h1"
        assert parameters["TOPOUTPUT_SELECT"] == parameters["BOTOUTPUT_SELECT"] == "2'h2"


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
