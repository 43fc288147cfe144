import re

import numpy as np
import pytest
from weft.gen.presets import PRESETS
from weft.sw.commands import shared as commands_shared
from weft.sw.commands.shared import LENET, configuration, network_of, processors, simulate
from weft.sw.driver import Result
from weft.sw.errors import UserError
from weft.sw.transport import RunReport

from tests.sw.programs import CONFIG, network


def test_without_options_the_configuration_is_small(tmp_path):
    assert configuration(None, None, None) == PRESETS["small"]
    assert configuration(None, None, ["lanes=4"]) == PRESETS["small"].replace(lanes=4)
    assert configuration("large", None, None) == PRESETS["large"]
    (tmp_path / "npu.toml").write_text("rows = 2\n")
    assert configuration(None, tmp_path / "npu.toml", None) == PRESETS["tiny"].replace(rows=2)


def test_a_compiled_program_is_taken_for_its_own_configuration_alone():
    made = network()
    assert network_of(made, None, None, None) is made
    assert network_of(made, "tiny", None, None) is made
    wanted = PRESETS["tiny"].replace(lanes=2)
    sentence = (
        f"the program was compiled for configuration {CONFIG.digest32:08x} (4x4), not for the chosen "
        f"{wanted.digest32:08x} (4x4)"
    )
    with pytest.raises(UserError, match=f"^{re.escape(sentence)}$"):
        network_of(made, "tiny", None, ["lanes=2"])


def test_the_models_are_there():
    assert LENET.is_file()


@pytest.mark.parametrize("samples, share", [(1, 1), (2, 1), (7, 4), (100, 50), (9999, 50)])
def test_samples_are_spread_over_the_processors(monkeypatch, samples, share):
    seen = []

    def run_many(program, inputs, processes, progress, library, share):
        seen.append((len(inputs[0]), processes, library, share))
        return Result({}, RunReport())

    monkeypatch.setattr("weft.sim.transports.run_many", run_many)
    monkeypatch.setattr(commands_shared, "processors", lambda: 2)
    simulate(network(), [np.zeros((samples, 1, 2, 2), np.float32)])
    assert seen == [(samples, 2, None, share)]


def test_there_is_a_processor():
    assert processors() >= 1
