"""The top of a board's design: its pins, its clock, and the NPU with its serial link."""

from amaranth.hdl import ClockDomain, Module
from amaranth.lib.wiring import Component, In, Out
from weft.rtl.link_protocol import DEFAULT_BAUD
from weft.rtl.serial_top import SerialTop

from .boards import Board
from .pins import Pin, constraints, pin_of
from .pll import MHZ, multiplied

TOP = "weft_board"
LAMPS = ("busy", "failed")


class BoardTop(Component):  # type: ignore[misc]
    """A SerialTop at the pins of a board.

    There is no reset: registers start at their initial values when the device is configured, and the NPU is reset
    over the link.

    Members
    -------
    clock : the board's oscillator. receive, transmit : the serial line. busy, failed : lamps, where the board has them.

    Raises
    ------
    UserError, ValueError
        If the configuration, the memory, the clock or the baud rate cannot be.
    """

    def __init__(self, board: Board, baud: int = DEFAULT_BAUD) -> None:
        self.board = board
        self.serial = SerialTop(board.config, board.memory_bytes, board.clock_hz, baud)
        definition = board.definition()
        self.source_hz = round(definition.lookup(board.clock, 0).clock.frequency)
        self.pins: dict[str, Pin] = {
            "clock": pin_of(definition, board.clock, 0),
            "receive": pin_of(definition, "uart", 0, "rx"),
            "transmit": pin_of(definition, "uart", 0, "tx"),
            **{lamp: pin_of(definition, *place) for lamp, place in zip(LAMPS, board.lamps, strict=False)},
        }
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
        m.submodules.serial = serial = self.serial
        m.d.comb += [sync.clk.eq(clock), serial.receive.eq(self.receive), self.transmit.eq(serial.transmit)]
        for lamp in LAMPS:
            if lamp in self.pins:
                m.d.comb += getattr(self, lamp).eq(getattr(serial, lamp) ^ self.pins[lamp].inverted)
        return m
