"""A small legal program, and ways to make each of its instructions illegal."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Combine, Instruction, Mode, Opcode, Space, assemble, instruction
from weft.rtl.registers import Unit
from weft.sim.fuzz import mask, random_parameters

BASES = (0, 0x4000, 0x8000, 0)
MEMORY_BYTES = 0x9000
"""Program and inputs lie below base 2, results behind it."""

LOAD, WEIGHTS, PARAMETERS, CONV, DRAIN, STORE, END = range(7)
"""The places in the program."""

CHANNELS, PIXELS, ROWS, OUTPUTS = 8, 4, 2, 16
"""Of the image and of the convolution."""


class Change(NamedTuple):
    """Fields that one instruction of the program gets."""

    place: int
    fields: Mapping[str, int]


def program(config: Config, place: int | None = None, **changes: int) -> list[Instruction]:
    """A 1x1 convolution of a small image, from memory and back; with changes to one instruction. The configuration has
    columns by which OUTPUTS can be divided."""
    n = OUTPUTS // config.cols
    weight_bytes = n * -(-CHANNELS // config.rows) * config.weight_steps * config.weight_line_bytes
    pitch = PIXELS * CHANNELS
    pixels = {"ox_count": PIXELS, "oy_count": ROWS, "n_count": n, "entry_step": n, "x_step": CHANNELS}
    image = {"y_pitch": pitch, "y_step": 1, "row_bytes": pitch, "height": ROWS}
    kernel = {"run": CHANNELS, "ky_count": 1, "kx_count": 1}
    out = {"rows": ROWS, "pixels": PIXELS, "group": 1, "channels": OUTPUTS, "row_step": PIXELS * n, "group_step": n}
    window = {"height": ROWS, "width": PIXELS, "window_height": 1, "window_width": 1, "y_stride": 1, "x_stride": 1}
    pitches = {"address": 256, "row_pitch": PIXELS * OUTPUTS, "pixel_pitch": OUTPUTS}
    records = {"offset": 0x800, "bytes": 16 * OUTPUTS, "rows": 1}
    given: list[tuple[Opcode, dict[str, int]]] = [
        (Opcode.LOAD, {"base": 1, "bytes": ROWS * pitch, "rows": 1}),
        (Opcode.LOAD, {"base": 1, "space": Space.WEIGHTS.value, "bytes": weight_bytes, "rows": 1}),
        (Opcode.LOAD, {"base": 1, "space": Space.PARAMETERS.value, **records, "signal": mask(Unit.ARRAY, Unit.DRAIN)}),
        (Opcode.CONV, {**pixels, **image, **kernel, "acquire": 1, "commit": 1, "wait": mask(Unit.LOAD)}),
        (
            Opcode.DRAIN,
            {**out, **window, **pitches, "release": 1, "maximum": 9}
            | {"wait": mask(Unit.LOAD), "signal": mask(Unit.STORE)},
        ),
        (Opcode.STORE, {"base": 2, "bytes": 128, "rows": 1, "local": 256, "wait": mask(Unit.DRAIN)}),
        (Opcode.END, {}),
    ]
    if place is not None:
        given[place] = (given[place][0], given[place][1] | changes)
    return [instruction(opcode, tag=index, **values) for index, (opcode, values) in enumerate(given)]


def memory(config: Config, instructions: list[Instruction]) -> NDArray[np.uint8]:
    """The memory that such a program expects, with the program at address 0."""
    found = np.random.default_rng(0).integers(0, 256, MEMORY_BYTES, np.uint8)
    raw = np.frombuffer(assemble(instructions), np.uint8)
    found[: len(raw)] = raw
    records = random_parameters(config, np.random.default_rng(1), OUTPUTS // config.lanes)
    found[BASES[1] + 0x800 :][: len(records)] = records
    return found


def changes(config: Config) -> list[Change]:
    """Changes after which the instruction is illegal, for a configuration with all options of the instruction set:
    first those that the sequencer finds, then those that the units find."""
    return [Change(place, fields) for place, fields in (*_of_the_sequencer(config), *_of_the_units(config))]


def _of_the_sequencer(config: Config) -> Iterator[tuple[int, dict[str, int]]]:
    units = ((LOAD, Unit.LOAD), (CONV, Unit.ARRAY), (DRAIN, Unit.DRAIN), (STORE, Unit.STORE))
    for place, unit in units:
        yield place, {"wait": mask(unit)}
        yield place, {"signal": mask(unit)}
    for place in (LOAD, STORE):
        for name in ("bytes", "rows"):
            yield place, {name: 0}
    for name in ("run", "ky_count", "kx_count", "ox_count", "oy_count", "n_count"):
        yield CONV, {name: 0}
    for name in ("rows", "pixels", "group", "window_height", "window_width", "channels", "y_stride", "x_stride"):
        yield DRAIN, {name: 0}
    yield STORE, {"space": Space.WEIGHTS.value}
    yield CONV, {"weights": 1 << (config.weight_lines - 1).bit_length()}
    yield CONV, {"entry": 1 << config.entry_bits}
    yield CONV, {"n_count": 1 << config.accumulators.bit_length()}
    yield DRAIN, {"parameters": 1 << (config.parameter_lines - 1).bit_length()}
    yield DRAIN, {"channels": 1 << config.parameter_channels.bit_length()}
    yield DRAIN, {"pixel_column_step": 1}
    yield DRAIN, {"pixel_column_step": config.cols}
    yield END, {"wait": mask(Unit.LOAD)}
    yield END, {"signal": mask(Unit.ARRAY)}


def _of_the_units(config: Config) -> Iterator[tuple[int, dict[str, int]]]:
    word, most = config.memory_bytes, config.accumulators
    columns = {"mode": Mode.COLUMNS.value, "run": config.cols, "warmup": 1, "interval": 1}
    yield LOAD, {"bytes": config.scratchpad_bytes + word}
    yield STORE, {"bytes": config.scratchpad_bytes + word}
    yield WEIGHTS, {"local": config.weight_space_bytes - word}
    yield WEIGHTS, {"local": word // 2}
    yield WEIGHTS, {"bytes": 16 * word - word // 2}
    yield WEIGHTS, {"offset": word // 2}
    yield WEIGHTS, {"rows": 2, "step": 16 * word, "local_step": word // 2}
    yield WEIGHTS, {"rows": 2, "step": 0, "local_step": (1 << 24) - word}
    yield WEIGHTS, {"rows": 2, "step": 0, "local": word, "local_step": (1 << 24) - word}
    yield PARAMETERS, {"local": config.parameter_lines * config.parameter_line_bytes - 128}
    yield PARAMETERS, {"space": Space.TABLES.value, "local": 4096}
    yield CONV, {"acquire": 0}
    yield CONV, {"weights": config.weight_lines - 1}
    yield CONV, {"entry": most - 2}
    yield CONV, {"entry_step": 0x8000}
    yield CONV, {"entry_step": most // 4}
    yield CONV, {"n_count": most - 1}
    yield CONV, columns | {"run": config.cols + 1}
    yield CONV, columns | {"interval": 0}
    yield CONV, columns | {"warmup": config.rows, "ox_count": 20}
    yield CONV, columns | {"warmup": PIXELS}
    yield CONV, columns | {"interval": 3}
    yield DRAIN, {"minimum": 10}
    yield DRAIN, {"parameters": config.parameter_lines - OUTPUTS // config.lanes + 1}
    yield DRAIN, {"combine": Combine.MULTIPLY.value}
    yield DRAIN, {"combine": Combine.MULTIPLY.value, "window_height": 2}
