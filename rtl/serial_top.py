"""All of a board but its pins: an NPU with on-chip memory behind a serial link."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out, connect

from . import link_protocol
from .config import Config
from .link import Link
from .link_protocol import DEFAULT_BAUD, DIVISOR_BITS, MIN_DIVISOR, OWN_REGISTERS, LinkRegister
from .npu import Npu
from .port_memory import PortMemory, check_memory, word_address_bits
from .registered_port_memory import RegisteredPortMemory


class SerialTop(Component):
    """An NPU, `memory_bytes` of memory, and the link.

    Members
    -------
    receive, transmit : the serial line.
    busy : a program runs. failed : the last one ended with an error.

    Raises
    ------
    ValueError
        For a configuration with AXI, a memory size that cannot be, or a baud rate that the clock is too slow or too
        fast for.
    """

    def __init__(self, config: Config, memory_bytes: int, clock_hz: int, baud: int = DEFAULT_BAUD) -> None:
        if config.axi:
            raise ValueError("a board with a serial link takes a configuration with axi = false")
        check_memory(config, memory_bytes)
        self.config = config
        self.memory_bytes = memory_bytes
        self.clock_hz = clock_hz
        self.divisor = divisor_of(clock_hz, baud)
        super().__init__({"receive": In(1, init=1), "transmit": Out(1, init=1), "busy": Out(1), "failed": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.npu = npu = Npu(self.config)
        kind = RegisteredPortMemory if self.config.memory_latency == 2 else PortMemory
        m.submodules.memory = memory = kind(self.config, self.memory_bytes)
        m.submodules.link = link = Link(word_address_bits(self.memory_bytes), self.config.pipelined)
        connect(m, npu.read, memory.read)
        connect(m, npu.write, memory.write)
        m.d.comb += [
            memory.abandon.eq(npu.abandon),
            link.receive.eq(self.receive),
            self.transmit.eq(link.transmit),
            self.busy.eq(npu.busy),
            self.failed.eq(npu.failed),
        ]

        # The link's accesses: to memory, to the NPU's registers, to its own.
        port, registers = link.port, npu.registers
        taken, own, own_read = Signal(), Signal(), Signal()
        divisor = Signal(DIVISOR_BITS, init=self.divisor)
        own_data = Signal(32)
        register_ready = Signal()
        if self.config.pipelined:
            # Behind a register, since so much depends on a write; what is read is there in the second cycle.
            m.d.sync += [taken.eq(port.valid & port.registers & ~taken & ~register_ready), register_ready.eq(taken)]
        else:
            m.d.comb += [taken.eq(port.valid & port.registers), register_ready.eq(1)]
        m.d.comb += [
            memory.host.valid.eq(port.valid & ~port.registers),
            memory.host.write.eq(port.write),
            memory.host.address.eq(port.address),
            memory.host.write_data.eq(port.write_data),
            port.ready.eq(Mux(port.registers, register_ready, memory.host.ready)),
            own.eq(port.address[OWN_REGISTERS.bit_length() - 3]),
            registers.write.eq(taken & port.write & ~own),
            registers.read.eq(taken & ~port.write & ~own),
            link.divisor.eq(divisor),
            port.read_data.eq(Mux(port.registers, Mux(own_read, own_data, registers.read_data), memory.host.read_data)),
        ]
        # What is accessed has been there for a cycle when it is taken.
        m.d["sync" if self.config.pipelined else "comb"] += [
            registers.address.eq(Cat(Const(0, 2), port.address[:10])),
            registers.write_data.eq(port.write_data),
        ]
        m.d.sync += own_read.eq(own)
        with m.Switch(port.address[:2]):
            for register, value in (
                (LinkRegister.IDENTITY, link_protocol.LINK_IDENTITY),
                (LinkRegister.MEMORY_BYTES, self.memory_bytes),
                (LinkRegister.CLOCK_HZ, self.clock_hz),
                (LinkRegister.DIVISOR, divisor),
            ):
                with m.Case(register // 4 % 4):
                    m.d.sync += own_data.eq(value)
        with m.If(taken & own & port.write & (port.address[:2] == LinkRegister.DIVISOR // 4 % 4)):
            m.d.sync += divisor.eq(port.write_data)
        return m


def divisor_of(clock_hz: int, baud: int) -> int:
    """Clock cycles of one bit.

    Raises
    ------
    ValueError
        If there are too few or too many, or the bits would be more than 2 % too long or too short.
    """
    divisor = round(clock_hz / baud)
    low, high = MIN_DIVISOR, (1 << DIVISOR_BITS) - 1
    if not low <= divisor <= high:
        raise ValueError(
            f"a clock of {clock_hz} Hz makes baud rates from {-(-clock_hz // high)} to {clock_hz // low}, not {baud}"
        )
    if abs(clock_hz / divisor / baud - 1) > 0.02:
        raise ValueError(f"a clock of {clock_hz} Hz misses {baud} baud by more than 2 %")
    return divisor
