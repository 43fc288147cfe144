"""Verilator's counts, and the names of lines."""

import pytest
from weft.sim import coverage
from weft.sim.coverage import Coverage, Line, bits_sheet, named, numbers, sheet, unexplained, unmoved, unused


def point(kind, name, count, lines=""):
    parts = {"f": "simulation.v", "l": "1", "page": f"{kind}/npu.core", "o": name}
    if lines:
        parts["S"] = lines
    return "C '" + "".join(f"\x01{key}\x02{value}" for key, value in parts.items()) + f"' {count}\n"


def test_counts_are_added(tmp_path):
    file = tmp_path / "coverage.dat"
    file.write_text(
        "# SystemC::Coverage-3\n"
        + point("v_line", "block", 0, "3-4,9")
        + point("v_branch", "if", 2, "4")
        + point("v_branch", "else", 5)
        + point("v_toggle", "full:0->1", 3)
        + point("v_toggle", "full:1->0", 0)
    )
    counts = Coverage()
    counts.read(file)
    assert counts.lines == {3: 0, 4: 2, 9: 0}
    assert counts.toggles == {("npu.core", "full:0->1"): 3, ("npu.core", "full:1->0"): 0}
    assert counts.share() == pytest.approx(100 / 3)
    assert counts.toggled() == 50
    counts.read(file)
    assert counts.lines[4] == 4
    file.write_text("D\n")
    with pytest.raises(ValueError, match="this is not a count: 'D'"):
        counts.read(file)


def test_numbers_of_lines():
    assert list(numbers("3-5,9")) == [3, 4, 5, 9]
    assert list(numbers("")) == []


VERILOG = """\
module \\npu.core (clk);
  always_comb begin
    \\$12  = full;
    if (reset) begin
      \\$12  = 1'h0;
    end
  end
  always_ff @(posedge clk)
    full <= \\$12 ;
endmodule
module \\npu.core.control$351 (clk);
  always_comb begin
    error = 1'h0;
  end
endmodule
"""


def test_lines_are_named_by_what_they_set():
    assert named(VERILOG, {4, 5, 13}) == [
        Line(4, "npu.core: full", "if (reset) begin"),
        Line(5, "npu.core: full", "\\$12  = 1'h0;"),
        Line(13, "npu.core.control: error", "error = 1'h0;"),
    ]


def test_lines_may_be_explained(monkeypatch):
    lines = named(VERILOG, {5, 13})
    monkeypatch.setattr(coverage, "UNREACHED", {"npu.core: *": "the reason"})
    assert unexplained(lines) == lines[1:]
    assert unused(lines) == []
    assert unused(lines[1:]) == ["npu.core: *"]
    assert "| `npu.core: *` | the reason |" in sheet().markdown()


def test_bits_may_be_explained():
    counts = Coverage()
    moved = {("npu.core.control$3", "cycles[3]:0->1"): 1}
    still = [("npu.core.control$3", "cycles[31]:0->1"), ("npu.core.control$3", "cycles[3]:1->0")]
    still += [("npu.core.x", "held__02ebytes[0]:0->1"), ("npu.core.x", "__0245:1->0")]
    counts.toggles = moved | dict.fromkeys(still, 0)
    found = unmoved(counts)
    assert found[""] == 1
    assert found[coverage.LONG] == found[coverage.SMALL] == 1
    assert found.total() == len(still)
    assert "| `npu.core.control: cycles` from bit 8 |" in bits_sheet().markdown()
