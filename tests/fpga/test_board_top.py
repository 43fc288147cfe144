# amaranth: UnusedElaboratable=no

from dataclasses import replace

import pytest
from weft.fpga.board_build import board_design
from weft.fpga.board_top import TOP, BoardTop, check_board
from weft.fpga.boards import BOARDS

BOARD = BOARDS["tang-primer-20k"]


def test_ports_are_the_pins():
    assert list(BoardTop(BOARD).pins) == ["clock", "receive", "transmit"]
    assert list(BoardTop(BOARDS["ulx3s"]).pins) == ["clock", "receive", "transmit", "busy", "failed"]


def test_verilog_has_no_other_ports_and_no_pll_where_the_clock_is_right():
    design = board_design(BOARD)
    head = design.verilog[design.verilog.index(f"module {TOP}(") :].partition(";")[0]
    assert sorted(head.partition("(")[2].strip(")").split(", ")) == ["clock", "receive", "transmit"]
    assert "PLL" not in design.verilog
    assert design.constraints == BoardTop(BOARD).constraints


def test_a_baud_rate_that_cannot_be():
    with pytest.raises(ValueError, match=r"^a clock of 27000000 Hz makes baud rates from 26393 to 6750000, not 9600$"):
        check_board(BOARD, 9600)


def test_a_memory_that_cannot_be():
    with pytest.raises(ValueError, match=r"^a board's memory must be a power of two from 16 bytes on, not 1000$"):
        check_board(replace(BOARD, memory_bytes=1000))
