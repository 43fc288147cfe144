"""Simulation models, in Verilog, of the Gowin primitives that synthesis infers and Yosys brings no model for.

Sources: Gowin UG285, BSRAM and SSRAM user guide; UG287, DSP user guide. What is not inferred for the designs here has
no model, and stops the simulation: registers and cascades of multipliers, output registers of block RAMs, ports of
different widths.
"""

_MEMORY = """// A block RAM of 16 Kbit, with a ninth bit per byte where WIDTH is a multiple of 9. The lowest bits of
// the address say which bytes of a word are written. MODE of a port: a write leaves what was read as it is (0), gives
// what is written (1) or what was there before (2).
module weft_gowin_memory #(parameter WIDTH = 32, ASYNC = 0, MODE_A = 0, MODE_B = 0) (
  input clock_a, enable_a, write_a, reset_a, clock_b, enable_b, write_b, reset_b,
  input [13:0] address_a, address_b,
  input [WIDTH - 1:0] data_a, data_b,
  output reg [WIDTH - 1:0] read_a, read_b
);
  localparam UNIT = WIDTH % 9 ? 8 : 9;
  localparam BYTES = WIDTH < UNIT ? 1 : WIDTH / UNIT;
  localparam BYTE = WIDTH / BYTES;
  localparam LOW = BYTES == 4 ? 5 : BYTES == 2 ? 4 : WIDTH >= 8 ? 3 : WIDTH / 2;
  reg [WIDTH - 1:0] words [0:(1 << (14 - LOW)) - 1];
  function [WIDTH - 1:0] merged(input [WIDTH - 1:0] old, data, input [3:0] enables);
    integer i;
    for (i = 0; i < BYTES; i = i + 1)
      merged[i * BYTE +: BYTE] = BYTES == 1 || enables[i] ? data[i * BYTE +: BYTE] : old[i * BYTE +: BYTE];
  endfunction
"""

_PORT = """  wire [13 - LOW:0] place_{p} = address_{p}[13:LOW];
  wire [WIDTH - 1:0] old_{p} = words[place_{p}], new_{p} = merged(old_{p}, data_{p}, address_{p}[3:0]);
  always @(posedge clock_{p})
    if (enable_{p} && write_{p}) words[place_{p}] <= new_{p};
  wire at_once_{p} = ASYNC && reset_{p};
  always @(posedge clock_{p} or posedge at_once_{p})
    if (reset_{p}) read_{p} <= 0;
    else if (enable_{p} && !(write_{p} && MODE_{P} == 0)) read_{p} <= write_{p} && MODE_{P} == 1 ? new_{p} : old_{p};
"""

_SINGLE = """module CELL #(
  parameter BIT_WIDTH = BITS, BLK_SEL = 0, READ_MODE = 0, WRITE_MODE = 0, RESET_MODE = "SYNC", INIT
) (
  input CLK, CE, OCE, RESET, WRE, input [13:0] AD, input [2:0] BLKSEL, input [BITS - 1:0] DI, output [BITS - 1:0] DO
);
  localparam UNKNOWN = READ_MODE != 0;
  wire [BIT_WIDTH - 1:0] read, none;
  assign DO = read;
  weft_gowin_memory #(BIT_WIDTH, RESET_MODE == "ASYNC", WRITE_MODE) memory (
    CLK, CE && BLKSEL == BLK_SEL, WRE, RESET, 1'b0, 1'b0, 1'b0, 1'b0,
    AD, 14'd0, DI[BIT_WIDTH - 1:0], {BIT_WIDTH{1'b0}}, read, none);
"""

_SIMPLE_DUAL = """module CELL #(
  parameter BIT_WIDTH_0 = BITS, BIT_WIDTH_1 = BITS, BLK_SEL_0 = 0, BLK_SEL_1 = 0, READ_MODE = 0, RESET_MODE = "SYNC",
  INIT
) (
  input CLKA, CEA, CLKB, CEB, OCE, RESETA, RESETB, input [13:0] ADA, ADB, input [2:0] BLKSELA, BLKSELB,
  input [BITS - 1:0] DI, output [BITS - 1:0] DO
);
  localparam UNKNOWN = READ_MODE != 0 || BIT_WIDTH_0 != BIT_WIDTH_1;
  wire [BIT_WIDTH_1 - 1:0] read, none;
  assign DO = read;
  weft_gowin_memory #(BIT_WIDTH_0, RESET_MODE == "ASYNC") memory (
    CLKA, CEA && BLKSELA == BLK_SEL_0, 1'b1, 1'b0, CLKB, CEB && BLKSELB == BLK_SEL_1, 1'b0, RESETB,
    ADA, ADB, DI[BIT_WIDTH_0 - 1:0], {BIT_WIDTH_0{1'b0}}, none, read);
"""

_TRUE_DUAL = """module CELL #(
  parameter BIT_WIDTH_0 = BITS, BIT_WIDTH_1 = BITS, BLK_SEL_0 = 0, BLK_SEL_1 = 0, READ_MODE0 = 0, READ_MODE1 = 0,
  WRITE_MODE0 = 0, WRITE_MODE1 = 0, RESET_MODE = "SYNC", INIT
) (
  input CLKA, CEA, CLKB, CEB, OCEA, OCEB, RESETA, RESETB, WREA, WREB, input [13:0] ADA, ADB,
  input [2:0] BLKSELA, BLKSELB, input [BITS - 1:0] DIA, DIB, output [BITS - 1:0] DOA, DOB
);
  localparam UNKNOWN = READ_MODE0 != 0 || READ_MODE1 != 0 || BIT_WIDTH_0 != BIT_WIDTH_1;
  wire [BIT_WIDTH_0 - 1:0] read_a, read_b;
  assign DOA = read_a;
  assign DOB = read_b;
  weft_gowin_memory #(BIT_WIDTH_0, RESET_MODE == "ASYNC", WRITE_MODE0, WRITE_MODE1) memory (
    CLKA, CEA && BLKSELA == BLK_SEL_0, WREA, RESETA, CLKB, CEB && BLKSELB == BLK_SEL_1, WREB, RESETB,
    ADA, ADB, DIA[BIT_WIDTH_0 - 1:0], DIB[BIT_WIDTH_0 - 1:0], read_a, read_b);
"""

_MULTIPLIER = """module CELL #(
  parameter AREG = 0, BREG = 0, OUT_REG = 0, PIPE_REG = 0, ASIGN_REG = 0, BSIGN_REG = 0, SOA_REG = 0,
  MULT_RESET_MODE = "SYNC"
) (
  input [BITS - 1:0] A, SIA, B, SIB, input ASIGN, BSIGN, ASEL, BSEL, CE, CLK, RESET,
  output [2 * BITS - 1:0] DOUT, output [BITS - 1:0] SOA, SOB
);
  localparam UNKNOWN = AREG || BREG || OUT_REG || PIPE_REG || ASIGN_REG || BSIGN_REG || SOA_REG;
  // With a sign bit in front one signed multiplication does for all kinds of operands.
  wire signed [BITS:0] a = {ASIGN & A[BITS - 1], A}, b = {BSIGN & B[BITS - 1], B};
  wire signed [2 * BITS + 1:0] exact = a * b;
  assign DOUT = exact[2 * BITS - 1:0];
  assign SOA = A;
  assign SOB = B;
  always @(ASEL, BSEL) if (ASEL || BSEL) begin
    $display("CELL: there is no model of a cascade");
    $finish;
  end
"""

_END = """  initial if (UNKNOWN) begin
    $display("CELL: there is no model of this mode");
    $finish;
  end
endmodule
"""

CELLS = {
    **{"SP": (_SINGLE, 32), "SPX9": (_SINGLE, 36)},
    **{"SDPB": (_SIMPLE_DUAL, 32), "SDPX9B": (_SIMPLE_DUAL, 36)},
    **{"DPB": (_TRUE_DUAL, 16), "DPX9B": (_TRUE_DUAL, 18)},
    **{"MULT9X9": (_MULTIPLIER, 9), "MULT18X18": (_MULTIPLIER, 18)},
}
"""The text of each, and its bits."""


def cell_models() -> str:
    """Verilog of CELLS."""
    # Yosys says what memories that it infers begin with; nothing may depend on it.
    contents = ", ".join(f"INIT_RAM_{line:02X} = 0" for line in range(64))
    cells = [
        (text + _END).replace("CELL", name).replace("BITS", str(bits)).replace("INIT", contents)
        for name, (text, bits) in CELLS.items()
    ]
    ports = [_PORT.format(p=port, P=port.upper()) for port in "ab"]
    return "\n".join(["".join([_MEMORY, *ports, "endmodule\n"]), *cells])
