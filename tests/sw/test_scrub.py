"""Every byte that programs can load is written."""

import numpy as np
import pytest
from weft.gen.presets import LARGE, SMALL, TINY
from weft.rtl.config import Config
from weft.sim.machine import Machine
from weft.sw.scrub import scrub_program

ODD = SMALL.replace(parameter_channels=2, lanes=2, memory_width=32, axi_width=32)
"""Its parameters are less than a row."""


@pytest.mark.parametrize("config", [TINY, SMALL, LARGE, ODD], ids=["tiny", "small", "large", "odd"])
def test_all_memories_are_written(config: Config) -> None:
    program = scrub_program(config)
    memory = np.full(1 << 12, 77, np.uint8)
    machine = Machine(config, memory)
    memory[: len(program)] = list(program)
    memory[len(program) :] = 0
    # What the program copies is itself, so that all must differ from what was there.
    locals_ = [machine.scratchpad, machine.weights, machine.parameters]
    for contents in locals_:
        contents[:] = 99
    assert 99 not in memory[:256].view(np.int8)
    machine.run(0, (0, 0, 0, 0))
    for contents in locals_:
        assert not (contents == 99).any()
