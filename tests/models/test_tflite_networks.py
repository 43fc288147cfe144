"""Other people's int8 networks, from their files to the RTL: equal to the reference kernels in every byte."""

import numpy as np
import pytest
from weft.gen.presets import load_config
from weft.sim.transports import MachineTransport
from weft.sim.verilated import VerilatedNpu
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.readers import read_model

MODELS = ("hello_world_int8", "ad_autoencoder_int8", "kws_dscnn_int8", "micro_speech_int8", "resnet8_int8")


def samples(shared, name):
    with np.load(shared / "models" / f"{name}.npz") as file:
        return file["in_0"], file["out_0_tflm"]


@pytest.mark.parametrize("preset, on", [("small", "machine"), ("small", "rtl"), ("large", "rtl")])
@pytest.mark.parametrize("name", MODELS)
def test_every_byte_equals_the_reference_kernels(shared, name, preset, on):
    """tflite-runtime 2.14's reference kernels gave the expected outputs of all samples."""
    config = load_config(preset=preset)
    network = compile_model(read_model(shared / "models" / f"{name}.tflite"), config)
    inputs, expected = samples(shared, name)
    device = Device(MachineTransport(config) if on == "machine" else VerilatedNpu(config))
    outputs, _ = device.run(network, [inputs.reshape(len(inputs), *network.tensors[network.inputs[0]].shape[1:])])
    result = outputs[network.outputs[0]]
    assert (result.reshape(len(inputs), -1) == expected.reshape(len(inputs), -1)).all()
