"""Simulation models, in Verilog, of the ECP5 primitives that Yosys brings no model for, with all their pins.

Sources: Lattice FPGA-TN-02205, sysDSP usage guide for ECP5 and ECP5-5G; FPGA-TN-02204, memory usage guide for ECP5 and
ECP5-5G; FPGA libraries reference guide. What fpga/ecp5.py does not use has no model, and stops the simulation: cascades
of multipliers, other clocks than CLK0, asynchronous resets, write-through ports, initial contents.
"""

from collections.abc import Iterable

STRICT = "WEFT_OCE_NEEDS_CE"
"""With this macro the output register of a block RAM obeys the port's clock enable, too: the guide leaves it open, and
a design must behave the same either way."""


def _pins(*names: str | tuple[str, int]) -> list[str]:
    """Names, and of a bus (name, width) the names of its pins, highest first."""
    found = []
    for name in names:
        if isinstance(name, str):
            found.append(name)
        else:
            found += [f"{name[0]}{bit}" for bit in reversed(range(name[1]))]
    return found


def _bus(name: str, width: int) -> str:
    return "{" + ", ".join(_pins((name, width))) + "}"


def _module(name: str, parameters: dict[str, str | int], inputs: list[str], outputs: list[str], body: str) -> str:
    values: Iterable[str] = (
        f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in parameters.items()
    )
    return (
        f"module {name} #(parameter\n  {', '.join(values)}\n) (\n"
        f"  input {', '.join(inputs)},\n  output {', '.join(outputs)}\n);{body}endmodule\n"
    )


_REGISTER = """// One bank of registers of a multiplier; USED 0 is a wire.
module weft_ecp5_register #(parameter WIDTH = 18, USED = 0) (
  input clock, enable, reset,
  input [WIDTH - 1:0] d,
  output [WIDTH - 1:0] q
);
  reg [WIDTH - 1:0] state;
  initial state = 0;
  always @(posedge clock)
    if (reset) state <= 0;
    else if (enable) state <= d;
  assign q = USED ? state : d;
endmodule
"""

_BANKS = ("INPUTA", "INPUTB", "INPUTC", "PIPELINE", "OUTPUT")


def _multiplier() -> str:
    parameters: dict[str, str | int] = {}
    for bank in _BANKS:
        parameters |= {f"REG_{bank}_CLK": "NONE", f"REG_{bank}_CE": "CE0", f"REG_{bank}_RST": "RST0"}
    parameters |= {f"CLK{index}_DIV": "ENABLED" for index in range(4)}
    parameters |= {"HIGHSPEED_CLK": "NONE", "GSR": "ENABLED", "CAS_MATCH_REG": "FALSE"}
    parameters |= {"SOURCEB_MODE": "B_SHIFT", "MULT_BYPASS": "DISABLED", "RESETMODE": "SYNC"}
    inputs = _pins(("A", 18), ("B", 18), ("C", 18), "SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB")
    inputs += _pins(("CLK", 4), ("CE", 4), ("RST", 4), ("SRIA", 18), ("SRIB", 18))
    outputs = _pins(("SROA", 18), ("SROB", 18), ("ROA", 18), ("ROB", 18), ("ROC", 18), ("P", 36), "SIGNEDP")

    def register(bank: str, width: int, d: str, q: str) -> str:
        # The last character of "CE2" is its number.
        enable, reset = (f"{name}[{f'REG_{bank}_{name}'} & 3]" for name in ("CE", "RST"))
        return (
            f'  weft_ecp5_register #({width}, REG_{bank}_CLK != "NONE") register_{bank.lower()} (\n'
            f"    CLK0, {enable}, {reset}, {d}, {q});\n"
        )

    body = f"""
  wire [3:0] CE = {_bus("CE", 4)}, RST = {_bus("RST", 4)};
  wire [17:0] a, b;
  wire a_signed, b_signed;
{register("INPUTA", 19, "{SIGNEDA, " + _bus("A", 18) + "}", "{a_signed, a}")}
{register("INPUTB", 19, "{SIGNEDB, " + _bus("B", 18) + "}", "{b_signed, b}")}
  // With a sign bit in front one signed multiplication does for all kinds of operands.
  wire signed [18:0] wide_a = {{a_signed & a[17], a}}, wide_b = {{b_signed & b[17], b}};
  wire signed [37:0] exact = wide_a * wide_b;
  wire [35:0] pipelined, product;
{register("PIPELINE", 36, "exact[35:0]", "pipelined")}
{register("OUTPUT", 36, "pipelined", "product")}
  assign {_bus("P", 36)} = product;
  assign SIGNEDP = a_signed | b_signed;
  assign {_bus("ROA", 18)} = a;
  assign {_bus("ROB", 18)} = b;
  assign {_bus("ROC", 18)} = 18'd0;
  assign {_bus("SROA", 18)} = a;
  assign {_bus("SROB", 18)} = b;
  always @(posedge CLK0)
    if (SOURCEA || SOURCEB || RESETMODE != "SYNC" || MULT_BYPASS != "DISABLED") begin
      $display("MULT18X18D: there is no model of this mode");
      $finish;
    end
"""
    return _module("MULT18X18D", parameters, inputs, outputs, body)


_MEMORY_BODY = """
  // Nine bits a byte; widths below 9 use eight of them.
  reg [8:0] bytes [0:2047];
"""


def _output(port: str, clock: str, width: int, enables: tuple[str, str, str], registered: str) -> str:
    """The registers behind a port's array: `word` is loaded elsewhere, the output register here if there is one."""
    enable, output_enable, reset = enables
    return f"""
  reg [{width - 1}:0] word_{port}, register_{port};
  always @(posedge {clock})
    if ({reset}) register_{port} <= 0;
`ifdef {STRICT}
    else if ({output_enable} && {enable}) register_{port} <= word_{port};
`else
    else if ({output_enable}) register_{port} <= word_{port};
`endif
  wire [{width - 1}:0] out_{port} = {registered} ? register_{port} : word_{port};
"""


def _port(port: str) -> str:
    """One port of a DP16KD."""
    width = f"DATA_WIDTH_{port}"
    chosen = f"CE{port} && !(CS{port}0 || CS{port}1 || CS{port}2)"
    return f"""
  wire [13:0] address_{port} = {_bus(f"AD{port}", 14)};
  wire [17:0] data_{port} = {_bus(f"DI{port}", 18)};
  wire [2:0] bit_{port} = address_{port}[2:0];
  always @(posedge CLK{port})
    if ({chosen} && WE{port})
      case ({width})
        18: begin
          if (address_{port}[0]) bytes[{{address_{port}[13:4], 1'b0}}] <= data_{port}[8:0];
          if (address_{port}[1]) bytes[{{address_{port}[13:4], 1'b1}}] <= data_{port}[17:9];
        end
        9: bytes[address_{port}[13:3]] <= data_{port}[8:0];
        4: bytes[address_{port}[13:3]][{{bit_{port}[2], 2'b0}} +: 4] <= data_{port}[3:0];
        2: bytes[address_{port}[13:3]][{{bit_{port}[2:1], 1'b0}} +: 2] <= data_{port}[1:0];
        default: bytes[address_{port}[13:3]][bit_{port}] <= data_{port}[0];
      endcase
  always @(posedge CLK{port})
    if ({chosen} && !WE{port})
      case ({width})
        18: word_{port} <= {{bytes[{{address_{port}[13:4], 1'b1}}], bytes[{{address_{port}[13:4], 1'b0}}]}};
        9: word_{port} <= {{9'd0, bytes[address_{port}[13:3]]}};
        4: word_{port} <= {{14'd0, bytes[address_{port}[13:3]][{{bit_{port}[2], 2'b0}} +: 4]}};
        2: word_{port} <= {{16'd0, bytes[address_{port}[13:3]][{{bit_{port}[2:1], 1'b0}} +: 2]}};
        default: word_{port} <= {{17'd0, bytes[address_{port}[13:3]][bit_{port}]}};
      endcase
  assign {_bus(f"DO{port}", 18)} = out_{port};
"""


def _true_dual_port() -> str:
    parameters: dict[str, str | int] = {}
    for port in "AB":
        parameters |= {
            f"DATA_WIDTH_{port}": 18,
            f"REGMODE_{port}": "NOREG",
            f"CSDECODE_{port}": "0b000",
            f"WRITEMODE_{port}": "NORMAL",
            f"CLK{port}MUX": f"CLK{port}",
        }
    parameters |= {"RESETMODE": "SYNC", "ASYNC_RESET_RELEASE": "SYNC", "GSR": "ENABLED", "INIT_DATA": "STATIC"}
    # Yosys says what memories that it infers begin with; nothing may depend on it.
    parameters |= {f"INITVAL_{line:02X}": 0 for line in range(64)}
    inputs, outputs = [], []
    body = _MEMORY_BODY
    for port in "AB":
        inputs += _pins((f"DI{port}", 18), (f"AD{port}", 14), f"CE{port}", f"OCE{port}", f"CLK{port}", f"WE{port}")
        inputs += _pins(f"RST{port}", (f"CS{port}", 3))
        outputs += _pins((f"DO{port}", 18))
        enables = f"CE{port}", f"OCE{port}", f"RST{port}"
        body += _output(port, f"CLK{port}", 18, enables, f'(REGMODE_{port} == "OUTREG")') + _port(port)
    return _module("DP16KD", parameters, inputs, outputs, body)


def _pseudo_dual_port() -> str:
    parameters: dict[str, str | int] = {"DATA_WIDTH_W": 36, "DATA_WIDTH_R": 36, "REGMODE": "NOREG", "GSR": "ENABLED"}
    parameters |= {"RESETMODE": "SYNC", "ASYNC_RESET_RELEASE": "SYNC", "CSDECODE_W": "0b000", "CSDECODE_R": "0b000"}
    parameters |= {"CLKWMUX": "CLKW", "CLKRMUX": "CLKR", "INIT_DATA": "STATIC"}
    inputs = _pins(("DI", 36), ("ADW", 9), ("BE", 4), "CEW", "CLKW", ("CSW", 3))
    inputs += _pins(("ADR", 14), "CER", "OCER", "CLKR", ("CSR", 3), "RST")
    body = (
        _MEMORY_BODY
        + _output("R", "CLKR", 36, ("CER", "OCER", "RST"), '(REGMODE == "OUTREG")')
        + f"""
  wire [8:0] address = {_bus("ADW", 9)};
  wire [13:0] read_address = {_bus("ADR", 14)};
  wire [35:0] data = {_bus("DI", 36)};
  wire [3:0] enables = {_bus("BE", 4)};
  integer i;
  always @(posedge CLKW)
    if (CEW && !(CSW0 || CSW1 || CSW2))
      for (i = 0; i < 4; i = i + 1)
        if (enables[i]) bytes[4 * address + i] <= data[9 * i +: 9];
  always @(posedge CLKR) begin
    if (CER && !(CSR0 || CSR1 || CSR2))
      for (i = 0; i < 4; i = i + 1)
        word_R[9 * i +: 9] <= bytes[4 * read_address[13:5] + i];
    if (DATA_WIDTH_W != 36 || DATA_WIDTH_R != 36) begin
      $display("PDPW16KD: there is no model of this width");
      $finish;
    end
  end
  assign {_bus("DO", 36)} = out_R;
"""
    )
    return _module("PDPW16KD", parameters, inputs, _pins(("DO", 36)), body)


def cell_models() -> str:
    """Verilog of MULT18X18D, DP16KD and PDPW16KD."""
    return "\n".join([_REGISTER, _multiplier(), _true_dual_port(), _pseudo_dual_port()])
