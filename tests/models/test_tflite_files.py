"""Whole networks in the forms that people's files have, from the file to the RTL: every byte is that of TFLite's
reference kernels."""

from functools import partial

import numpy as np
import pytest
from weft.gen.presets import load_config
from weft.sim.transports import MachineTransport
from weft.sim.verilated import VerilatedNpu
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.compiler.placement import refuse_host_operators
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.tflite.reader import read_tflite

from tests.sw.tflite_cases_networks import BIAS_AXIS, NETWORKS, person_detection
from tests.sw.tflite_record import NETWORKS_REFERENCE, digest, recorded


def compiled(name, make):
    """The network for the preset `large`, and the case it comes from."""
    case = make()
    return compile_model(read_tflite(case.model, name), load_config(preset="large")), case


def check(network, case, wanted, device):
    """All outputs of all samples, one output behind the other as they were recorded."""
    inputs = [
        array.reshape(len(array), *network.tensors[name].shape[1:])
        for array, name in zip(case.inputs, network.inputs, strict=True)
    ]
    outputs = device.run(network, inputs).outputs
    found = np.concatenate([np.frombuffer(outputs[name].tobytes(), np.uint8) for name in network.outputs])
    np.testing.assert_array_equal(found, wanted)
    assert len(np.unique(wanted)) > 100


@pytest.mark.parametrize("name", NETWORKS)
def test_every_byte_equals_the_reference_kernels(name):
    wanted_digest, wanted = recorded(NETWORKS_REFERENCE)[name]
    network, case = compiled(name, NETWORKS[name])
    assert digest(case) == wanted_digest, "the network has changed since it was recorded"
    for device in (MachineTransport(network.config), VerilatedNpu(network.config)):
        check(network, case, wanted, Device(device))


def test_a_bias_whose_axis_it_does_not_have_is_taken_as_it_is():
    network, case = compiled("person detection", partial(person_detection, BIAS_AXIS))
    check(network, case, recorded(NETWORKS_REFERENCE)["person detection"][1], Device(MachineTransport(network.config)))


def test_what_is_on_the_host_has_its_reason_and_is_refused_by_strict():
    network, _ = compiled("keywords", NETWORKS["keywords"])
    notes = {row.op: row.note for row in network.rows if row.where == "host"}
    assert set(notes) == {"Lstm", "SoftmaxInt8"}
    assert all(notes.values())
    with pytest.raises(UserError, match=r"^keywords: Lstm '.*' would run on the host: "):
        refuse_host_operators(network)
    for name in ("person detection", "slopes"):
        refuse_host_operators(compiled(name, NETWORKS[name])[0])
