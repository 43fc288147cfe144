"""The device's end of the serial link: requests in, accesses to memory and registers, answers out.

One byte is at work at a time. It passes `piece` bit by bit: on the way in to the CRC and into `word`, on the way out
from `word` to the CRC and into `piece`. Nothing buffers a payload: words are written as they come, under a header
that was checked, and the last one when the payload was checked, too.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out, Signature, connect

from .crc import Crc32
from .delay import delayed
from .link_protocol import (
    ANSWER,
    CRC_BYTES,
    DIVISOR_BITS,
    MAX_WORDS,
    REGISTERS_BIT,
    REQUEST,
    WORD_BYTES,
    Operation,
    Status,
)
from .skid import SkidBuffer
from .stuffing import Stuffer, Unstuffer
from .uart import Receiver, Transmitter

REGISTER_BITS = 10
"""Bits of a register's word address."""


def word_port(address_bits: int) -> Signature:
    """Accesses to words of 32 bits, as seen by the link. `address` counts words, of the registers or of the memory.

    An access is done in the cycle with `valid` and `ready`; `read_data` is there in the cycle after it.
    """
    return Signature(
        {
            "valid": Out(1),
            "ready": In(1),
            "write": Out(1),
            "registers": Out(1),
            "address": Out(address_bits),
            "write_data": Out(32),
            "read_data": In(32),
        }
    )


class Link(Component):
    """Answers requests (link_protocol) on a serial line.

    Members
    -------
    receive, transmit : the line. divisor : clock cycles of one bit.
    port : word_port.
    pipelined : registers between this and the line.
    """

    def __init__(self, address_bits: int, pipelined: bool = False) -> None:
        self.pipelined = pipelined
        super().__init__(
            {
                "receive": In(1, init=1),
                "transmit": Out(1, init=1),
                "divisor": In(DIVISOR_BITS),
                "port": Out(word_port(max(address_bits, REGISTER_BITS))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = Receiver()
        m.submodules.unstuffer = unstuffer = Unstuffer()
        m.submodules.crc = crc = Crc32()
        m.submodules.stuffer = stuffer = Stuffer()
        m.submodules.transmitter = transmitter = Transmitter()
        connect(m, stuffer.o, transmitter.i)
        answer = stuffer.i
        if self.pipelined:
            m.submodules.answer = buffer = SkidBuffer(stuffer.i.payload.shape())
            connect(m, buffer.o, stuffer.i)
            answer = buffer.i
        m.d.comb += [
            receiver.serial.eq(self.receive),
            receiver.divisor.eq(self.divisor),
            unstuffer.line_valid.eq(delayed(m, "line_valid", receiver.valid, int(self.pipelined))),
            unstuffer.line.eq(delayed(m, "line", receiver.byte, int(self.pipelined))),
            self.transmit.eq(transmitter.serial),
            transmitter.divisor.eq(self.divisor),
        ]

        piece = Signal(8)
        word = Signal(32)
        head = Signal(REQUEST.size - 32)
        header = data.View(REQUEST, Cat(head, word))
        keep = Signal()  # the bytes are the header or the payload, no CRC
        in_header = Signal()
        answering = Signal()
        emit = Signal()
        shift = Signal(range(9))  # bits of the byte at work that are left
        shifting = Signal()
        shifted = Signal()
        m.d.comb += [
            shifting.eq(shift != 0),
            crc.enable.eq(shifting),
            crc.emit.eq(emit),
            crc.bit.eq(Mux(answering, word[0], piece[0])),
        ]
        m.d.sync += shifted.eq(shift == 1)
        with m.If(shifting):
            m.d.sync += [shift.eq(shift - 1), piece.eq(Cat(piece[1:], Mux(emit, crc.next, word[0])))]
        with m.If(shifting & keep):
            m.d.sync += word.eq(Cat(word[1:], piece[0]))
        with m.If(shifting & keep & in_header):
            m.d.sync += head.eq(Cat(head[1:], word[0]))

        count = Signal(4)  # bytes of the header and its CRC, or of a word
        left = Signal(range(MAX_WORDS + 1))
        sequence = Signal(8)  # of the last request that was done
        status = Signal(Status)
        full = Signal()  # `piece` waits for the line
        port = self.port
        pending = Signal()  # `word` waits to be written
        fresh = Signal()
        late = Signal()
        operation = Signal(2)
        reads = Signal()
        allowed = Signal()
        m.d.comb += [
            port.write_data.eq(word),
            port.write.eq(~answering),
            operation.eq(header.operation),
            reads.eq((operation == Operation.READ) & (status == Status.DONE)),
            allowed.eq(
                ((header.operation == Operation.READ) | (header.operation == Operation.WRITE))
                & (header.words != 0)
                & (header.words <= MAX_WORDS)
            ),
            fresh.eq(header.sequence != sequence),
            answer.payload.byte.eq(piece),
        ]
        with m.If(~answering):
            m.d.comb += port.valid.eq(pending)
        with m.If(pending & port.ready):
            m.d.sync += [pending.eq(0), port.address.eq(port.address + 1)]

        with m.FSM(name="state"):

            def listen() -> None:
                with m.If(unstuffer.valid):
                    m.d.sync += [piece.eq(unstuffer.byte), shift.eq(8)]
                with m.If(unstuffer.begin):
                    m.d.comb += crc.clear.eq(1)
                    m.d.sync += count.eq(0)
                    m.next = "HEADER"

            with m.State("IDLE"):
                listen()
            with m.State("HEADER"):
                m.d.comb += [in_header.eq(1), keep.eq(count < REQUEST.size // 8)]
                with m.If(shifted):
                    m.d.sync += count.eq(count + 1)
                with m.If(shifted & (count == REQUEST.size // 8 + CRC_BYTES - 1)):
                    m.d.comb += crc.clear.eq(1)
                    m.d.sync += [
                        count.eq(0),
                        left.eq(header.words),
                        late.eq(0),
                        port.address.eq(header.address[2:]),
                        port.registers.eq(header.address[REGISTERS_BIT]),
                        status.eq(Mux(allowed, Status.DONE, Status.REFUSED)),
                    ]
                    m.next = "PAYLOAD"
                    with m.If(~allowed | (header.operation == Operation.READ)):
                        m.next = "FLAG"
                    with m.If(~crc.good):
                        m.next = "IDLE"
                listen()
            with m.State("PAYLOAD"):
                m.d.comb += keep.eq(left != 0)
                with m.If(shifted):
                    m.d.sync += count.eq(count + 1)
                with m.If(pending & shifting & keep):
                    m.d.sync += late.eq(1)
                with m.If(shifted & (count == WORD_BYTES - 1)):
                    m.d.sync += [count.eq(0), left.eq(left - 1)]
                    with m.If(left > 1):
                        m.d.sync += pending.eq(fresh)
                    with m.If(left == 0):
                        m.d.sync += left.eq(0)
                        with m.If(crc.good & ~late):
                            m.d.sync += pending.eq(fresh)
                        with m.Else():
                            m.d.sync += status.eq(Status.DAMAGED)
                        m.next = "WRITE"
                listen()
            with m.State("WRITE"), m.If(~pending):
                m.next = "FLAG"
            with m.State("FLAG"):
                m.d.comb += [
                    answering.eq(1),
                    crc.clear.eq(1),
                    answer.valid.eq(1),
                    answer.payload.begin.eq(1),
                ]
                with m.If(status == Status.DONE):
                    m.d.sync += sequence.eq(header.sequence)
                with m.If(answer.ready):
                    words = Mux(reads, header.words, 0)
                    values = {"status": status, "sequence": header.sequence, "words": words}
                    m.d.sync += [data.View(ANSWER, word)[name].eq(value) for name, value in values.items()]
                    m.d.sync += shift.eq(8)
                    m.next = "SEND"

            def send() -> Signal:
                """Offer `piece` when it is shifted, then begin with the next byte; whether it was the fourth."""
                fourth = Signal(name="fourth")
                m.d.comb += [answering.eq(1), answer.valid.eq(full)]
                with m.If(shifted):
                    m.d.sync += full.eq(1)
                with m.If(full & answer.ready):
                    m.d.comb += fourth.eq(count == WORD_BYTES - 1)
                    m.d.sync += [full.eq(0), count.eq(Mux(fourth, 0, count + 1)), shift.eq(8)]
                return fourth

            with m.State("SEND"):
                m.d.comb += keep.eq(1)
                with m.If(send()):
                    m.next = "CRC"
                    with m.If(reads & (left != 0)):
                        m.d.sync += shift.eq(0)
                        m.next = "READ"
            with m.State("READ"):
                m.d.comb += [answering.eq(1), port.valid.eq(1)]
                with m.If(port.ready):
                    m.d.sync += [left.eq(left - 1), port.address.eq(port.address + 1)]
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.comb += answering.eq(1)
                m.d.sync += [word.eq(port.read_data), shift.eq(8)]
                m.next = "SEND"
            with m.State("CRC"):
                m.d.comb += emit.eq(1)
                with m.If(send()):
                    m.d.sync += shift.eq(0)
                    m.next = "IDLE"
        return m
