"""The accumulator: two halves of int32 sums; one collects what the array delivers while the other is drained."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from .config import Config
from .delay import delay_line
from .protected import enable, flaws, memory_of_words


def _group_bits(config: Config) -> int:
    return max(1, (config.cols // config.lanes - 1).bit_length())


def slot_layout(config: Config) -> data.StructLayout:
    """With `compact`: a read by the drain, in place of a row of sums, of one column of `entry` of `half`; and the place
    of that sum in its window."""
    return data.StructLayout(
        {
            "valid": 1,
            "entry": unsigned(config.entry_bits),
            "half": 1,
            "column": unsigned(_group_bits(config)),
            "first": 1,
            "last": 1,
            "inside": 1,
        }
    )


def control_layout(config: Config) -> data.StructLayout:
    """What is done with a row of sums: added to `entry` of `half`, or put there (`overwrite`). `commit` marks the last
    row of a half. Without `valid` the others mean nothing."""
    return data.StructLayout(
        {
            "valid": 1,
            "entry": unsigned(config.entry_bits),
            "overwrite": 1,
            "half": 1,
            "commit": 1,
            **({"slot": slot_layout(config)} if config.compact else {}),
        }
    )


def drain_read_layout(config: Config) -> data.StructLayout:
    """A read of the columns group * L to group * L + L - 1 of an entry."""
    return data.StructLayout(
        {
            "enable": 1,
            "half": 1,
            "entry": unsigned(config.entry_bits),
            "group": unsigned(_group_bits(config)),
        }
    )


def control_lead(config: Config) -> int:
    """Cycles that a row's control comes before its sums[0]: those of the memory, and a register behind it but with
    `compact`."""
    return config.memory_latency if config.compact else config.memory_latency + 1


def read_latency(config: Config) -> int:
    """Cycles from a read of the drain to its sums: those of the memory, and the register behind the columns' choice."""
    return config.memory_latency + 1


def commit_latency(config: Config) -> int:
    """Cycles from sums[0] of the row with `commit` to the pulse of `committed`: C - 1 of skew, and the write."""
    return 1 if config.compact else config.cols


class Accumulator(Component):
    """Per column and half a memory of `accumulators` sums; additions wrap modulo 2^32.

    A column reads the entry's memory, registers the word, adds and writes. Reading starts before the sum arrives, so
    that only the last of these adds to the latency: `control` comes `control_lead` cycles before its sums. As many rows
    that came just before are not yet to be seen in memory; where one of them went to the same entry, the adder gets its
    newest sum instead. So any sequence of entries is exact.

    Members
    -------
    control : control_layout; the row whose sums[0] is valid `control_lead` cycles later.
    sums : C x signed(32); column c is valid c cycles after column 0.
    committed : one pulse, `commit_latency` cycles after sums[0] of the row with `commit`. A drain read in the cycle of
        the pulse sees all sums.
    read : drain_read_layout, in any cycle; not from the half that is being accumulated.
    read_data : L x signed(32), `read_latency` cycles after `read`.
    flaw : a sum that was read is not as it was written (with config.protection).
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.control_lead = control_lead(config)
        self.read_latency = read_latency(config)
        self.commit_latency = commit_latency(config)
        super().__init__(
            {
                "control": In(control_layout(config)),
                "sums": In(data.ArrayLayout(signed(32), config.cols)),
                "committed": Out(1),
                "read": In(drain_read_layout(config)),
                "read_data": Out(data.ArrayLayout(signed(32), config.lanes)),
                "flaw": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        cols, lanes = config.cols, config.lanes

        # What all columns do, one after the other: column c reads with steps[c], has the word with steps[c + latency],
        # and adds with steps[c + lead].
        latency, lead = config.memory_latency, self.control_lead
        step = Signal(
            data.StructLayout(
                {
                    "entry": unsigned(config.entry_bits),
                    "half": 1,
                    "overwrite": 1,
                    "same": unsigned(lead),  # bit i: the row i + 1 before went to the same entry
                }
            )
        )
        steps = delay_line(m, "step", step, cols - 1 + lead, reset_less=True)
        valid = delay_line(m, "valid", self.control.valid, cols - 1 + lead)
        commit = delay_line(m, "commit", self.control.valid & self.control.commit, cols + lead)

        def same(rows_before: int) -> Signal:
            earlier = steps[rows_before]
            return valid[rows_before] & (earlier.entry == step.entry) & (earlier.half == step.half)

        m.d.comb += [
            step.entry.eq(self.control.entry),
            step.half.eq(self.control.half),
            step.overwrite.eq(self.control.overwrite),
            step.same[0].eq(same(1) & ~self.control.overwrite),
            step.same[1:].eq(Cat(same(rows) for rows in range(2, lead + 1))),
            self.committed.eq(commit[cols + lead]),
        ]

        chosen = delay_line(m, "chosen", self.read, latency, reset_less=True)[-1]
        drained = []
        memories = []
        for col in range(cols):
            fetch, keep, add = steps[col], steps[col + latency], steps[col + lead]
            drain = Signal(name=f"drain_{col}")
            m.d.comb += drain.eq(self.read.enable & (self.read.group == col // lanes))
            old = Signal(32, name=f"old_{col}", reset_less=True)
            new = Signal(32, name=f"new_{col}")
            words = []
            for half in range(2):
                memory = memory_of_words(config.protection, 32, config.accumulators, latency)
                memories.append(memory)
                m.submodules[f"memory_{col}_{half}"] = memory
                words.append(memory.read.data)
                fetches = Signal(name=f"fetches_{col}_{half}")
                # What is overwritten, or newer than memory has it, is not to be judged.
                read = fetches & ~fetch.overwrite & (fetch.same == 0) if config.protection else fetches
                m.d.comb += [
                    fetches.eq(valid[col] & (fetch.half == half)),
                    memory.read.address.eq(Mux(fetches, fetch.entry, self.read.entry)),
                    memory.read.enable.eq(read | drain & (self.read.half == half)),
                    memory.write.address.eq(add.entry),
                    memory.write.data.eq(new),
                    memory.write.enable.eq(enable(memory, valid[col + lead] & (add.half == half))),
                ]
            # The sum of i rows before the one that is added now.
            newest = delay_line(m, f"newest_{col}", new, lead - 1, reset_less=True)
            word = Mux(keep.half, words[1], words[0])
            for rows in reversed(range(1, lead)):
                word = Mux(keep.same[rows], newest[rows], word)
            m.d.sync += old.eq(Mux(keep.overwrite, 0, word))
            m.d.comb += new.eq(Mux(add.same[0], newest[1], old) + self.sums[col])
            drained.append(Mux(chosen.half, words[1], words[0]))

        m.d.comb += self.flaw.eq(flaws(m, config, memories))

        with m.Switch(chosen.group):
            for group in range(cols // lanes):
                with m.Case(group):
                    m.d.sync += [self.read_data[lane].eq(drained[group * lanes + lane]) for lane in range(lanes)]
        return m
