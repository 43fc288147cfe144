# amaranth: UnusedElaboratable=no

"""Each primitive form equals the portable form, in every cycle."""

import re

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib.wiring import Component, In, Out
from weft.fpga.ecp5 import SITES, Ecp5, Shape, array_sites, shape
from weft.fpga.ecp5_cells import STRICT, cell_models
from weft.gen.presets import PRESETS
from weft.gen.verilog import to_verilog
from weft.rtl.array import Array
from weft.rtl.config import Config
from weft.rtl.memory import Memory1R1W
from weft.rtl.pe import ProcessingElement
from weft.rtl.requantize import Requantize, partial_products

from tests.fpga.side_by_side import compare


@pytest.mark.parametrize("latency", [1, 2])
def test_processing_element(tmp_path, latency):
    compare(tmp_path, ProcessingElement(latency), Ecp5(), cell_models())


class Products(Component):
    x: In(signed(32))
    multiplier: In(31)
    o: Out(128)

    def elaborate(self, platform):
        m = Module()
        offset = 0
        for product in partial_products(m, platform, self.x, self.multiplier):
            m.d.comb += self.o[offset : offset + 32].eq(product)
            offset += 32
        return m


def test_partial_products(tmp_path):
    compare(tmp_path, Products(), Ecp5(), cell_models())


def test_requantizer(tmp_path):
    compare(tmp_path, Requantize(), Ecp5(), cell_models(), inputs={"parameters": "{$urandom, $urandom, $urandom} >> 2"})


def test_array(tmp_path):
    config = Config(rows=3, cols=2, weight_rows=3, depthwise=True, multiply_latency=2)
    compare(tmp_path, Array(config), Ecp5(array_sites(config, "85k")), cell_models())


MEMORIES = [
    (32, 512, None),  # an accumulator
    (32, 1024, 8),  # weights
    (128, 2048, 8),  # a bank of the scratchpad
    (144, 20, 8),  # parameters, and fewer words than a block has
    (7, 4096, None),
    (16, 9000, 8),  # two rows of blocks
    (40, 700, 20),  # left to inference
    (5, 1, None),
]


@pytest.mark.parametrize("latency, macros", [(1, ()), (2, ()), (2, (STRICT,))], ids=["1", "2", "2 strict"])
@pytest.mark.parametrize("width, depth, granularity", MEMORIES)
def test_memory(tmp_path, width, depth, granularity, latency, macros):
    memory = Memory1R1W(width, depth, granularity, latency)
    near = min(depth, 20)
    # Few addresses, from all over the memory; what a read of an address gives that is being written is undefined.
    address = f"($urandom % {near}) * {max(1, depth // near)}"
    compare(
        tmp_path,
        memory,
        Ecp5(),
        cell_models(),
        cycles=3000,
        inputs={
            "write__address": address,
            "read__address": address,
            "read__enable": "$urandom % 3 != 0 && !(read__address == write__address && |write__enable)",
        },
        macros=macros,
    )


@pytest.mark.parametrize(
    "memory, expected",
    [
        ((32, 512, 32), Shape(36, 512, 36, 1, 1)),
        ((32, 1024, 8), Shape(18, 1024, 16, 2, 1)),
        ((128, 2048, 8), Shape(9, 2048, 8, 16, 1)),
        ((144, 1024, 8), Shape(18, 1024, 16, 9, 1)),
        ((36, 512, 36), Shape(36, 512, 36, 1, 1)),
        ((8, 4096, 8), Shape(4, 4096, 4, 2, 1)),
        ((8, 1 << 15, 8), Shape(1, 1 << 14, 1, 8, 2)),
        ((12, 100, 4), None),
    ],
)
def test_fewest_blocks(memory, expected):
    assert shape(*memory) == expected


def test_multipliers_of_a_column_and_of_a_row_are_neighbours():
    sites = array_sites(PRESETS["medium"], "85k")
    assert len(set(sites.values())) == 16 * 8
    assert set(sites.values()) <= {site for row in SITES["85k"] for site in row}
    places = {name: tuple(int(n) for n in re.match(r"X(\d+)/Y(\d+)", site).groups()) for name, site in sites.items()}
    for row in range(15):
        for col in range(8):
            (x, y), (below_x, below_y) = places[f"{row}_{col}"], places[f"{row + 1}_{col}"]
            assert y == below_y
            assert below_x - x <= 12
    for row in range(16):
        for col in range(7):
            (x, y), (east_x, east_y) = places[f"{row}_{col}"], places[f"{row}_{col + 1}"]
            assert (y == east_y and abs(east_x - x) <= 7) or east_y - y == 24


@pytest.mark.parametrize("rows, cols", [(16, 8), (4, 4), (8, 8), (26, 6), (25, 5)])
def test_four_multipliers_share_four_clock_enables(rows, cols):
    """One is the constant of the activations, the others belong to the weights of a diagonal each."""
    sites = array_sites(Config(rows=rows, cols=cols), "85k")
    elements = {site: sum(int(number) for number in name.split("_")) for name, site in sites.items()}
    for row in SITES["85k"]:
        for first in range(0, len(row), 4):
            assert len({elements[site] for site in row[first : first + 4] if site in elements}) <= 3


def test_array_that_does_not_fit_is_left_to_the_tools():
    assert array_sites(Config(rows=64, cols=64), "85k") == {}
    assert array_sites(Config(rows=16, cols=16), "85k") == {}
    assert array_sites(Config(), "25k") == {}


def test_sites_are_told_to_the_tools():
    text = to_verilog(ProcessingElement(2), "pe", technology=Ecp5({"0": "X4/Y10/MULT18_0"}))
    assert '(* BEL = "X4/Y10/MULT18_0" *)' in text
    assert "BEL" not in to_verilog(ProcessingElement(2), "pe", technology=Ecp5())
