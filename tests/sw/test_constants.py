"""Parameters and tables: resident where they fit, else loaded per layer, never over what is still read."""

import numpy as np
import pytest
from weft.gen.presets import load_config
from weft.rtl.isa import Opcode, Space, disassemble
from weft.sim.transports import MachineTransport
from weft.sw.compiler import compile_graph
from weft.sw.constants import Region
from weft.sw.driver import Device
from weft.sw.errors import UserError

from tests.sw.networks import random_network, residual_network


def loads(program, start):
    return [one for one in disassemble(program.image[start:]) if one.opcode is Opcode.LOAD]


def test_regions_of_a_space_meet_where_they_share_a_byte():
    here = Region(Space.TABLES, 0, bytes(8), 0)
    assert here.meets(Region(Space.TABLES, 7, bytes(1), 1))
    assert not here.meets(Region(Space.TABLES, 8, bytes(1), 1))
    assert not here.meets(Region(Space.PARAMETERS, 0, bytes(8), 1))


def test_parameters_that_fit_are_loaded_once():
    graph = random_network(3)
    program = compile_graph(graph, load_config(preset="small"))
    assert Space.PARAMETERS.value in {one.space for one in loads(program, program.setup)}
    assert Space.PARAMETERS.value not in {one.space for one in loads(program, program.run)}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [random_network, residual_network])
def test_little_room_changes_no_result(make, seed):
    """The same network with parameters for one layer at a time gives the same bytes, in any order of the units."""
    graph = make(seed)
    wide = load_config(preset="small")
    roomy = compile_graph(graph, wide)
    shape = roomy.inputs[0].host_shape
    x = np.random.default_rng(seed).integers(-128, 128, (2, *shape[1:])).astype(roomy.inputs[0].host_dtype)
    expected, _ = Device(MachineTransport(wide)).run(roomy, [x] * len(roomy.inputs))
    for channels in (64, 32, 16):
        narrow = wide.replace(parameter_channels=channels)
        try:
            tight = compile_graph(graph, narrow)
        except UserError:
            continue
        found, _ = Device(MachineTransport(narrow, seed=seed)).run(tight, [x] * len(tight.inputs))
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)


def test_one_layer_with_too_many_channels_is_told():
    with pytest.raises(UserError, match="more than the 2 parameter channels of the configuration"):
        compile_graph(random_network(3), load_config(preset="small").replace(parameter_channels=2))
