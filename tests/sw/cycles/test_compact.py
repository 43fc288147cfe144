"""Cycles of compact NPUs, predicted against the compiled RTL: within 2 % or 8 cycles per layer."""

from pathlib import Path

import numpy as np
import pytest
from weft.gen.presets import NANO
from weft.rtl.compact_dma import CompactTransferUnit
from weft.rtl.compact_requantize import CompactRequantize
from weft.rtl.isa import Opcode, instruction
from weft.rtl.registers import Unit
from weft.sim.transports import MachineTransport
from weft.sim.verilated import VerilatedNpu
from weft.sw.compiler import compiler
from weft.sw.compiler.compiler import compile_graph
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.cycles.compact import STORE_WORD, compact_timeline
from weft.sw.cycles.estimate import COMPACT_CYCLES, USUAL_MEMORY
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import device_part

LENET = Path(__file__).parents[3] / "sw" / "models" / "lenet5.onnx"

MOST_CYCLES = 60_000
"""LeNet-5 on `nano`, from start to done."""


def test_lenet_on_nano():
    """Every logit equals the machine's, each layer takes as long as predicted, and all of it few enough cycles."""
    network = compile_model(read_onnx(LENET), NANO)
    x = np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32)
    npu = VerilatedNpu(NANO)
    result = Device(npu).run(network, x)
    for key, wanted in Device(MachineTransport(NANO)).run(network, x).outputs.items():
        np.testing.assert_array_equal(result.outputs[key], wanted)
    assert max(result.report.cycles) <= MOST_CYCLES
    trace = result.report.trace
    before = 0
    for layer in network.layers:
        done = int(trace.completed[trace.tags.index(layer.tag)][Unit.DRAIN])
        measured, before = done - before, done
        assert abs(layer.predicted_cycles - measured) <= max(8, 0.02 * measured), (layer, measured)
    npu.close()


def test_latencies_are_those_of_the_hardware():
    assert COMPACT_CYCLES == CompactRequantize.CYCLES
    assert STORE_WORD == CompactTransferUnit.WORD_CYCLES


def test_loads_and_stores_wait_for_each_other():
    load = instruction(Opcode.LOAD, base=1, bytes=100, rows=1)
    store = instruction(Opcode.STORE, base=2, bytes=100, rows=1)
    conv = instruction(Opcode.CONV, run=4, ky_count=1, kx_count=1, ox_count=1, oy_count=1, n_count=1)
    first, second, third = compact_timeline(NANO, [load, store, conv], USUAL_MEMORY)
    assert first.done < second.accepted < third.accepted < second.done


def test_numbers_that_are_too_large_are_said(monkeypatch):
    monkeypatch.setattr(compiler, "misfit", lambda config, one: f"tag must not be {one.tag}")
    with pytest.raises(UserError, match="does not fit into a compact NPU: LOAD: tag must not be 0"):
        compile_graph(device_part(read_onnx(LENET)), NANO)
