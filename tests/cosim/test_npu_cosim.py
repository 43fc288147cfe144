"""The pytest half: whole NPUs behind AXI on two simulators. bench_npu.py has the tests proper; the programs for them,
and what memory holds afterwards by the golden models, are made here."""

from functools import cache

import numpy as np
import pytest
from weft.gen.verilog import to_verilog
from weft.rtl import isa
from weft.rtl.config import Config
from weft.rtl.isa import Opcode
from weft.rtl.npu import Npu
from weft.sim.fuzz import REGION, random_program
from weft.sim.machine import Machine
from weft.sw.compiler.compiler import compile_graph
from weft.sw.graph import MaxPool2D

from tests.sw.networks import Builder, evaluate

from .cases import runs, simulate

TOP = "npu"

_SIZES = {"address_width": 16, "scratchpad_bytes": 512, "weight_tiles": 256, "accumulators": 32}

CONFIGS = {
    "4x4": Config(rows=4, cols=4, parameter_channels=64, axi_outstanding=2, **_SIZES),
    "3x6": Config(
        rows=3,
        cols=6,
        weight_rows=3,
        lanes=2,
        parameter_channels=80,
        depthwise=True,
        tables=True,
        memory_width=64,
        axi_width=128,
        axi_burst=4,
        **_SIZES,
    ),
}

TESTS = {"inferences", "random_program", "errors"}

MEMORY = 1 << 16
SAMPLES = 2


@cache
def verilog(config):
    return to_verilog(Npu(config), TOP, config)


def placed(memory, random, *parts):
    """Put pieces of bytes behind each other at random distances, the first at 0; returns their addresses."""
    addresses, end = [], 0
    for part in parts:
        addresses.append(end)
        memory[end : end + len(part)] = part
        end += len(part) + int(random.integers(200))
    assert end <= MEMORY
    return addresses


def network(config, random):
    """A convolution of 3 x 3 with SAME padding and max pooling, and a matrix product: SAMPLES inferences."""
    build = Builder(random)
    shape = (1, 6, 5, 2)
    x = build.input(shape)
    pooled = build.pool(MaxPool2D, build.conv(x, 6, (3, 3), padding=(1, 1, 1, 1)), (2, 2), (2, 2))
    graph = build.graph(pooled, build.fully_connected(build.flatten(pooled), 7))
    program = compile_graph(graph, config)
    inputs = random.integers(-128, 128, (SAMPLES, *shape), np.int8)

    before = random.integers(0, 256, MEMORY, np.uint8)
    image = np.frombuffer(program.image, np.uint8)
    sources = [sample.view(np.uint8).reshape(-1) for sample in inputs]
    targets = [random.integers(0, 256, program.output_bytes, np.uint8) for _ in inputs]
    addresses = placed(before, random, image, *sources, *targets)
    bases = [(0, addresses[1 + index], addresses[1 + SAMPLES + index], 0) for index in range(SAMPLES)]
    after = [before]
    for sample, (_, _, target, _) in zip(inputs, bases, strict=True):
        after.append(after[-1].copy())
        for port, result in zip(program.outputs, evaluate(graph, sample), strict=True):
            start = target + port.offset
            after[-1][start : start + port.bytes] = result.view(np.uint8).reshape(-1)

    def entry(address):
        return address, len(isa.disassemble(program.image[address:]))

    return {
        "network_before": before,
        "network_after": after[1:],
        "network_bases": bases,
        "setup": entry(program.setup),
        "run": entry(program.run),
        "passes": sum(layer.passes for layer in program.layers),
    }


def fuzz(config, seed, random):
    """A random program in a small memory, and that memory as the functional machine leaves it."""
    program = random_program(config, seed, tiles=3)
    loads = [one for one in program.program if one.opcode is Opcode.LOAD]
    data = max(one.offset + (one.rows - 1) * one.step + one.bytes for one in loads)
    before = random.integers(0, 256, MEMORY, np.uint8)
    code = np.frombuffer(isa.assemble(program.program), np.uint8)
    # What is loaded into the weight store must be whole words of the memory port.
    code = np.pad(code, (0, int(random.integers(100)) * config.memory_bytes))
    contents = np.concatenate([code, program.memory[REGION : REGION + data]])
    results = random.integers(0, 256, program.results, np.uint8)
    _, target = placed(before, random, contents, results)
    bases = (0, len(code), target, 0)
    machine = Machine(config, before.copy())
    count = machine.run(0, bases)
    return {
        "program_before": before,
        "program_after": machine.memory,
        "program_bases": bases,
        "program_instructions": count,
    }


@cache
def case(config, seed):
    """Everything that bench_npu.py finds in its file."""
    random = np.random.default_rng(seed)
    return network(config, random) | fuzz(config, seed, random)


@pytest.mark.parametrize("name, seed, stalls, simulator", runs(CONFIGS, "verilator"))
def test_npu(name, seed, stalls, simulator, tmp_path):
    config = CONFIGS[name]
    file = tmp_path / "case.npz"
    np.savez(file, **case(config, seed))
    run = seed, stalls, simulator
    assert simulate(verilog(config), TOP, "bench_npu", config, run, tmp_path, {"WEFT_CASE": str(file)}) == TESTS
