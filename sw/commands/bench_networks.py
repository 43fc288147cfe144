"""Measures whole networks on the simulated RTL, for `weft bench`."""

from pathlib import Path
from typing import TYPE_CHECKING

from .figures_compile import PRESETS, SECONDS, TITLES, Compiled
from .figures_networks import CASES, PARAMETER_CHANNELS, SETUPS, WEIGHT_TILES, Case, Measured, Streamed
from .shared import build_simulation

if TYPE_CHECKING:
    from ..graph import Graph
    from ..program import Program
    from .progress import Steps

LATENCY, BANDWIDTH = 40, 8
"""Of the memory that ResNet-50 runs with: cycles, and bytes per cycle of reads and writes together."""

MEMORY_BYTES = 1 << 27

ROOM = (f"weight_tiles={WEIGHT_TILES}", f"parameter_channels={PARAMETER_CHANNELS}")
"""Settings for the networks whose weights stay on the chip."""


def measure(folder: Path, steps: "Steps") -> list[Measured]:
    """All networks on all arrays; their files are in `folder`.

    Raises
    ------
    UserError
        If a file is missing or not a model.
    """
    graphs = {case.name: _graph(case, folder) for case in CASES}
    return [_measured(case, graphs[case.name], *setup, steps) for setup in SETUPS for case in CASES]


def _graph(case: Case, folder: Path) -> "Graph":
    from ..readers import read_model
    from ..synthetic import NETWORKS

    return NETWORKS[case.name]() if case.name in NETWORKS else read_model(folder / f"{case.name}.tflite")


def _measured(case: Case, graph: "Graph", preset: str, lanes: int, bound: int, steps: "Steps") -> Measured:
    import numpy as np
    from weft.gen.presets import load_config
    from weft.sim.verilated import VerilatedNpu

    from ..compiler.model_compiler import compile_model
    from ..driver import Device
    from ..report import network_rows, total_cycles

    config = load_config(preset, settings=[*ROOM, f"lanes={lanes}"])
    library = build_simulation(config, steps)
    size = f"{config.rows}x{config.cols}"
    with steps.step(f"Measuring {case.title} on {size} with {lanes} lanes"):
        network = compile_model(graph, config)
        tensor = network.tensors[network.inputs[0]]
        x = np.random.default_rng(0).integers(-128, 128, tensor.shape, np.int8)
        report = Device(VerilatedNpu(config, library=library)).run(network, [x.astype(tensor.dtype)]).report
    cycles = total_cycles(report)
    if cycles is None:
        raise RuntimeError("the simulated RTL counted no cycles")
    drains = tuple(count for program in network.programs for count in _drains(program))
    rows = tuple(network_rows(network, report))
    return Measured(case.title, config, rows, cycles, case.bounds[bound], case.most, drains)


def _drains(program: "Program") -> list[int]:
    """Cycles that the drain issues positions, per layer."""
    from weft.rtl.isa import Opcode, disassemble

    from ..cycles.estimate import drain_cycles

    found = {layer.tag: 0 for layer in program.layers}
    for one in disassemble(program.image[program.run :]):
        if one.opcode is Opcode.DRAIN:
            window = one.window_height * one.window_width
            found[one.tag] += drain_cycles(program.config, one.rows * one.pixels, one.channels, window)
    return list(found.values())


def measure_compiler(steps: "Steps") -> list[Compiled]:
    """How long compiling takes, for the memory that ResNet-50 runs with."""
    return [_compiled(name, preset, steps) for name in SECONDS for preset in PRESETS]


def _compiled(name: str, preset: str, steps: "Steps") -> Compiled:
    from time import process_time

    from weft.gen.presets import load_config
    from weft.rtl.isa import INSTRUCTION_BYTES

    from ..compiler.model_compiler import compile_model
    from ..cycles.estimate import Memory
    from ..synthetic import NETWORKS

    config = load_config(preset)
    with steps.step(f"Compiling {TITLES[name]} for {preset}"):
        graph = NETWORKS[name]()
        start = process_time()
        network = compile_model(graph, config, Memory(LATENCY, BANDWIDTH))
        seconds = process_time() - start
    layers = [layer for program in network.programs for layer in program.layers]
    instructions = sum(len(program.image) - program.run for program in network.programs) // INSTRUCTION_BYTES
    return Compiled(name, preset, len(layers), sum(layer.macs for layer in layers), instructions, seconds)


def measure_resnet50(steps: "Steps") -> Streamed:
    """One inference on the RTL and on the functional machine."""
    import numpy as np
    from weft.gen.presets import load_config
    from weft.sim.transports import MachineTransport
    from weft.sim.verilated import MemoryModel, VerilatedNpu

    from ..compiler.model_compiler import compile_model
    from ..cycles.estimate import Memory
    from ..driver import Device
    from ..report import REST, network_rows, total_cycles
    from ..synthetic import resnet50

    config = load_config("large")
    library = build_simulation(config, steps)
    with steps.step("Compiling ResNet-50"):
        network = compile_model(resnet50(), config, Memory(LATENCY, BANDWIDTH))
    x = [np.random.default_rng(0).integers(-128, 128, network.tensors[network.inputs[0]].shape, np.int8)]
    memory = MemoryModel(read_latency=LATENCY, write_latency=LATENCY, bandwidth=BANDWIDTH)
    with steps.step("Running ResNet-50 on the RTL"):
        found, report = Device(VerilatedNpu(config, MEMORY_BYTES, memory, library)).run(network, x)
    with steps.step("Running ResNet-50 on the functional machine"):
        wanted, _ = Device(MachineTransport(config, MEMORY_BYTES)).run(network, x)
    cycles = total_cycles(report)
    if cycles is None:
        raise RuntimeError("the simulated RTL counted no cycles")
    layers = [layer for program in network.programs for layer in program.layers]
    return Streamed(
        config,
        LATENCY,
        BANDWIDTH,
        sum(layer.macs for layer in layers),
        cycles,
        sum(layer.predicted_cycles for layer in layers),
        sum(int((found[name] != wanted[name]).sum()) for name in network.outputs),
        tuple(row for row in network_rows(network, report) if row.name != REST),
    )
