"""The parameter memory: bias, multiplier and shift of each output channel."""

from amaranth.hdl import Const, Module, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from . import bus
from .config import PARAMETER_RECORD_BYTES, Config
from .protected import flaws, memory_of_bytes

RECORD = data.StructLayout({"bias": signed(32), "multiplier": unsigned(32), "shift": signed(8)})
"""What is kept of a channel's record, from its first byte on. multiplier < 2^31, -31 <= shift <= 31."""


def parameter_read_layout(config: Config) -> data.StructLayout:
    """A read of the records of `lanes` channels."""
    return data.StructLayout(
        {"enable": 1, "line": unsigned(max(1, (config.parameter_lines - 1).bit_length()))},
    )


class ParameterMemory(Component):
    """`parameter_lines` lines of `lanes` records.

    Members
    -------
    write : stream of local writes of whole memory words, always ready; the records of a line lie
        PARAMETER_RECORD_BYTES apart, the lines `parameter_line_bytes`.
    read : {enable, line}
    read_data : L x RECORD, `latency` cycles after `read`, and held until the next one's.
    flaw : a byte that was read is not as it was written (with config.protection).
    latency : config.memory_latency.

    A read in a later cycle than the write sees it.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.latency = config.memory_latency
        super().__init__(
            {
                "write": In(stream.Signature(bus.local_write_layout(config, config.local_bits))),
                "read": In(parameter_read_layout(config)),
                "flaw": Out(1),
                "read_data": Out(data.ArrayLayout(RECORD, config.lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        record_bytes = RECORD.size // 8
        m.submodules.memory = memory = memory_of_bytes(config, RECORD.size * config.lanes, config.parameter_lines)
        m.d.comb += self.flaw.eq(flaws(m, config, [memory]))
        write = self.write.payload
        word_bits = (config.memory_bytes - 1).bit_length()
        line_bits = (config.parameter_line_bytes - 1).bit_length()
        words = config.parameter_line_bytes // config.memory_bytes
        word = write.address[word_bits:line_bits]
        m.d.comb += [
            self.write.ready.eq(1),
            memory.write.address.eq(write.address[line_bits:]),
            memory.read.address.eq(self.read.line),
            memory.read.enable.eq(self.read.enable),
            self.read_data.eq(memory.read.data),
        ]
        for index in range(record_bytes * config.lanes):
            lane, field_byte = divmod(index, record_bytes)
            place, byte = divmod(lane * PARAMETER_RECORD_BYTES + field_byte, config.memory_bytes)
            here: Value = word == place if words > 1 else Const(1)
            m.d.comb += [
                memory.write.data.word_select(index, 8).eq(write.data.word_select(byte, 8)),
                memory.write.enable[index].eq(self.write.valid & write.strobe[byte] & here),
            ]
        return m
