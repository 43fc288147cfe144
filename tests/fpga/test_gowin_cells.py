"""The models alone, each against a table of what Gowin's guides say."""

import pytest
from weft.fpga.gowin_cells import CELLS, cell_models

from tests.fpga.side_by_side import run_icarus

MULTIPLIER = """
module bench;
  reg [{top}:0] a, b;
  reg cascade = 0;
  wire [2 * {top} + 1:0] p;
  MULT{bits}X{bits} #(.OUT_REG({register})) dut (.A(a), .B(b), .ASIGN(1'b{a_signed}), .BSIGN(1'b{b_signed}),
    .SIA(), .SIB(), .ASEL(1'b0), .BSEL(cascade), .CE(1'b0), .CLK(1'b0), .RESET(1'b0), .DOUT(p), .SOA(), .SOB());
  task multiply(input [{top}:0] x, y); begin a = x; b = y; #1 $display("%b", p); end endtask
  initial begin
    #1 {steps}
  end
endmodule
"""


def multiplier(folder, bits, a_signed, b_signed, steps, register=0):
    names = {"bits": bits, "top": bits - 1, "a_signed": a_signed, "b_signed": b_signed, "register": register}
    return run_icarus(folder, cell_models(), MULTIPLIER.format(**names, steps=steps))


@pytest.mark.parametrize("bits", [9, 18])
@pytest.mark.parametrize("a_signed, b_signed", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_product_of_signed_and_unsigned_operands(tmp_path, bits, a_signed, b_signed):
    ends = {0: (0, (1 << bits) - 1), 1: (-1 << bits - 1, (1 << bits - 1) - 1)}
    pairs = [(a, b) for a in ends[a_signed] for b in ends[b_signed]]
    said = multiplier(tmp_path, bits, a_signed, b_signed, " ".join(f"multiply({a}, {b});" for a, b in pairs))
    assert said == [format(a * b & (1 << 2 * bits) - 1, f"0{2 * bits}b") for a, b in pairs]


BENCH = """
module bench;
  reg clk = 0, ce = 1, we = 0, rst = 0;
  reg [2:0] select = 0;
  reg [13:0] a = 0, b = 0;
  reg [{top}:0] d = 0;
  wire [{top}:0] q, q_b;
  {instance}
  task tick; begin #1 clk = 1; #1 clk = 0; #1; end endtask
  task put(input [13:0] address, input [{top}:0] value); begin a = address; d = value; we = 1; tick; we = 0; end endtask
  task get(input [13:0] address); begin a = address; b = address; tick; $display("%h", q); end endtask
  initial begin
    {steps}
  end
endmodule
"""

ONE = """{cell} #(.BIT_WIDTH({width}){more}) dut (.CLK(clk), .CE(ce), .OCE(1'b1), .RESET(rst), .WRE(we), .AD(a),
    .BLKSEL(select), .DI(d), .DO(q));"""

SIMPLE = """{cell} #(.BIT_WIDTH_0({width}), .BIT_WIDTH_1({width}){more}) dut (.CLKA(clk), .CEA(we & ce), .CLKB(clk),
    .CEB(ce), .OCE(1'b1), .RESETA(1'b0), .RESETB(rst), .ADA(a), .ADB(b), .BLKSELA(select), .BLKSELB(select), .DI(d),
    .DO(q));"""

TRUE = """{cell} #(.BIT_WIDTH_0({width}), .BIT_WIDTH_1({width}){more}) dut (.CLKA(clk), .CEA(ce), .CLKB(clk), .CEB(ce),
    .OCEA(1'b1), .OCEB(1'b1), .RESETA(rst), .RESETB(rst), .WREA(we), .WREB(1'b0), .ADA(a), .ADB(b),
    .BLKSELA(select), .BLKSELB(select), .DIA(d), .DIB(d), .DOA(q), .DOB(q_b));"""

KINDS = {"SP": ONE, "SPX9": ONE, "SDPB": SIMPLE, "SDPX9B": SIMPLE, "DPB": TRUE, "DPX9B": TRUE}


def memory(folder, cell, width, steps, more=""):
    bits = CELLS[cell][1]
    text = KINDS[cell].format(cell=cell, width=width, more=more)
    return run_icarus(folder, cell_models(), BENCH.format(top=bits - 1, instance=text, steps=steps))


def shown(cell, value):
    return format(value, f"0{-(-CELLS[cell][1] // 4)}x")


WIDTHS = [
    *((cell, width) for cell in ("SP", "SDPB") for width in (1, 2, 4, 8, 16, 32)),
    *(("DPB", width) for width in (1, 2, 4, 8, 16)),
    *((cell, width) for cell in ("SPX9", "SDPX9B") for width in (9, 18, 36)),
    *(("DPX9B", width) for width in (9, 18)),
]


@pytest.mark.parametrize("cell, width", WIDTHS)
def test_words_lie_at_the_upper_address_bits(tmp_path, cell, width):
    low = {1: 0, 2: 1, 4: 2}.get(width, (width // 8).bit_length() + 2)
    last, enables = (1 << 14 - low) - 1, (1 << width // 8) - 1 if width >= 16 else 0
    steps = f"put({enables}, 0); put({last << low | enables}, {{{width}{{1'b1}}}}); get(0); get({last << low});"
    assert memory(tmp_path, cell, width, steps) == [shown(cell, 0), shown(cell, (1 << width) - 1)]


@pytest.mark.parametrize("cell, width", [(cell, width) for cell, width in WIDTHS if width >= 16])
def test_lowest_address_bits_enable_bytes(tmp_path, cell, width):
    parts = width // 8
    byte = width // parts
    steps = [f"put({(1 << parts) - 1}, 0); put({1 << part}, {{{width}{{1'b1}}}}); get(0);" for part in range(parts)]
    written = [((1 << byte) - 1) << byte * part for part in range(parts)]
    assert memory(tmp_path, cell, width, " ".join(steps)) == [shown(cell, value) for value in written]


@pytest.mark.parametrize("cell", ["SP", "DPB"])
@pytest.mark.parametrize("mode, read", [(0, 0x11), (1, 0x33), (2, 0x22)])
def test_what_a_write_leaves_to_be_read(tmp_path, cell, mode, read):
    more = f", .WRITE_MODE({mode})" if cell == "SP" else f", .WRITE_MODE0({mode})"
    steps = "put(0, 8'h11); put(8, 8'h22); get(0); put(8, 8'h33); $display(\"%h\", q); get(8);"
    assert memory(tmp_path, cell, 8, steps, more) == [shown(cell, value) for value in (0x11, read, 0x33)]


@pytest.mark.parametrize("cell", ["SPX9", "SDPX9B", "DPX9B"])
@pytest.mark.parametrize("kind, at_once", [("SYNC", False), ("ASYNC", True)])
def test_enable_select_and_reset(tmp_path, cell, kind, at_once):
    steps = """
      put(0, 9'h111); put(8, 9'h022); get(0);
      ce = 0; get(8); ce = 1;             // kept
      select = 1; get(8); put(0, 9'h0ff); // another block is meant
      select = 0; get(8);
      rst = 1; #1 $display("%h", q); tick; $display("%h", q);
      rst = 0; get(0);
    """
    seen = [0x111, 0x111, 0x111, 0x22, 0 if at_once else 0x22, 0, 0x111]
    assert memory(tmp_path, cell, 9, steps, f', .RESET_MODE("{kind}")') == [shown(cell, value) for value in seen]


def test_both_ports_of_a_true_dual_port(tmp_path):
    """What one writes the other reads."""
    steps = "put(0, 8'h11); put(8, 8'h22); b = 0; a = 8; tick; $display(\"%h %h\", q, q_b);"
    assert memory(tmp_path, "DPB", 8, steps) == ["0022 0011"]


@pytest.mark.parametrize(
    "cell, more", [("SP", ", .READ_MODE(1)"), ("SDPB", ", .READ_MODE(1)"), ("DPB", ", .READ_MODE1(1)")]
)
def test_an_output_register_has_no_model(tmp_path, cell, more):
    said = memory(tmp_path, cell, 8, 'tick; tick; $display("went on");', more)
    assert said == [f"{cell}: there is no model of this mode"]


def test_ports_of_different_widths_have_no_model(tmp_path):
    text = SIMPLE.replace(".BIT_WIDTH_1({width})", ".BIT_WIDTH_1(16)").format(cell="SDPB", width=8, more="")
    bench = BENCH.format(top=31, instance=text, steps='tick; $display("went on");')
    assert run_icarus(tmp_path, cell_models(), bench) == ["SDPB: there is no model of this mode"]


def test_a_multiplier_with_registers_has_no_model(tmp_path):
    said = multiplier(tmp_path, 9, 1, 1, "multiply(1, 1);", register=1)
    assert said == ["MULT9X9: there is no model of this mode"]


def test_a_cascade_has_no_model(tmp_path):
    said = multiplier(tmp_path, 18, 1, 1, "cascade = 1; #1 multiply(1, 1);")
    assert said == ["MULT18X18: there is no model of a cascade"]
