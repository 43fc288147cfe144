"""That what is simulated is the board's; LeNet on it is in tests/sim/test_serial_board.py and in
test_emulation_netlist.py."""

from weft.fpga.board_top import board_pins
from weft.fpga.boards import BOARDS
from weft.fpga.emulation import adapter
from weft.sw.serial.link import SerialLink
from weft.sw.serial.transport import SerialTransport

from tests.boards import BOARD, board


def test_the_board_says_what_it_is():
    transport = SerialTransport(SerialLink(board()))
    assert transport.digest == BOARD.config.digest32
    assert (transport.memory_bytes, transport.clock_hz) == (BOARD.memory_bytes, BOARD.clock_hz)


def test_the_lamp_says_when_the_clock_may_stop():
    with_lamp = adapter(board_pins(BOARDS["ulx3s"]), "top")
    assert "assign busy = lamp;" in with_lamp
    assert "top board(.clock(clk), .receive(receive_q), .transmit(transmit), .busy(lamp));" in with_lamp
    assert "assign busy = 1'b0;" in adapter(board_pins(BOARD), "top")
