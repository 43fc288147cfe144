"""The one place that makes on-chip memories."""

from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


def _check(width: int, depth: int, granularity: int | None) -> None:
    for name, value in (("width", width), ("depth", depth)):
        if value < 1:
            raise ValueError(f"the {name} of a memory must be at least 1, not {value!r}")
    if granularity is not None and (granularity < 1 or width % granularity):
        raise ValueError(f"the granularity of a memory must divide its width ({width}), not {granularity!r}")


def _address_bits(depth: int) -> int:
    """At least one: ports without bits do not exist in Verilog."""
    return max(ceil_log2(depth), 1)


class Memory1R1W(wiring.Component):
    """A synchronous memory with one write port and one read port.

    The word at `read.address` appears on `read.data` `latency` cycles after a cycle with `read.enable`, and stays
    there until `latency` cycles after the next such cycle. A write is seen by every read of a later
    cycle; what a read of the same address in the same cycle returns is undefined (block RAMs differ), and so is a word
    that was never written.

    A platform with a method `memory_1r1w(memory)` builds its device's own primitive: the method returns the
    elaboratable that takes this component's place and drives its `read.data`, or None for the portable form.

    Parameters
    ----------
    width : int
        Bits of a word.
    depth : int
        Words; addresses must stay below.
    granularity : int, optional
        Bits that one bit of `write.enable` stands for; divides `width`. The whole word by default.
    latency : int
        1, or 2 with a register behind the memory, which block RAMs have built in.

    Attributes
    ----------
    write
        `address`, `data` and `enable` (bit i writes bits i * granularity and up).
    read
        `address`, `enable` and, `latency` cycles later, `data`.

    Raises
    ------
    ValueError
        For a width or depth below 1, a granularity that does not divide the width, or another latency.
    """

    def __init__(self, width: int, depth: int, granularity: int | None = None, latency: int = 1):
        _check(width, depth, granularity)
        if latency not in (1, 2):
            raise ValueError(f"the latency of a memory must be 1 or 2, not {latency!r}")
        self.latency = latency
        self.width = width
        self.depth = depth
        self.granularity = granularity or width
        address_width = _address_bits(depth)
        write = {
            "address": Out(address_width),
            "data": Out(width),
            "enable": Out(width // self.granularity),
        }
        read = {"address": Out(address_width), "enable": Out(1), "data": In(width)}
        super().__init__({"write": In(wiring.Signature(write)), "read": In(wiring.Signature(read))})

    def elaborate(self, platform: object) -> Elaboratable:
        made = platform.memory_1r1w(self) if hasattr(platform, "memory_1r1w") else None
        return self.portable() if made is None else made

    def portable(self, **attributes: int | str) -> Module:
        """The form that synthesis tools infer block RAM from, with further attributes for them."""
        m = Module()
        # The attribute spares the logic that would make a collision of read and write return the old word.
        memory = Memory(shape=self.width, depth=max(self.depth, 2), init=[], attrs={"no_rw_check": 1, **attributes})
        m.submodules.memory = memory
        write = memory.write_port(granularity=self.granularity)
        read = memory.read_port()
        m.d.comb += [
            write.addr.eq(self.write.address),
            write.data.eq(self.write.data),
            write.en.eq(self.write.enable),
            read.addr.eq(self.read.address),
            read.en.eq(self.read.enable),
        ]
        word = read.data
        if self.latency == 2:
            word = Signal(self.width, name="output_register", reset_less=True)
            m.d.sync += word.eq(read.data)
        m.d.comb += self.read.data.eq(word)
        return m


class Memory1RW(wiring.Component):
    """A synchronous memory with one port, that reads a word or writes in a cycle.

    As Memory1R1W, with one address for both: `read_data` stays until the next cycle with an enable, and what a cycle
    with both enables does is undefined. A platform's method is `memory_1rw(memory)`; it may return None.

    Attributes
    ----------
    address, write_data, write_enable, read_enable, read_data
    """

    LATENCY = 1

    def __init__(self, width: int, depth: int, granularity: int | None = None):
        _check(width, depth, granularity)
        self.width = width
        self.depth = depth
        self.granularity = granularity or width
        super().__init__(
            {
                "address": In(_address_bits(depth)),
                "write_data": In(width),
                "write_enable": In(width // self.granularity),
                "read_enable": In(1),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        if hasattr(platform, "memory_1rw"):
            primitive = platform.memory_1rw(self)
            if primitive is not None:
                return primitive
        m = Module()
        m.submodules.memory = memory = Memory1R1W(self.width, self.depth, self.granularity)
        m.d.comb += [
            memory.write.address.eq(self.address),
            memory.write.data.eq(self.write_data),
            memory.write.enable.eq(self.write_enable),
            memory.read.address.eq(self.address),
            memory.read.enable.eq(self.read_enable),
            self.read_data.eq(memory.read.data),
        ]
        return m
