"""Errors on the compiled RTL; what programs compute there is in tests/sim/test_fuzz.py."""

import numpy as np
import pytest
from weft.rtl.isa import Opcode, Space, assemble, instruction
from weft.rtl.registers import ErrorCause, Unit
from weft.sw.transport import DeviceError, Job

from tests.configurations import COMPACT, CONFIGURATIONS, device

END = instruction(Opcode.END)


def run(program, limit=20_000):
    npu = device("compact")
    npu.reset()
    raw = np.frombuffer(assemble(program) if isinstance(program, list) else program, np.uint8)
    npu.write(0, np.zeros(4096, np.uint8))
    npu.write(0, raw)
    npu.run(Job(0, (0, 4096, 8192, 0), cycle_limit=limit))
    return npu


@pytest.mark.parametrize("space", [Space.SCRATCHPAD, Space.WEIGHTS, Space.PARAMETERS])
def test_memory_that_is_not_there_ends_the_run(space):
    far = instruction(Opcode.LOAD, space=space, offset=0xF000_0000, bytes=16, rows=1)
    with pytest.raises(DeviceError, match=r"no memory|decode|read"):
        run([far, END])
    npu = device("compact")
    assert npu.read_register("ERROR") & 0xFF == ErrorCause.READ_DECODE_ERROR
    assert npu.read_register("ERROR") >> 8 == Unit.LOAD
    assert npu.read_register("ERROR_ADDRESS") == npu.read_register("INSTRUCTIONS") == 0


def test_an_unknown_opcode_ends_the_run():
    with pytest.raises(DeviceError):
        run(bytes(64))
    assert device("compact").read_register("ERROR") & 0xFF == ErrorCause.ILLEGAL_INSTRUCTION


def test_loads_and_stores_take_turns_and_any_alignment():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, 400, np.uint8)
    store = Opcode.STORE
    program = [
        instruction(Opcode.LOAD, base=1, offset=3, step=100, local=5, local_step=40, bytes=33, rows=4),
        instruction(store, base=2, offset=1, step=50, local=5, local_step=40, bytes=33, rows=4),
        instruction(Opcode.LOAD, base=1, offset=0, local=16380, bytes=9, rows=1),
        instruction(store, base=2, offset=301, local=16380, bytes=9, rows=1),
        END,
    ]
    npu = device("compact")
    npu.write(4096, image)
    npu.write(8192, np.zeros(512, np.uint8))
    npu = run(program)
    found = npu.read(8192, 512)
    for row in range(4):
        assert (found[1 + 50 * row :][:33] == image[3 + 100 * row :][:33]).all()
    assert (found[301:310] == image[:9]).all()
    assert not found[310:].any()


def test_tokens_are_fewer():
    assert COMPACT["compact"].token_bits < CONFIGURATIONS["8x8"].token_bits
    give = instruction(Opcode.LOAD, signal=1 << Unit.DRAIN, base=1, bytes=2, rows=1)
    with pytest.raises(DeviceError, match="token"):
        run([give] * 17 + [END])
    assert device("compact").read_register("ERROR") & 0xFF == ErrorCause.TOKEN_OVERFLOW
