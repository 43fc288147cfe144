"""The networks of the campaigns."""

import numpy as np
import pytest
from weft.gen.presets import SMALL
from weft.sim.campaigns.workloads import GRAPHS, differs, workload
from weft.sim.transports import MachineTransport
from weft.sw.driver import Device


@pytest.mark.parametrize("name", GRAPHS)
def test_the_machine_gives_the_golden_answer(name):
    one = workload(name, SMALL)
    inputs = one.inputs(np.random.default_rng(0), 2)
    golden = one.golden(inputs)
    outputs = Device(MachineTransport(SMALL, 4 << 20)).run(one.network, inputs).outputs
    assert not differs(outputs, golden)
    first = next(iter(golden))
    assert differs(outputs | {first: outputs[first] + 1}, golden)
    assert workload(name, SMALL) is one


@pytest.mark.parametrize("name", GRAPHS)
def test_most_inputs_have_an_answer_of_their_own(name):
    """Else a campaign would not see that an answer belongs to another inference."""
    one = workload(name, SMALL)
    golden = one.golden(one.inputs(np.random.default_rng(1), 16))
    answers = np.concatenate([value.reshape(16, -1) for value in golden.values()], axis=1)
    assert len(np.unique(answers, axis=0)) >= 12
