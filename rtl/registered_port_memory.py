"""On-chip memory behind the memory port, for a fast clock."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal
from amaranth.utils import exact_log2

from .config import Config
from .delay import delay_line
from .fifo import RegisteredFifo
from .link_protocol import WORD_BYTES
from .memory import Memory1R1W
from .port_memory import PortMemory
from .skid import SkidBuffer

BUFFER = 8  # of which two wait in the register behind the queue
"""Words under way from the memory or waiting for their taker: enough for one word per cycle."""


class RegisteredPortMemory(PortMemory):
    """PortMemory with a register in front of its memory, and a queue for words that wait for their taker behind it, so
    that its output may be registered. The memory port is at least as wide as the host's words.

    In a cycle the host's access goes first, then a write, then a read.
    """

    def __init__(self, config: Config, memory_bytes: int) -> None:
        super().__init__(config, memory_bytes)
        if config.memory_bytes < WORD_BYTES:
            raise ValueError(
                f"memory_width must be at least {8 * WORD_BYTES} with a board's registered memory, "
                f"not {config.memory_width}"
            )
        self.READ_LATENCY = config.memory_latency + 3 + SkidBuffer.LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, host, read, write = self.config, self.host, self.read, self.write
        depth = self.memory_bytes // config.memory_bytes
        m.submodules.memory = memory = Memory1R1W(config.memory_width, depth, 8, latency=config.memory_latency)
        first, last = exact_log2(config.memory_bytes), exact_log2(self.memory_bytes)

        # A request is a counter of its words, and whether it counts and is at its last word, from registers.
        def run(request: object, name: str, step: Signal) -> tuple[Signal, Signal, Signal]:
            left = Signal.like(request.payload.words, name=f"{name}_left")
            line = Signal(range(depth), name=f"{name}_line")
            active, ends = Signal(name=f"{name}_active"), Signal(name=f"{name}_ends")
            with m.If(step):
                m.d.sync += [left.eq(left - 1), line.eq(line + 1), active.eq(~ends), ends.eq(left == 2)]
            with m.If(request.valid & request.ready):
                words = request.payload.words
                m.d.sync += [
                    *(left.eq(words), active.eq(1), ends.eq(words == 1)),
                    line.eq(request.payload.address[first:last]),
                ]
            with m.If(self.abandon):
                m.d.sync += active.eq(0)
            return line, active, ends

        hosts, writes, reads, room = (Signal(name=name) for name in ("hosts", "writes", "reads", "room"))
        read_line, reading, read_ends = run(read.request, "read", reads)
        write_line, writing, write_ends = run(write.request, "write", writes)
        m.d.comb += [
            read.request.ready.eq(~reading),
            write.request.ready.eq(~writing & ~write.response.valid),
            write.data.ready.eq(writing & ~hosts),
            writes.eq(write.data.valid & write.data.ready),
            reads.eq(reading & room & ~hosts & ~writes),
        ]
        with m.If(write.response.ready):
            m.d.sync += write.response.valid.eq(0)
        with m.If(writes & write_ends):
            m.d.sync += write.response.valid.eq(1)
        with m.If(self.abandon):
            m.d.sync += write.response.valid.eq(0)

        # An access of the host's takes until its word is there; meanwhile the others go on.
        lanes = config.memory_bytes // WORD_BYTES
        lane, line = host.address[: exact_log2(lanes)], host.address[exact_log2(lanes) :]
        lane_read = Signal.like(lane)
        m.d.sync += lane_read.eq(lane)
        stages = delay_line(m, "host", hosts, memory.latency)
        m.d.sync += hosts.eq(host.valid & ~Cat(stages).any())
        m.d.comb += [
            host.ready.eq(stages[-1]),
            host.read_data.eq(memory.read.data.word_select(lane_read, 32) if lanes > 1 else memory.read.data),
        ]

        # What the memory does in the next cycle.
        address = Signal(range(depth))
        m.d.sync += [
            address.eq(Mux(hosts, line, Mux(writes, write_line, read_line))),
            memory.write.data.eq(Mux(hosts, host.write_data.replicate(lanes), write.data.payload.data)),
            memory.write.enable.eq(Mux(writes, write.data.payload.strobe, 0)),
            memory.read.enable.eq((hosts & ~host.write) | reads),
        ]
        with m.If(hosts):
            mine = Cat((host.write & (lane == index)).replicate(WORD_BYTES) for index in range(lanes))
            m.d.sync += memory.write.enable.eq(mine)
        m.d.comb += [memory.write.address.eq(address), memory.read.address.eq(address)]

        # Words that were read, and how many places of their queue are taken or promised.
        words = RegisteredFifo(width=config.memory_width + 1, depth=BUFFER)
        output = SkidBuffer(words.width)
        m.submodules.words = ResetInserter(self.abandon)(words)
        m.submodules.output = ResetInserter(self.abandon)(output)
        owed = Signal(range(BUFFER + 1))
        arriving, ends = reads, reads & read_ends
        for stage in range(1 + memory.latency):
            arrives, is_last = Signal(name=f"arrives_{stage}"), Signal(name=f"is_last_{stage}")
            m.d.sync += [arrives.eq(arriving & ~self.abandon), is_last.eq(ends)]
            arriving, ends = arrives, is_last
        m.d.comb += [
            room.eq(owed != BUFFER),
            words.w_en.eq(arriving),
            words.w_data.eq(Cat(memory.read.data, ends)),
            output.i.valid.eq(words.r_rdy),
            output.i.payload.eq(words.r_data),
            words.r_en.eq(output.i.ready),
            read.data.valid.eq(output.o.valid),
            Cat(read.data.payload.data, read.data.payload.last).eq(output.o.payload),
            output.o.ready.eq(read.data.ready),
        ]
        m.d.sync += owed.eq(Mux(self.abandon, 0, owed + reads - (read.data.valid & read.data.ready)))
        return m
