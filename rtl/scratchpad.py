"""The scratchpad: activations as bytes, read a word at a time from any byte address."""

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from . import bus
from .config import Config, power_of_two_at_least
from .delay import delay_line, delayed
from .memory import Memory1R1W
from .protected import flaws, memory_of_bytes


def address_bits(config: Config) -> int:
    """Bits of a byte address of the scratchpad."""
    return (config.scratchpad_bytes - 1).bit_length()


def array_read_layout(config: Config) -> data.StructLayout:
    """A read of `word_bytes` bytes from byte `address` on."""
    return data.StructLayout({"enable": 1, "address": unsigned(address_bits(config))})


def drain_write_layout(config: Config) -> data.StructLayout:
    """Byte i of `data` goes to `address` + i where strobe bit i is set."""
    return data.StructLayout(
        {
            "enable": 1,
            "address": unsigned(address_bits(config)),
            "data": data.ArrayLayout(unsigned(8), config.lanes),
            "strobe": unsigned(config.lanes),
        }
    )


def rotated_right(value: Value, places: Value, unit: int) -> Value:
    """`value` rotated right by `places` units of `unit` bits; one multiplexer per bit of `places`."""
    for index in range(len(places)):
        value = Mux(places[index], value.rotate_right(unit << index), value)
    return value


def rotated_left(value: Value, places: Value, unit: int) -> Value:
    """Undoes `rotated_right`."""
    for index in range(len(places)):
        value = Mux(places[index], value.rotate_left(unit << index), value)
    return value


@dataclass(frozen=True)
class _Part:
    """What a bank gets of a write."""

    line: Value
    strobe: Value


@dataclass(frozen=True)
class _Aligned:
    """A write as the banks see it."""

    even: Signal
    """It writes to the even bank."""
    odd: Signal
    lanes: Value
    """Its bytes in their lanes."""
    even_part: _Part
    odd_part: _Part

    def bank(self, name: str) -> _Part:
        """What the bank `name` gets."""
        return self.even_part if name == "even" else self.odd_part


def drain_write_latency(config: Config) -> int:
    """Cycles from a write of the drain to its being in the memory: the registers behind the alignment, and pipelined
    one more in front of the choice between drain and load; and the memory."""
    return Scratchpad.WRITE_LATENCY + config.pipelined


def read_latency(config: Config) -> int:
    """Cycles from a read to its bytes: the memory's and the register in the alignment, and pipelined the registers in
    front of the memory and behind the alignment."""
    return config.memory_latency + 1 + 2 * config.pipelined


class Scratchpad(Component):
    """Bytes in an even and an odd bank of words, so that two neighbouring words are accessed at once.

    All addresses count bytes, may be any, and wrap at the end. Word w lies in the bank of w's parity. Lane k
    of an access belongs to its first word when k >= address % B, else to the word behind that; what remains
    is a rotation. Bytes that were never written are undefined.

    A read that is granted WRITE_LATENCY or more cycles after the grant of a write, or drain_write_latency after one of
    the drain, sees it; what a read in between returns of the bytes written is undefined.

    Parameters
    ----------
    config : Config

    Members
    -------
    array_read : array_read_layout; never stalled.
    array_data : B x unsigned(8); byte j is the byte at address + j, `read_latency` cycles after `array_read`.
    store_read : stream of byte addresses; ready when the array does not read.
    starved : a `store_read` has waited for PATIENCE cycles, pipelined two less; the array should leave out a read.
    store_data, store_valid : a memory word of the bytes from there on, `read_latency` cycles after the grant.
    drain_write : drain_write_layout; never stalled.
    load_write : stream of bus.local_write_layout; ready when the drain does not write to a bank that it needs.
    flaw : a byte that was read is not as it was written (with config.protection).
    """

    WRITE_LATENCY = 2
    """The register behind the alignment, and the memory."""

    PATIENCE = 14
    """Two cycles are left out then: a busy array loses at most one in eight to stores."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.read_latency = read_latency(config)
        bits = address_bits(config)
        super().__init__(
            {
                "array_read": In(array_read_layout(config)),
                "array_data": Out(data.ArrayLayout(unsigned(8), config.word_bytes)),
                "store_read": In(stream.Signature(unsigned(bits))),
                "starved": Out(1),
                "store_data": Out(config.memory_width),
                "store_valid": Out(1),
                "drain_write": In(drain_write_layout(config)),
                "flaw": Out(1),
                "load_write": In(stream.Signature(bus.local_write_layout(config, bits))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        size = self.config.word_bytes
        depth = self.config.scratchpad_bytes // (2 * size)
        m.submodules.even = even = memory_of_bytes(self.config, 8 * size, depth)
        m.submodules.odd = odd = memory_of_bytes(self.config, 8 * size, depth)
        m.d.comb += self.flaw.eq(flaws(m, self.config, [even, odd]))
        self._read(m, even, odd)
        self._write(m, even, odd)
        return m

    def _split(self, address: Value) -> tuple[Value, Value, Value, Value]:
        """What an access at a byte address needs: the offset in its first word, the lines of the even and of
        the odd bank, and per lane whether it is in the even bank."""
        size = self.config.word_bytes
        offset_bits = (size - 1).bit_length()
        offset, word = address[:offset_bits], address[offset_bits:]
        in_even = Cat((offset <= lane) ^ word[0] for lane in range(size))
        # The sum's highest bit is dropped: the last word's successor is the first.
        return offset, (word + 1)[1 : len(word)], word[1:], in_even

    def _read(self, m: Module, even: Memory1R1W, odd: Memory1R1W) -> None:
        size = self.config.word_bytes
        array, store = self.array_read, self.store_read
        address = Signal(address_bits(self.config), name="read_address")
        enable = Signal(name="read_enable")
        m.d.comb += [
            store.ready.eq(~array.enable),
            address.eq(Mux(array.enable, array.address, store.payload)),
            enable.eq(array.enable | store.valid),
        ]
        # The memories lie all over the chip; they read in every cycle, unless what they read is judged.
        front = int(self.config.pipelined)
        reads = Const(1) if front and not self.config.protection else delayed(m, "reads", enable, front)
        # Pipelined, the array hears of it later.
        patience = self.PATIENCE - 2 * self.config.pipelined
        waited = Signal(range(patience + 1))
        with m.If(~store.valid | store.ready):
            m.d.sync += [waited.eq(0), self.starved.eq(0)]
        with m.Elif(~self.starved):
            m.d.sync += [waited.eq(waited + 1), self.starved.eq(waited == patience - 1)]
        offset, even_line, odd_line, in_even = self._split(address)
        m.d.comb += [
            even.read.address.eq(delay_line(m, "read_even", even_line, front, reset_less=True)[-1]),
            odd.read.address.eq(delay_line(m, "read_odd", odd_line, front, reset_less=True)[-1]),
            even.read.enable.eq(reads),
            odd.read.enable.eq(reads),
        ]
        # The register stands between selection and rotation: in front of it the memory takes most of the cycle.
        in_even = delayed(m, "in_even_delay", in_even, front + self.config.memory_latency)
        selected = Signal(8 * size, name="read_lanes", reset_less=True)
        for lane in range(size):
            byte = slice(8 * lane, 8 * lane + 8)
            m.d.sync += selected[byte].eq(Mux(in_even[lane], even.read.data[byte], odd.read.data[byte]))
        offset = delayed(m, "offset_delay", offset, front + self.config.memory_latency + 1)
        aligned = Signal(8 * size, name="read_data")
        m.d.comb += aligned.eq(rotated_right(selected, offset, 8))
        m.d.comb += [
            self.array_data.eq(delay_line(m, "read_data", aligned, int(self.config.pipelined), reset_less=True)[-1]),
            self.store_data.eq(self.array_data.as_value()),
            self.store_valid.eq(delayed(m, "store_delay", store.valid & store.ready, self.read_latency)),
        ]

    def _write(self, m: Module, even: Memory1R1W, odd: Memory1R1W) -> None:
        config = self.config
        drain, load = self.drain_write, self.load_write
        # Lanes that are `period` places apart get the same byte, so only so many bytes have to be rotated.
        period = power_of_two_at_least(max(config.lanes, config.memory_bytes))
        drained, loaded = (
            self._aligned(m, name, one.address, one.data, strobe, period)
            for name, one, strobe in (
                ("drain", drain, Mux(drain.enable, drain.strobe, 0)),
                ("load", load.payload, Mux(load.valid, load.payload.strobe, 0)),
            )
        )
        if config.pipelined:
            drained = self._registered(m, drained)
            in_even, in_odd = self._reach(load.payload.address)
            m.d.comb += load.ready.eq(~(drained.even & in_even | drained.odd & in_odd))
        else:
            m.d.comb += load.ready.eq(~drain.enable | ~(drained.even & loaded.even | drained.odd & loaded.odd))
        for name, bank in (("even", even), ("odd", odd)):
            line_register = Signal.like(bank.write.address, name=f"{name}_line", reset_less=True)
            enable_register = Signal(config.word_bytes, name=f"{name}_enable")
            lanes = Signal(8 * period, name=f"{name}_lanes", reset_less=True)
            mine, theirs = drained.bank(name), loaded.bank(name)
            with m.If(getattr(drained, name)):
                m.d.sync += [line_register.eq(mine.line), lanes.eq(drained.lanes), enable_register.eq(mine.strobe)]
            with m.Else():
                m.d.sync += [line_register.eq(theirs.line), lanes.eq(loaded.lanes)]
                m.d.sync += enable_register.eq(Mux(load.ready, theirs.strobe, 0))
            m.d.comb += [
                bank.write.address.eq(line_register),
                bank.write.data.eq(lanes.replicate(config.word_bytes // period)),
                bank.write.enable.eq(enable_register),
            ]

    def _registered(self, m: Module, write: "_Aligned") -> "_Aligned":
        """The write of the cycle before."""

        def late(name: str, value: Value) -> Signal:
            register = Signal.like(value, name=f"late_{name}", reset_less=name != "even" and name != "odd")
            m.d.sync += register.eq(value)
            return register

        return _Aligned(
            late("even", write.even),
            late("odd", write.odd),
            late("lanes", write.lanes),
            *(
                _Part(late(f"{name}_line", part.line), late(f"{name}_strobe", part.strobe))
                for name, part in (("even", write.even_part), ("odd", write.odd_part))
            ),
        )

    def _reach(self, address: Value) -> tuple[Value, Value]:
        """Whether a memory word at a byte address may write to the even, to the odd bank: strobes come too late."""
        size = self.config.word_bytes
        offset_bits = (size - 1).bit_length()
        spills = address[:offset_bits] > size - self.config.memory_bytes
        return ~address[offset_bits] | spills, address[offset_bits] | spills

    def _aligned(self, m: Module, name: str, address: Value, payload: Value, strobe: Value, period: int) -> "_Aligned":
        """A write as the banks see it: what each gets of it, and the bytes in their lanes."""
        size = self.config.word_bytes
        offset, even_line, odd_line, in_even = self._split(address)
        values = Signal(8 * power_of_two_at_least(len(Value.cast(payload)) // 8), name=f"{name}_values")
        lane_strobe = Signal(size, name=f"{name}_strobe")
        wide = Signal(size, name=f"{name}_wide")
        m.d.comb += [values.eq(payload), wide.eq(strobe), lane_strobe.eq(rotated_left(wide, offset, 1))]
        lanes = rotated_left(values, offset[: (len(values) // 8 - 1).bit_length()], 8)
        found = _Aligned(
            Signal(name=f"{name}_in_even"),
            Signal(name=f"{name}_in_odd"),
            lanes.replicate(8 * period // len(values)),
            _Part(even_line, lane_strobe & in_even),
            _Part(odd_line, lane_strobe & ~in_even),
        )
        m.d.comb += [found.even.eq(found.even_part.strobe.any()), found.odd.eq(found.odd_part.strobe.any())]
        return found
