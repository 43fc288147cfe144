"""The link at its line and at its port. The host is tests.rtl.link_host; the line is a few cycles a bit."""

import random
import struct
from itertools import chain, repeat

import pytest
from weft.rtl.link import Link
from weft.rtl.link_protocol import FLAG, MAX_WORDS, MIN_DIVISOR, Status
from weft.sw.serial.frames import read_request as read
from weft.sw.serial.frames import request, stuffed
from weft.sw.serial.frames import write_request as write

from tests.rtl.common import simulate
from tests.rtl.link_host import answer, register, unstuffed
from tests.rtl.ports import stall
from tests.rtl.test_uart import levels

WORDS = 64


class Bench:
    """A link with a memory of WORDS words and one register behind its port."""

    def __init__(self, divisor=MIN_DIVISOR, pattern="flowing"):
        self.dut = Link(6)
        self.divisor = divisor
        self.pause = stall(pattern, 1)
        self.memory = dict.fromkeys(range(WORDS), 0)
        self.accesses = []

    async def port(self, ctx):
        port = self.dut.port
        while True:
            ready = not self.pause()
            ctx.set(port.ready, ready)
            _, _, valid, write, registers, address, data = await ctx.tick().sample(
                port.valid, port.write, port.registers, port.address, port.write_data
            )
            if not (valid and ready):
                continue
            if write:
                self.accesses.append((registers, address, data))
                self.memory[address % WORDS] = data
            else:
                ctx.set(port.read_data, self.memory[address % WORDS])

    async def send(self, ctx, line):
        for byte in line:
            for level in levels(byte):
                ctx.set(self.dut.receive, level)
                await ctx.tick().repeat(self.divisor)

    async def receive(self, ctx, wait=400):
        """Bytes of the line until it is quiet for `wait` cycles."""
        got = bytearray()
        while True:
            for _ in range(wait):
                await ctx.tick()
                if not ctx.get(self.dut.transmit):
                    break
            else:
                return bytes(got)
            await ctx.tick().repeat(self.divisor + self.divisor // 2)
            byte = 0
            for place in range(8):
                byte |= ctx.get(self.dut.transmit) << place
                await ctx.tick().repeat(self.divisor)
            assert ctx.get(self.dut.transmit), "a byte has no stop bit"
            got.append(byte)

    def run(self, conversation, cycles=60000):
        """Pairs of what is sent and the answer's frame, None for silence."""

        async def bench(ctx):
            ctx.set(self.dut.divisor, self.divisor)
            await ctx.tick()
            for line, expected in conversation:
                await self.send(ctx, line)
                got = await self.receive(ctx)
                assert (unstuffed(got) if got else None) == expected
                assert got == (b"" if expected is None else stuffed(expected))

        simulate(self.dut, bench, cycles=cycles, background=[self.port])
        return self


def words(*values):
    return struct.pack(f"<{len(values)}I", *values)


DATA = words(0x7E7D7E7D, 0x12345678, 0xFFFFFFFF, 0)


@pytest.mark.parametrize("divisor, pattern", [(MIN_DIVISOR, "flowing"), (MIN_DIVISOR, "half"), (9, "flowing")])
def test_writes_and_reads(divisor, pattern):
    bench = Bench(divisor, pattern)
    bench.run(
        [
            (stuffed(read(7, 0, 1)), answer(Status.DONE, 7, words(0))),
            (stuffed(write(8, 20, DATA)), answer(Status.DONE, 8)),
            (stuffed(read(9, 20, 4)), answer(Status.DONE, 9, DATA)),
            (stuffed(read(10, 24, 2)), answer(Status.DONE, 10, DATA[4:12])),
            (stuffed(write(11, register(0x20), words(5))), answer(Status.DONE, 11)),
        ]
    )
    assert bench.accesses[-1] == (1, 8, 5)


def test_longest_payload():
    data = random.Random(0).randbytes(4 * MAX_WORDS)
    bench = Bench()
    bench.run([(stuffed(write(1, 0, data)), answer(Status.DONE, 1))], cycles=80000)
    assert [access[2] for access in bench.accesses] == list(struct.unpack(f"<{MAX_WORDS}I", data))


def test_what_was_done_is_not_done_again():
    one, other = words(1), words(2)
    bench = Bench()
    bench.run(
        [
            (stuffed(write(1, 0, one)), answer(Status.DONE, 1)),
            (stuffed(write(1, 0, one)), answer(Status.DONE, 1)),
            (stuffed(write(2, 0, other)), answer(Status.DONE, 2)),
            (stuffed(read(3, 0, 1)), answer(Status.DONE, 3, other)),
            (stuffed(read(3, 0, 1)), answer(Status.DONE, 3, other)),
            (stuffed(write(3, 0, one)), answer(Status.DONE, 3)),
        ]
    )
    assert bench.accesses == [(0, 0, 1), (0, 0, 2)]


def test_a_damaged_payload_is_asked_for_again():
    good = write(5, 8, words(1, 2))
    damaged = bytearray(good)
    damaged[-6] ^= 0x10
    bench = Bench()
    bench.run(
        [(stuffed(damaged), answer(Status.DAMAGED, 5)), (stuffed(good), answer(Status.DONE, 5))],
    )
    assert bench.accesses[-1] == (0, 3, 2)
    assert (0, 3, 2 ^ 0x1000) not in bench.accesses


@pytest.mark.parametrize("bit", range(0, 96, 19))
def test_a_damaged_header_is_not_heard(bit):
    frame = bytearray(write(5, 8, words(1)))
    frame[bit // 8] ^= 1 << bit % 8
    bench = Bench()
    bench.run([(stuffed(frame), None), (stuffed(write(5, 8, words(1))), answer(Status.DONE, 5))])
    assert bench.accesses == [(0, 2, 1)]


@pytest.mark.parametrize("length", [0, 3, 11, 13, 19])
def test_the_next_frame_is_heard_whatever_was_lost(length):
    frame = write(5, 8, words(7))
    line = stuffed(frame)[:length]
    bench = Bench()
    bench.run([(line + stuffed(frame), answer(Status.DONE, 5))])
    assert bench.accesses == [(0, 2, 7)]


def test_noise_and_flags_are_not_heard():
    noise = bytes(byte for byte in random.Random(3).randbytes(60) if byte != FLAG)
    Bench().run([(noise, None), (bytes([FLAG] * 5), None), (stuffed(read(1, 0, 1)), answer(Status.DONE, 1, words(0)))])


@pytest.mark.parametrize("operation, count", [(0, 1), (0x81, 1), (1, 0), (2, MAX_WORDS + 1), (2, 0x8001)])
def test_what_cannot_be_done_is_refused(operation, count):
    frame = request(operation, 9, count, 0)
    bench = Bench()
    bench.run([(stuffed(frame), answer(Status.REFUSED, 9)), (stuffed(read(1, 0, 1)), answer(Status.DONE, 1, words(0)))])
    assert bench.accesses == []


def test_a_payload_faster_than_the_port_is_damaged():
    bench = Bench()
    pauses = chain([False] * 1200, [True] * 500, repeat(False))  # in the middle of the payload
    bench.pause = lambda: next(pauses)
    data = random.Random(1).randbytes(64)
    bench.run(
        [(stuffed(write(1, 0, data)), answer(Status.DAMAGED, 1)), (stuffed(write(1, 0, data)), answer(Status.DONE, 1))]
    )
    assert struct.pack("<16I", *(bench.memory[index] for index in range(16))) == data
