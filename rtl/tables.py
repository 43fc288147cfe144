"""The look-up tables of one lane: of sums on their way in, of results on their way out."""

from amaranth.hdl import Module, signed
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import exact_log2

from . import isa
from .config import Config
from .delay import delay_line, delayed
from .protected import enable, memory_of_words


class Table(Component):
    """A memory that is written in words of the memory port and read in elements of `bits` bits, at least 8.

    Members
    -------
    write : whole words, `write_address` counts them.
    index, look_up, element : the element is there `latency` cycles after the index, if it is looked up.
    flaw : a word that was looked up is not as it was written (with `protection`, see ProtectedMemory).
    """

    def __init__(self, width: int, bits: int, elements: int, latency: int = 1, protection: bool = False) -> None:
        self.latency = latency
        self.protection = protection
        self.width = width
        self.bits = bits
        self.words = bits * elements // width
        super().__init__(
            {
                "write": In(1),
                "write_address": In(max(1, exact_log2(self.words))),
                "write_data": In(width),
                "index": In(exact_log2(elements)),
                "look_up": In(1),
                "element": Out(signed(bits)),
                "flaw": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = memory_of_words(self.protection, self.width, self.words, self.latency)
        if self.protection:
            m.d.comb += self.flaw.eq(memory.flaw)
        low = exact_log2(self.width // self.bits)
        within = delayed(m, "within", self.index[:low], self.latency)
        m.d.comb += [
            memory.write.enable.eq(enable(memory, self.write)),
            memory.write.address.eq(self.write_address),
            memory.write.data.eq(self.write_data),
            memory.read.enable.eq(self.look_up if self.protection else 1),
            memory.read.address.eq(self.index[low:]),
            self.element.eq(memory.read.data.word_select(within, self.bits).as_signed()),
        ]
        return m


class Tables(Component):
    """The tables of one lane. All lanes hold the same and are written together.

    Members
    -------
    write : a write to the table space, of a whole memory word.
    sum, operand, look_up_sum : `value` is `sum`, or its element in sum table `operand`, `latency` cycles later.
    result, look_up_result : `out` is `result`, or its element in the result table, `latency` cycles later.
    flaw : a word that was looked up is not as it was written (with config.protection).
    latency : config.memory_latency.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.latency = config.memory_latency
        super().__init__(
            {
                "write": In(1),
                "write_address": In(isa.LOCAL_BITS),
                "write_data": In(config.memory_width),
                "sum": In(signed(32)),
                "operand": In(1),
                "look_up_sum": In(1),
                "value": Out(signed(32)),
                "result": In(signed(8)),
                "look_up_result": In(1),
                "out": Out(signed(8)),
                "flaw": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, protection = self.config.memory_width, self.config.protection
        m.submodules.sums = sums = Table(width, 32, isa.SUM_TABLES * 256, self.latency, protection)
        m.submodules.results = results = Table(width, 8, 256, self.latency, protection)
        m.d.comb += [
            sums.look_up.eq(self.look_up_sum),
            results.look_up.eq(self.look_up_result),
            self.flaw.eq(sums.flaw | results.flaw),
        ]
        word = self.write_address[exact_log2(width // 8) :]
        for table, chosen in (
            (sums, self.write_address < isa.RESULT_TABLE_OFFSET),
            (results, self.write_address >= isa.RESULT_TABLE_OFFSET),
        ):
            m.d.comb += [
                table.write.eq(self.write & chosen),
                table.write_address.eq(word),
                table.write_data.eq(self.write_data),
            ]
        looked_up = delayed(m, "look_up_sum_delay", self.look_up_sum, self.latency)
        plain = delay_line(m, "plain_sum", self.sum, self.latency, reset_less=True)[-1]
        m.d.comb += [sums.index[:8].eq(self.sum), sums.index[8].eq(self.operand)]
        with m.If(looked_up):
            m.d.comb += self.value.eq(sums.element)
        with m.Else():
            m.d.comb += self.value.eq(plain)

        result_looked_up = delayed(m, "look_up_result_delay", self.look_up_result, self.latency)
        plain_result = delay_line(m, "plain_result", self.result, self.latency, reset_less=True)[-1]
        m.d.comb += results.index.eq(self.result)
        with m.If(result_looked_up):
            m.d.comb += self.out.eq(results.element)
        with m.Else():
            m.d.comb += self.out.eq(plain_result)
        return m
