import random

import pytest
from weft.rtl.link_protocol import ESCAPE, FLAG
from weft.rtl.stuffing import Stuffer, Unstuffer
from weft.sw.serial.frames import stuffed

from tests.rtl.common import simulate
from tests.rtl.ports import STALLS, Channel, Sink, Source, run, stall

FRAMES = [b"", b"plain", bytes([FLAG, ESCAPE, FLAG, 0, ESCAPE]), bytes(range(256))]


@pytest.mark.parametrize("pattern", STALLS)
def test_stuffer(pattern):
    dut = Stuffer()
    source = Source(Channel.of(dut.i, "byte", "begin"), stall(pattern, 1))
    line = bytearray()
    sink = Sink(Channel.of(dut.o), stall(pattern, 2), lambda item, cycle: line.append(item["payload"]))
    expected = b""
    for frame in FRAMES:
        source.put({"byte": FLAG, "begin": 1})
        for byte in frame:
            source.put({"byte": byte, "begin": 0})
        expected += stuffed(frame)
    run(dut, [source, sink], lambda: not source.items, cycles=4000)
    assert bytes(line) == expected


def test_unstuffer_after_noise():
    dut = Unstuffer()
    noise = random.Random(0).randbytes(50) + bytes([ESCAPE])
    frames = []

    async def bench(ctx):
        for byte in noise + b"".join(stuffed(frame) for frame in FRAMES):
            ctx.set(dut.line_valid, 1)
            ctx.set(dut.line, byte)
            if ctx.get(dut.begin):
                frames.append(bytearray())
            if ctx.get(dut.valid) and frames:
                frames[-1].append(ctx.get(dut.byte))
            await ctx.tick()
            ctx.set(dut.line_valid, 0)
            await ctx.tick()

    simulate(dut, bench, cycles=4000)
    assert frames[-len(FRAMES) :] == FRAMES
