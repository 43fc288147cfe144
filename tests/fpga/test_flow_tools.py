"""The real programs, on something tiny: a memory, a multiplier and an adder, twice to the same bytes."""

import shutil

import pytest
from weft.fpga import flow
from weft.fpga.device import Device, ecp5, ice40
from weft.fpga.tools import PACKAGES, variable
from weft.sim.cache import cache_folder
from weft.sw.errors import UserError

VERILOG = """
module top(input clk, input [7:0] a, output reg [7:0] q);
  reg [7:0] m [0:511];
  reg [8:0] i;
  reg [7:0] d;
  always @(posedge clk) begin
    i <= i + 1;
    m[i] <= a;
    d <= m[i - 9'd3];
    q <= d * a + d;
  end
endmodule
"""


@pytest.fixture(autouse=True)
def packaged(monkeypatch):
    for name in PACKAGES:
        monkeypatch.delenv(variable(name), raising=False)


@pytest.mark.parametrize(
    "device, ram", [(ecp5("25k", "CABGA256", 6), 1), (ice40("up5k", "sg48"), 1)], ids=lambda x: getattr(x, "family", "")
)
def test_bitstream_twice(device: Device, ram: int, tmp_path, monkeypatch):
    design = flow.Design("top", VERILOG)
    first = flow.build(design, device, frequency=20)
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    second = flow.build(design, device, frequency=20)
    assert second.bitstream != first.bitstream
    assert second.bitstream.read_bytes() == first.bitstream.read_bytes()
    assert second.report == first.report
    assert second.floorplan == first.floorplan
    assert first.report.met
    assert first.report.used("block RAM").used == ram
    for made in (first.bitstream, first.placed, first.netlist, first.netlist_verilog):
        assert str(cache_folder()).encode() not in made.read_bytes()
    shutil.rmtree(tmp_path / "elsewhere")


def test_what_yosys_says_is_in_the_sentence():
    with pytest.raises(UserError, match=r"^top could not be synthesized: .*nothing.*; all that yosys said is in "):
        flow.build(flow.Design("top", "module top(); nothing n(); endmodule"), ecp5("25k", "CABGA256", 6), frequency=20)
