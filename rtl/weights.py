"""The weight store: tiles of weights, read several rows per cycle and handed to the array with its skew."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from . import bus
from .config import Config
from .delay import delay_line, delayed
from .memory import Memory1RW
from .protected import flaws, memory_of_bytes

GROUP = 4
"""Columns that share a memory: block RAMs are read 32 bits wide."""


def weight_read_layout(config: Config) -> data.StructLayout:
    """A read of one line: one loading step of a tile."""
    return data.StructLayout({"enable": 1, "line": unsigned(max(1, (config.weight_lines - 1).bit_length()))})


def write_latency(config: Config) -> int:
    """Cycles from a write to the first read that sees it: the registers in front of the memories, and the memory."""
    return 2 + config.pipelined


class WeightStore(Component):
    """W banks of `weight_lines` lines of C weights.

    Bank b is read b * S cycles late, and its group of columns from column g on another g cycles, by delaying the
    address; only inside a group registers delay the weights. So when the S lines of a tile are read in the cycles
    t to t + S - 1, the weight of row r = b * S + step and column c is there at t + `latency` + r + c, as the array
    wants it.

    Members
    -------
    write : stream of local writes of whole memory words, always ready but with `compact`. Banks lie `weight_pitch`
        bytes apart in a line, lines `weight_line_bytes`; bytes that belong to no bank or column are dropped.
    read : {enable, line}, in any cycle.
    weights : W x C x signed(8); weights[b][c] of the line that was read at cycle t is valid at
        t + `latency` + b * S + c.
    flaw : a byte that was read is not as it was written (with config.protection).
    latency : config.memory_latency.

    A read `write_latency` or more cycles after the cycle of a write sees it.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.latency = config.memory_latency
        super().__init__(
            {
                "write": In(stream.Signature(bus.local_write_layout(config, config.local_bits))),
                "read": In(weight_read_layout(config)),
                "flaw": Out(1),
                "weights": Out(data.ArrayLayout(data.ArrayLayout(signed(8), config.cols), config.weight_rows)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        word_bytes = config.memory_bytes
        word_bits = (word_bytes - 1).bit_length()
        line_bits = (config.weight_line_bytes - 1).bit_length()

        if config.compact:
            return self._elaborate_compact(m)
        # One register between the memory port and the many memories; pipelined two, and the enables are worked out in
        # front of the second one.
        write = Signal(self.write.payload.shape(), reset_less=True)
        write_valid = Signal()
        strobe = Signal(word_bytes)
        m.d.comb += [self.write.ready.eq(1), strobe.eq(write.strobe & write_valid.replicate(word_bytes))]
        m.d.sync += [write.eq(self.write.payload), write_valid.eq(self.write.valid)]
        word = write.address[word_bits:line_bits]
        front = int(config.pipelined)
        write = delay_line(m, "write", write, front, reset_less=True)[-1]

        groups = range(0, config.cols, GROUP)
        reads = delay_line(m, "read", self.read, (config.weight_rows - 1) * config.weight_steps + groups[-1])
        memories = []
        for bank in range(config.weight_rows):
            for group in groups:
                columns = range(group, min(group + GROUP, config.cols))
                memory = memory_of_bytes(config, 8 * len(columns), config.weight_lines)
                memories.append(memory)
                m.submodules[f"bank_{bank}_{group}"] = memory
                places = [divmod(bank * config.weight_pitch + column, word_bytes) for column in columns]
                read = reads[bank * config.weight_steps + group]
                enable = Cat(strobe[byte] & (word == index) for index, byte in places)
                m.d.comb += [
                    memory.write.address.eq(write.address[line_bits:]),
                    memory.write.data.eq(Cat(write.data.word_select(byte, 8) for _, byte in places)),
                    memory.write.enable.eq(delayed(m, f"enable_{bank}_{group}", enable, front)),
                    memory.read.address.eq(read.line),
                    memory.read.enable.eq(read.enable),
                ]
                for index, column in enumerate(columns):
                    weight = memory.read.data.word_select(index, 8)
                    skewed = delay_line(m, f"weight_{bank}_{column}", weight, index, reset_less=True)[-1]
                    m.d.comb += self.weights[bank][column].eq(skewed)
        m.d.comb += self.flaw.eq(flaws(m, config, memories))
        return m

    def _elaborate_compact(self, m: Module) -> Module:
        """No skew of columns; a bank's memory has one port, and what is written waits for a cycle without a read."""
        config = self.config
        word_bytes = config.memory_bytes
        word_bits = (word_bytes - 1).bit_length()
        line_bits = (config.weight_line_bytes - 1).bit_length()
        write = self.write.payload
        word = write.address[word_bits:line_bits]
        reads = delay_line(m, "read", self.read, (config.weight_rows - 1) * config.weight_steps)
        busy = Cat(reads[bank * config.weight_steps].enable for bank in range(config.weight_rows)).any()
        m.d.comb += self.write.ready.eq(~busy)
        for bank in range(config.weight_rows):
            memory = Memory1RW(8 * config.cols, config.weight_lines, 8)
            m.submodules[f"bank_{bank}"] = memory
            places = [divmod(bank * config.weight_pitch + column, word_bytes) for column in range(config.cols)]
            read = reads[bank * config.weight_steps]
            m.d.comb += [
                memory.address.eq(Mux(busy, read.line, write.address[line_bits:])),
                memory.write_data.eq(Cat(write.data.word_select(byte, 8) for _, byte in places)),
                memory.write_enable.eq(
                    Cat(self.write.valid & ~busy & write.strobe[byte] & (word == index) for index, byte in places)
                ),
                memory.read_enable.eq(read.enable),
                self.weights[bank].as_value().eq(memory.read_data),
            ]
        return m
