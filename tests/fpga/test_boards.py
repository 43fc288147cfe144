import sys

import pytest
from weft.fpga.boards import BOARDS, board_named
from weft.rtl.port_memory import word_address_bits
from weft.rtl.serial_top import divisor_of
from weft.sw.commands.shared import LENET
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.errors import UserError
from weft.sw.loading import load_model
from weft.sw.staging import run_code


@pytest.mark.parametrize("name", BOARDS)
def test_boards_are_whole(name):
    board = board_named(name)
    assert board.name == name
    assert not board.config.axi
    assert word_address_bits(board.memory_bytes) <= board.config.address_width - 2
    assert divisor_of(board.clock_hz, 1_000_000) > 3
    definition = board.definition()
    assert definition.lookup(board.clock, 0).clock.frequency > 0
    for lamp in board.lamps:
        definition.lookup(*lamp)


@pytest.mark.parametrize("name", BOARDS)
def test_lenet_needs_no_second_copy_of_its_weights(name):
    (program,) = compile_model(load_model(LENET), BOARDS[name].config).programs
    assert run_code(program) is not None


def test_a_name_that_is_no_board():
    with pytest.raises(UserError) as caught:
        board_named("arduino")
    assert str(caught.value) == f"'arduino' is not a board; the boards are {', '.join(BOARDS)}"


def test_without_amaranth_boards(monkeypatch):
    monkeypatch.setitem(sys.modules, "amaranth_boards.ulx3s", None)
    with pytest.raises(UserError) as caught:
        BOARDS["ulx3s"].definition()
    assert str(caught.value) == "boards need the Python package amaranth-boards: pip install 'weft[fpga]'"
