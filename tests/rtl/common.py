"""What the tests of the blocks share: NumPy to bits and back, and simulation with a cycle limit."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator
from weft.rtl.registers import BY_NAME


def pack(values: Any, bits: int) -> int:
    """Lanes of `bits` bits as one number, the first (in C order) lowest; negative values in two's complement."""
    word = 0
    for index, value in enumerate(np.asarray(values).ravel().tolist()):
        word |= (value & (1 << bits) - 1) << index * bits
    return word


def unpack(word: int, bits: int, *shape: int, signed: bool = True) -> np.ndarray:
    """The lanes of a number as an int64 array of the given shape, undoing `pack`."""
    mask = (1 << bits) - 1
    lanes = np.array([word >> index * bits & mask for index in range(int(np.prod(shape)))], np.int64)
    if signed:
        lanes -= (lanes >> bits - 1) << bits
    return lanes.reshape(shape)


def wrap32(values: Any) -> np.ndarray:
    """Integers modulo 2^32, as int64 in the range of int32."""
    return np.asarray(values, np.int64).astype(np.uint32).astype(np.int32).astype(np.int64)


def simulate(
    dut: Elaboratable,
    *testbenches: Callable[[Any], Awaitable[None]],
    cycles: int,
    background: Sequence[Callable[[Any], Awaitable[None]]] = (),
) -> None:
    """Run testbenches on the clock domain `sync` until all but those in the background have returned.

    Raises
    ------
    TimeoutError
        When they have not after `cycles` cycles.
    """

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for testbench in background:
        simulator.add_testbench(testbench, background=True)
    for _ in range(2 * cycles):
        if not simulator.advance():
            return
    raise TimeoutError(f"the testbenches did not end within {cycles} cycles")


async def write_register(ctx: Any, port: Any, name: str, value: int) -> None:
    """One write on a register port."""
    ctx.set(port.address, BY_NAME[name].offset)
    ctx.set(port.write_data, value)
    ctx.set(port.write, 1)
    await ctx.tick()
    ctx.set(port.write, 0)


async def read_register(ctx: Any, port: Any, name: str) -> int:
    """One read on a register port."""
    ctx.set(port.address, BY_NAME[name].offset)
    ctx.set(port.read, 1)
    await ctx.tick()
    ctx.set(port.read, 0)
    return ctx.get(port.read_data)
