"""On-chip memory behind the memory port, for boards without a memory of their own."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import Component, In
from amaranth.utils import exact_log2

from . import bus
from .config import Config
from .link import word_port
from .link_protocol import WORD_BYTES
from .memory import Memory1RW


def word_address_bits(memory_bytes: int) -> int:
    """Bits of the address of a 32-bit word."""
    return exact_log2(memory_bytes // WORD_BYTES)


def check_memory(config: Config, memory_bytes: int) -> None:
    """See that a board can have so much memory.

    Raises
    ------
    ValueError
        If it is no power of two, too small for the memory port, or too large for its addresses.
    """
    if memory_bytes < 4 * config.memory_bytes or memory_bytes & (memory_bytes - 1):
        least = 4 * config.memory_bytes
        raise ValueError(f"a board's memory must be a power of two from {least} bytes on, not {memory_bytes!r}")
    if memory_bytes > 1 << config.address_width:
        raise ValueError(
            f"a board's memory of {memory_bytes} bytes needs more than address_width ({config.address_width}) bits"
        )


class PortMemory(Component):
    """`memory_bytes` bytes (a power of two) in a memory with one port. Addresses wrap.

    In a cycle the host's access goes first, then a write, then a read; with config.compact one request is under way,
    and of two a write is taken first. The host waits while a word that was read waits for its taker, since the memory
    itself keeps that word. On a memory narrower than its words it makes several accesses.

    Members
    -------
    read, write : the memory port's other end; a word per cycle, one idle cycle per request.
    abandon : forget the requests under way.
    host : link.word_port; `registers` is ignored.
    """

    READ_LATENCY = 1 + Memory1RW.LATENCY
    """Cycles from a request to its first word."""

    def __init__(self, config: Config, memory_bytes: int) -> None:
        check_memory(config, memory_bytes)
        self.config = config
        self.memory_bytes = memory_bytes
        super().__init__(
            {
                "read": In(bus.memory_read(config)),
                "write": In(bus.memory_write(config)),
                "abandon": In(1),
                "host": In(word_port(word_address_bits(memory_bytes))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        depth = self.memory_bytes // config.memory_bytes
        m.submodules.memory = memory = Memory1RW(config.memory_width, depth, 8)
        first, last = exact_log2(config.memory_bytes), exact_log2(self.memory_bytes)

        read, write = self.read, self.write
        hosts, writes, reads = Signal(), Signal(), Signal()
        if config.compact:
            # One request at a time.
            line, left = self._place(depth, "place")
            read_left, read_line, write_left, write_line = left, line, left, line
            writing = Signal()
            may_read, may_write = (left != 0) & ~writing, (left != 0) & writing
            counters = [(line, left, reads | writes, (read, write))]
            m.d.comb += read.request.ready.eq((left == 0) & ~(write.request.valid & write.request.ready))
            with m.If(left == 0):
                m.d.sync += writing.eq(write.request.ready & write.request.valid)
        else:
            (read_line, read_left), (write_line, write_left) = self._place(depth, "read"), self._place(depth, "write")
            may_read, may_write = read_left != 0, write_left != 0
            counters = [(read_line, read_left, reads, (read,)), (write_line, write_left, writes, (write,))]
            m.d.comb += read.request.ready.eq(read_left == 0)
        m.d.comb += [
            hosts.eq(self.host.valid & (~read.data.valid | read.data.ready)),
            write.data.ready.eq(may_write & ~hosts),
            writes.eq(write.data.valid & write.data.ready),
            reads.eq(may_read & ~hosts & ~writes & (~read.data.valid | read.data.ready)),
        ]
        with m.If(hosts):
            m.d.comb += memory.read_enable.eq(~self.host.write)
        with m.Elif(writes):
            m.d.comb += [memory.address.eq(write_line), memory.write_enable.eq(write.data.payload.strobe)]
        with m.Else():
            m.d.comb += [memory.address.eq(read_line), memory.read_enable.eq(reads)]
        m.d.comb += memory.write_data.eq(write.data.payload.data)
        if config.memory_bytes < WORD_BYTES:
            self._narrow(m, memory, hosts)
        else:
            self._wide(m, memory, hosts)
        m.d.comb += [
            read.data.payload.data.eq(memory.read_data),
            write.request.ready.eq((write_left == 0) & ~write.response.valid),
        ]

        with m.If(read.data.ready):
            m.d.sync += read.data.valid.eq(0)
        with m.If(reads):
            m.d.sync += [read.data.valid.eq(1), read.data.payload.last.eq(read_left == 1)]
        with m.If(write.response.ready):
            m.d.sync += write.response.valid.eq(0)
        with m.If(writes):
            m.d.sync += write.response.valid.eq(write_left == 1)
        for line, left, step, ports in counters:
            with m.If(step):
                m.d.sync += [left.eq(left - 1), line.eq(line + 1)]
            for port in ports:
                request = port.request
                with m.If(request.valid & request.ready):
                    m.d.sync += [left.eq(request.payload.words), line.eq(request.payload.address[first:last])]
        with m.If(self.abandon):
            m.d.sync += [read_left.eq(0), write_left.eq(0), read.data.valid.eq(0), write.response.valid.eq(0)]
        return m

    def _place(self, depth: int, name: str) -> tuple[Signal, Signal]:
        """The line that a request has come to, and how many are left."""
        return Signal(range(depth), name=f"{name}_line"), Signal(bus.words_bits(self.config), name=f"{name}_left")

    def _wide(self, m: Module, memory: Memory1RW, now: Value) -> None:
        """The host's access to one of the words side by side in the memory's."""
        host = self.host
        lanes = self.config.memory_bytes // WORD_BYTES
        lane = host.address[: exact_log2(lanes)]
        lane_read = Signal.like(lane)
        m.d.comb += [
            host.ready.eq(now),
            host.read_data.eq(memory.read_data.word_select(lane_read, 32) if lanes > 1 else memory.read_data),
        ]
        with m.If(now):
            m.d.sync += lane_read.eq(lane)
            m.d.comb += [
                memory.address.eq(host.address[exact_log2(lanes) :]),
                memory.write_enable.eq(
                    Cat((host.write & (lane == index)).replicate(WORD_BYTES) for index in range(lanes))
                ),
                memory.write_data.eq(host.write_data.replicate(lanes)),
            ]

    def _narrow(self, m: Module, memory: Memory1RW, now: Value) -> None:
        """The host's access in parts, the lowest first; what was read is collected."""
        host, width = self.host, self.config.memory_width
        parts = 32 // width
        part = Signal(range(parts))
        arrived = Signal()
        read = Signal(32 - width)
        m.d.comb += [host.ready.eq(now & (part == parts - 1)), host.read_data.eq(Cat(read, memory.read_data))]
        m.d.sync += arrived.eq(now & ~host.ready)
        with m.If(arrived):
            m.d.sync += read.eq(Cat(read, memory.read_data)[width:])
        with m.If(now):
            m.d.sync += part.eq(part + 1)
            m.d.comb += [
                memory.address.eq(Cat(part, host.address)),
                memory.write_enable.eq(host.write.replicate(self.config.memory_bytes)),
                memory.write_data.eq(host.write_data.word_select(part, width)),
            ]
