"""The top of a board's design: its pins, its clock, and the NPU with its serial link."""

from amaranth.hdl import ClockDomain, Module
from amaranth.lib.wiring import Component, In, Out
from weft.rtl.link_protocol import DEFAULT_BAUD
from weft.rtl.port_memory import check_memory
from weft.rtl.serial_top import SerialTop, divisor_of

from .boards import Board
from .pins import Pin, constraints, pin_of
from .pll import MHZ, multiplied, parameters

TOP = "weft_board"
LAMPS = ("busy", "failed")


def board_pins(board: Board) -> dict[str, Pin]:
    """The ports of a board's top, and where they are."""
    definition = board.definition()
    return {
        "clock": pin_of(definition, board.clock, 0),
        "receive": pin_of(definition, "uart", 0, "rx"),
        "transmit": pin_of(definition, "uart", 0, "tx"),
        **{lamp: pin_of(definition, *place) for lamp, place in zip(LAMPS, board.lamps, strict=False)},
    }


def source_hz(board: Board) -> int:
    """The frequency of the board's oscillator."""
    return int(board.definition().lookup(board.clock, 0).clock.frequency)


def check_board(board: Board, baud: int = DEFAULT_BAUD) -> None:
    """See that a BoardTop can be made.

    Raises
    ------
    UserError, ValueError
        If the memory, the clock or the baud rate cannot be.
    """
    check_memory(board.config, board.memory_bytes)
    divisor_of(board.clock_hz, baud)
    parameters(board.device.family, source_hz(board), board.clock_hz)


class BoardTop(Component):  # type: ignore[misc]
    """A SerialTop at the pins of a board.

    There is no reset: registers start at their initial values when the device is configured, and the NPU is reset
    over the link.

    Members
    -------
    clock : the board's oscillator. receive, transmit : the serial line. busy, failed : lamps, where the board has them.
    """

    def __init__(self, board: Board, baud: int = DEFAULT_BAUD) -> None:
        self.board = board
        self.baud = baud
        self.pins = board_pins(board)
        self.source_hz = source_hz(board)
        inputs = ("clock", "receive")
        super().__init__({name: In(1) if name in inputs else Out(1) for name in self.pins})

    @property
    def constraints(self) -> str:
        """Of its pins and its clock, for the tools of the device's family."""
        return constraints(self.board.device.family, self.pins, {"clock": self.source_hz / MHZ})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = sync = ClockDomain(reset_less=True)
        clock = multiplied(m, self.board.device.family, self.clock, self.source_hz, self.board.clock_hz)
        board = self.board
        m.submodules.serial = serial = SerialTop(board.config, board.memory_bytes, board.clock_hz, self.baud)
        m.d.comb += [sync.clk.eq(clock), serial.receive.eq(self.receive), self.transmit.eq(serial.transmit)]
        for lamp in LAMPS:
            if lamp in self.pins:
                m.d.comb += getattr(self, lamp).eq(getattr(serial, lamp) ^ self.pins[lamp].inverted)
        return m
