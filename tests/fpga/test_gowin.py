from weft.fpga.gowin import SHALLOW, Gowin
from weft.gen.verilog import to_verilog
from weft.rtl.memory import Memory1R1W


def test_shallow_memories_are_distributed():
    text = to_verilog(Memory1R1W(32, SHALLOW), "memory", technology=Gowin())
    assert 'ram_style = "distributed"' in text


def test_deep_memories_are_left_to_inference():
    assert "ram_style" not in to_verilog(Memory1R1W(32, SHALLOW + 1), "memory", technology=Gowin())
