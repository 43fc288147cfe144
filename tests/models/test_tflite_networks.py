"""Other people's int8 networks, from their files to the RTL: equal to the reference kernels in every byte."""

import numpy as np
import pytest
from weft.gen.presets import load_config
from weft.sim.transports import MachineTransport
from weft.sim.verilated import VerilatedNpu
from weft.sw.driver import Device
from weft.sw.model_compiler import compile_model
from weft.sw.readers import read_model

MODELS = {
    "hello_world_int8": 20,
    "ad_autoencoder_int8": 15,
    "kws_dscnn_int8": 15,
    "micro_speech_int8": 5,
    "resnet8_int8": 13,
}
"""And how many of the samples run on the RTL; the functional machine runs all."""


def samples(shared, name):
    with np.load(shared / "models" / f"{name}.npz") as file:
        return file["in_0"], file["out_0_tflm"]


@pytest.mark.parametrize("on", ["machine", "rtl"])
@pytest.mark.parametrize("name", MODELS)
def test_every_byte_equals_the_reference_kernels(shared, name, on):
    """tflite-runtime 2.14's reference kernels gave the expected outputs."""
    config = load_config(preset="small")
    network = compile_model(read_model(shared / "models" / f"{name}.tflite"), config)
    inputs, expected = samples(shared, name)
    count = len(inputs) if on == "machine" else MODELS[name]
    device = Device(MachineTransport(config) if on == "machine" else VerilatedNpu(config))
    outputs, _ = device.run(network, [inputs[:count].reshape(count, *network.tensors[network.inputs[0]].shape[1:])])
    result = outputs[network.outputs[0]]
    assert (result.reshape(count, -1) == expected[:count].reshape(count, -1)).all()
