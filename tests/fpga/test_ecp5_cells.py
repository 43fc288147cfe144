"""The models alone, each against a table of what Lattice's guides say."""

import pytest
from weft.fpga.ecp5_cells import STRICT, cell_models

from tests.fpga.side_by_side import run_icarus

MULTIPLIER = """
module bench;
  reg clk = 0, ce0 = 1, ce1 = 1, rst = 0, sa, sb;
  reg [17:0] a, b;
  wire [35:0] p;
  MULT18X18D #(.REG_INPUTA_CLK("{input}"), .REG_INPUTB_CLK("{input}"), .REG_INPUTB_CE("CE1"),
    .REG_PIPELINE_CLK("{pipeline}"), .REG_OUTPUT_CLK("{output}"), .REG_OUTPUT_RST("RST2")) dut (
    {a}, {b}, .SIGNEDA(sa), .SIGNEDB(sb), .SOURCEA(1'b0), .SOURCEB(1'b0),
    .CLK0(clk), .CLK1(1'b0), .CLK2(1'b0), .CLK3(1'b0), .CE0(ce0), .CE1(ce1), .CE2(1'b1), .CE3(1'b1),
    .RST0(1'b0), .RST1(1'b0), .RST2(rst), .RST3(1'b0), {p});
  task tick; begin #1 clk = 1; #1 clk = 0; #1; end endtask
  initial begin
    {steps}
  end
endmodule
"""


def pins(name: str, signal: str, width: int) -> str:
    return ", ".join(f".{name}{bit}({signal}[{bit}])" for bit in range(width))


def multiplier(folder, steps, *, input="CLK0", pipeline="NONE", output="CLK0"):
    text = MULTIPLIER.format(
        input=input,
        pipeline=pipeline,
        output=output,
        a=pins("A", "a", 18),
        b=pins("B", "b", 18),
        p=pins("P", "p", 36),
        steps=steps,
    )
    return run_icarus(folder, cell_models(), text)


@pytest.mark.parametrize(
    "sa, sb, a, b, product",
    [
        (1, 1, -131072, -131072, 1 << 34),
        (1, 1, 131071, -131072, -131071 << 17),
        (0, 0, 262143, 262143, 262143**2),
        (1, 0, -1, 262143, -262143),
        (0, 1, 262143, -1, -262143),
        (1, 1, -3, 7, -21),
    ],
)
def test_product_of_signed_and_unsigned_operands(tmp_path, sa, sb, a, b, product):
    steps = f'sa = {sa}; sb = {sb}; a = {a}; b = {b}; #1 $display("%b", p);'
    assert multiplier(tmp_path, steps, input="NONE", output="NONE") == [format(product & (1 << 36) - 1, "036b")]


@pytest.mark.parametrize(
    "registers, cycles",
    [
        ({"input": "NONE", "output": "NONE"}, 0),
        ({"output": "NONE"}, 1),
        ({}, 2),
        ({"pipeline": "CLK0"}, 3),
    ],
)
def test_each_register_is_a_cycle(tmp_path, registers, cycles):
    steps = "sa = 1; sb = 1; a = 1; b = 1; tick; tick; tick; a = 3; b = 5; #1;"
    steps += '$display("%0d", p); tick; ' * (cycles + 1)
    assert multiplier(tmp_path, steps, **registers) == ["1"] * cycles + ["15"]


def test_enables_and_resets_of_each_register(tmp_path):
    steps = """
      sa = 1; sb = 1; a = 2; b = 10; tick; tick;
      a = 3; b = 20; ce1 = 0; tick; tick; $display("%0d", p);   // b kept
      ce1 = 1; ce0 = 0; tick; tick; $display("%0d", p);         // the output kept
      ce0 = 1; tick; $display("%0d", p);
      rst = 1; tick; $display("%0d", p);
    """
    assert multiplier(tmp_path, steps) == ["30", "30", "60", "0"]


def test_a_mode_without_a_model_stops(tmp_path):
    steps = 'a = 0; b = 0; tick; tick; $display("went on");'
    text = MULTIPLIER.replace(".SOURCEA(1'b0)", ".SOURCEA(1'b1)").format(
        input="CLK0",
        pipeline="NONE",
        output="NONE",
        a=pins("A", "a", 18),
        b=pins("B", "b", 18),
        p=pins("P", "p", 36),
        steps=steps,
    )
    assert run_icarus(tmp_path, cell_models(), text)[0] == "MULT18X18D: there is no model of this mode"


MEMORY = """
module bench;
  reg clk = 0, ce = 1, oce = 1, we = 0;
  reg [13:0] w = 0, r = 0;
  reg [17:0] d = 0;
  wire [17:0] q;
  DP16KD #(.DATA_WIDTH_A({width}), .DATA_WIDTH_B({width}), .REGMODE_B("{mode}")) dut (
    {da}, {aa}, .CEA(1'b1), .OCEA(1'b0), .CLKA(clk), .WEA(we), .RSTA(1'b0), .CSA0(1'b0), .CSA1(1'b0), .CSA2(1'b0),
    {ab}, .CEB(ce), .OCEB(oce), .CLKB(clk), .WEB(1'b0), .RSTB(1'b0), .CSB0(1'b0), .CSB1(1'b0), .CSB2(1'b0), {qb});
  task tick; begin #1 clk = 1; #1 clk = 0; #1; end endtask
  task put(input [13:0] address, input [17:0] value); begin w = address; d = value; we = 1; tick; we = 0; end endtask
  task get(input [13:0] address); begin r = address; tick; $display("%h", q); end endtask
  initial begin
    {steps}
  end
endmodule
"""


def memory(folder, width, steps, mode="NOREG", macros=()):
    text = MEMORY.format(
        width=width,
        mode=mode,
        da=pins("DIA", "d", 18),
        aa=pins("ADA", "w", 14),
        ab=pins("ADB", "r", 14),
        qb=pins("DOB", "q", 18),
        steps=steps,
    )
    return run_icarus(folder, cell_models(), text, macros=macros)


@pytest.mark.parametrize("width, low", [(18, 4), (9, 3), (4, 2), (2, 1), (1, 0)])
def test_words_lie_at_the_upper_address_bits(tmp_path, width, low):
    last = (1 << 14 - low) - 1
    enables = 3 if width == 18 else 0
    value = (1 << width) - 1
    steps = f"put({enables}, 0); put({last << low | enables}, {value}); get(0); get({last << low});"
    assert memory(tmp_path, width, steps) == ["00000", format(value, "05x")]


def test_lowest_address_bits_enable_the_bytes_of_18(tmp_path):
    steps = "put(3, 18'h00000); put(1, 18'h3ffff); get(0); put(2, 18'h3ffff); get(0);"
    assert memory(tmp_path, 18, steps) == ["001ff", "3ffff"]


@pytest.mark.parametrize("macros, kept", [((), "00022"), ((STRICT,), "00011")])
def test_output_register_and_its_enables(tmp_path, macros, kept):
    steps = """
      put(0, 9'h11); put(8, 9'h22);
      r = 0; tick; r = 8; tick; $display("%h", q);   // two cycles after the address
      oce = 0; tick; $display("%h", q);              // kept
      oce = 1; ce = 0; tick; $display("%h", q);      // the guides leave this open
    """
    assert memory(tmp_path, 9, steps, "OUTREG", macros) == ["00011", "00011", kept]


WIDE = """
module bench;
  reg clk = 0; reg [8:0] w = 0; reg [13:0] r = 0; reg [35:0] d = 0; reg [3:0] be = 0; wire [35:0] q;
  PDPW16KD dut ({di}, {adw}, {be}, .CEW(1'b1), .CLKW(clk), .CSW0(1'b0), .CSW1(1'b0), .CSW2(1'b0), {adr}, .CER(1'b1),
    .OCER(1'b1), .CLKR(clk), .CSR0(1'b0), .CSR1(1'b0), .CSR2(1'b0), .RST(1'b0), {do});
  task tick; begin #1 clk = 1; #1 clk = 0; #1; end endtask
  initial begin
    w = 511; d = 36'h123456789; be = 15; tick; d = 36'hfffffffff; be = 4; tick; be = 0; d = 0; tick;
    r = 511 << 5; tick; $display("%h", q);
  end
endmodule
"""


def test_wide_memory_is_written_by_bytes_of_nine_bits(tmp_path):
    text = WIDE.format(
        di=pins("DI", "d", 36),
        adw=pins("ADW", "w", 9),
        be=pins("BE", "be", 4),
        adr=pins("ADR", "r", 14),
        do=pins("DO", "q", 36),
    )
    expected = 0x123456789 | 0x1FF << 18
    assert run_icarus(tmp_path, cell_models(), text) == [format(expected, "09x")]
