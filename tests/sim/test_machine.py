"""Programs on the functional machine: a convolution by hand, the order of units, and what is refused."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, Rounding, Space, assemble, instruction
from weft.rtl.registers import Unit
from weft.sim import golden, numerics
from weft.sim.machine import MAX_TOKENS, Machine, MachineError

CONFIG = Config(
    rows=4, cols=4, weight_rows=2, lanes=2, scratchpad_bytes=512, weight_tiles=32, accumulators=64,
    parameter_channels=16,
)  # fmt: skip

LOAD, ARRAY, DRAIN, STORE = (1 << unit for unit in Unit)
PROGRAM, CONSTANTS, INPUT, OUTPUT, MEMORY = 0, 0x1000, 0x2000, 0x3000, 0x4000
BASES = CONSTANTS, INPUT, OUTPUT, 0

PARAMETERS_AT, UNDEFINED_AT = 0x800, 0x900
"""Offsets in the constants, behind the weights."""

LOADED, RESULT = 0, 256
"""Scratchpad addresses."""


def one_pass(**fields):
    """A CONV of one pass and one pixel."""
    counts = dict.fromkeys(("run", "ky_count", "kx_count", "ox_count", "oy_count", "n_count"), 1)
    return instruction(Opcode.CONV, **{**counts, "height": 1, "row_bytes": 1, **fields})


def one_value(**fields):
    """A DRAIN of one value."""
    counts = ("rows", "pixels", "group", "window_height", "window_width", "y_stride", "x_stride", "channels")
    whole = {"height": 1, "width": 1, "minimum": -128, "maximum": 127, "address": RESULT}
    return instruction(Opcode.DRAIN, **{**dict.fromkeys(counts, 1), **whole, **fields})


def load(space=Space.SCRATCHPAD, base=1, count=16, **fields):
    return instruction(Opcode.LOAD, space=space, base=base, **{"bytes": count, "rows": 1, **fields})


def store(**fields):
    return instruction(Opcode.STORE, base=2, **{"local": RESULT, "bytes": 1, "rows": 1, **fields})


def end(**fields):
    return instruction(Opcode.END, **fields)


SETUP = [
    load(count=16),
    load(space=Space.WEIGHTS, base=0, count=16),
    load(space=Space.PARAMETERS, base=0, offset=PARAMETERS_AT, count=32, signal=ARRAY | DRAIN),
]
"""Something everywhere, then a token for the array and one for the drain."""


def machine_with(program, config=CONFIG):
    """A machine with a program in memory, and constants that leave small sums as they are."""
    machine = Machine(config, MEMORY)
    machine.memory[CONSTANTS : CONSTANTS + 16] = 1
    machine.memory[CONSTANTS + PARAMETERS_AT :][:16] = record(0, 1 << 30, 1)
    machine.memory[CONSTANTS + PARAMETERS_AT + 16 :][:16] = record(0, 1 << 30, 1)
    machine.memory[CONSTANTS + UNDEFINED_AT :][:16] = record(0, 1 << 30, 40)
    machine.memory[INPUT : INPUT + 16] = np.arange(16) + 7
    raw = np.frombuffer(assemble(program), np.uint8)
    machine.memory[PROGRAM : PROGRAM + raw.size] = raw
    return machine


def run(program, seed=None, config=CONFIG, observe=None):
    machine = machine_with(program, config)
    machine.run(PROGRAM, BASES, seed, observe)
    return machine


def record(bias, multiplier, shift):
    raw = np.zeros(16, np.uint8)
    raw[0:4] = np.array([bias], "<i4").view(np.uint8)
    raw[4:8] = np.array([multiplier], "<u4").view(np.uint8)
    raw[8] = shift % 256
    return raw


class Convolution:
    """A 3x3 convolution, SAME, of an 8x8 image of 3 channels to 6, and 2x2 max pooling, by hand in two tiles."""

    SIZE, INPUTS, OUTPUTS = 8, 3, 6

    def __init__(self, seed, config=CONFIG):
        self.config = config
        random = np.random.default_rng(seed)
        self.x = random.integers(-128, 128, (1, self.SIZE, self.SIZE, self.INPUTS), dtype=np.int8)
        self.weights = random.integers(-128, 128, (self.OUTPUTS, 3, 3, self.INPUTS), dtype=np.int8)
        self.bias = random.integers(-9000, 9000, self.OUTPUTS).astype(np.int32)
        self.multiplier, self.shift = numerics.quantize_multiplier(random.uniform(0.001, 0.004, self.OUTPUTS))
        self.zero_point, self.out_zero_point = random.integers(-50, 50, 2).tolist()

    def expected(self):
        sums = golden.conv2d(self.x, self.weights, self.zero_point, padding=(1, 1, 1, 1))
        pooled = golden.max_pool2d(sums, (2, 2), (2, 2))
        return golden.requantize(
            pooled, self.bias, self.multiplier, self.shift, Rounding.DOUBLE, self.out_zero_point, -100, 127
        )

    def weight_space(self):
        """The tiles in the order of the passes; row b * S + s of a tile is in bank b of the line of step s."""
        tiles = np.zeros((2, 3, 12, 8), np.int8)  # column tile, kernel row, byte of the run, column
        run = self.weights.reshape(self.OUTPUTS, 3, 9).transpose(1, 2, 0)
        for n in range(2):
            columns = slice(4 * n, min(4 * n + 4, self.OUTPUTS))
            tiles[n, :, :9, : columns.stop - columns.start] = run[:, :, columns]
        rows = tiles[..., :4].reshape(2, 3, 3, self.config.weight_rows, self.config.weight_steps, self.config.cols)
        return rows.swapaxes(3, 4).tobytes()

    def constants(self):
        bias = golden.fold_zero_point(self.bias, self.weights, self.zero_point)
        records = [record(*channel) for channel in zip(bias, self.multiplier, self.shift, strict=True)]
        weights = self.weight_space()
        assert len(weights) <= PARAMETERS_AT
        return weights.ljust(PARAMETERS_AT, b"\0") + b"".join(raw.tobytes() for raw in records)

    def tile(self, number):
        """CONV and DRAIN of image rows 4 * number to 4 * number + 3."""
        pitch = self.SIZE * self.INPUTS
        y0 = 4 * number - 1
        conv = instruction(
            Opcode.CONV, wait=0 if number else LOAD, acquire=1, commit=1, zero_point=self.zero_point,
            address=(LOADED + y0 * pitch) % self.config.scratchpad_bytes, y_pitch=pitch, ky_pitch=pitch,
            row_bytes=pitch, x0=-self.INPUTS, x_step=self.INPUTS, run=9,
            height=self.SIZE, y0=y0, y_step=1, ky_step=1, ky_count=3, kx_count=1,
            ox_count=self.SIZE, oy_count=4, n_count=2, entry=0, entry_step=2, tag=number,
        )  # fmt: skip
        drain = instruction(
            Opcode.DRAIN, wait=0 if number else LOAD, signal=STORE if number else 0, release=1,
            rounding=Rounding.DOUBLE, zero_point=self.out_zero_point, minimum=-100, maximum=127,
            row_step=2 * self.SIZE * 2, group=1, group_step=2 * 2, window_row_step=self.SIZE * 2, window_step=2,
            rows=2, pixels=4, window_height=2, window_width=2, y_stride=2, height=4, x_stride=2, width=self.SIZE,
            channels=self.OUTPUTS, address=RESULT + number * 2 * 4 * self.OUTPUTS,
            row_pitch=4 * self.OUTPUTS, pixel_pitch=self.OUTPUTS, tag=number,
        )  # fmt: skip
        return [conv, drain]

    def program(self):
        weights = len(self.weight_space())
        return [
            load(count=self.x.size),
            load(space=Space.WEIGHTS, base=0, count=weights),
            load(Space.PARAMETERS, 0, 16 * self.OUTPUTS, offset=PARAMETERS_AT, signal=ARRAY | DRAIN),
            *self.tile(0),
            *self.tile(1),
            store(bytes=16 * self.OUTPUTS, wait=DRAIN),
            end(),
        ]

    def run(self, machine, seed=None):
        constants = np.frombuffer(self.constants(), np.uint8)
        program = np.frombuffer(assemble(self.program()), np.uint8)
        machine.memory[PROGRAM : PROGRAM + program.size] = program
        machine.memory[CONSTANTS : CONSTANTS + constants.size] = constants
        machine.memory[INPUT : INPUT + self.x.size] = self.x.reshape(-1).view(np.uint8)
        dispatched = machine.run(PROGRAM, BASES, seed)
        assert dispatched == len(self.program())
        return machine.memory[OUTPUT : OUTPUT + 16 * self.OUTPUTS].view(np.int8).reshape(1, 4, 4, self.OUTPUTS)


@pytest.mark.parametrize("seed", range(6))
def test_a_convolution_with_pooling_equals_golden(seed):
    """The sums in the accumulator are of x * w: the zero point is in the bias, and padding feeds it."""
    convolution = Convolution(seed)
    result = convolution.run(Machine(CONFIG, MEMORY))
    assert (result == convolution.expected()).all()
    assert len(np.unique(result)) > 10


def test_runs_follow_each_other_in_any_order_of_units():
    machine = Machine(CONFIG, MEMORY)
    for seed in range(20):
        convolution = Convolution(seed)
        assert (convolution.run(machine, seed) == convolution.expected()).all()


@pytest.mark.parametrize(
    "changes", [{"weight_rows": 4, "lanes": 1}, {"weight_rows": 1, "lanes": 4}, {"queue_depth": 1}]
)
def test_the_convolution_on_other_configurations(changes):
    config = CONFIG.replace(**changes)
    convolution = Convolution(0, config)
    assert (convolution.run(Machine(config, MEMORY)) == convolution.expected()).all()


def test_units_run_ahead_as_far_as_tokens_let_them():
    """The store waits for the drain and the drain for the array; only the loads' order is free."""
    order = []
    program = [
        *SETUP,
        one_pass(wait=LOAD, acquire=1, commit=1, run=4, row_bytes=4, signal=LOAD),
        load(wait=ARRAY, offset=8, count=4),
        one_value(wait=LOAD, release=1, signal=STORE),
        store(wait=DRAIN),
        end(),
    ]
    machine = run(program, observe=lambda index, one: order.append((index, one.opcode)))
    assert order == [(index, one.opcode) for index, one in enumerate(program[:-1])]
    assert machine.memory[OUTPUT] == 7 + 8 + 9 + 10


def test_a_missing_token_shows_under_some_seed():
    program = [
        *SETUP,
        one_pass(wait=LOAD, acquire=1, commit=1, run=4, row_bytes=4),
        load(offset=8, count=4),
        one_value(wait=LOAD, release=1, signal=STORE),
        store(wait=DRAIN),
        end(),
    ]
    results = {int(run(program, seed).memory[OUTPUT]) for seed in range(20)}
    assert results == {7 + 8 + 9 + 10, 15 + 16 + 17 + 18}


def test_halves_alternate_and_wait():
    """Three tiles and two halves: the third CONV waits until the first DRAIN has freed its half."""
    order = []
    conv = {"acquire": 1, "commit": 1, "run": 4, "row_bytes": 4}
    drains = [one_value(release=1, address=RESULT + tile, wait=0 if tile else LOAD) for tile in range(3)]
    program = [
        *SETUP,
        *(one_pass(**conv, address=tile, wait=0 if tile else LOAD) for tile in range(2)),
        one_pass(**conv, address=2),
        *drains[:2],
        one_value(release=1, address=RESULT + 2, signal=STORE),
        store(bytes=3, wait=DRAIN),
        end(),
    ]
    machine = run(program, config=CONFIG.replace(queue_depth=4), observe=lambda index, _: order.append(index))
    assert order == [0, 1, 2, 3, 4, 6, 5, 7, 8, 9]
    assert machine.memory[OUTPUT : OUTPUT + 3].tolist() == [34, 38, 42]


def test_partial_sums_stay_in_a_half_until_it_is_committed():
    program = [
        *SETUP,
        one_pass(wait=LOAD, acquire=1, run=4, row_bytes=4),
        one_pass(accumulate=1, commit=1, run=4, row_bytes=4, address=4),
        one_value(wait=LOAD),
        one_value(release=1, address=RESULT + 1, signal=STORE),
        store(wait=DRAIN, bytes=2),
        end(),
    ]
    assert run(program).memory[OUTPUT : OUTPUT + 2].tolist() == [sum(range(7, 15))] * 2


def refused(program, index, message, config=CONFIG):
    machine = machine_with(program, config)
    with pytest.raises(MachineError) as error:
        machine.run(PROGRAM, BASES)
    assert str(error.value) == message
    assert error.value.index == index
    machine.reset()


CONV_SETUP = [*SETUP, one_pass(wait=LOAD, acquire=1, commit=1, run=4, row_bytes=4)]
"""Sums in entry 0 of half 0, for the drain."""

REFUSED = {
    "deadlock": (
        [*SETUP, one_pass(wait=LOAD | STORE, acquire=1), one_value(wait=ARRAY), end()],
        3,
        "deadlock: instruction 3 (CONV, tag 0) waits for a token of STORE; "
        "instruction 4 (DRAIN, tag 0) waits for a token of ARRAY",
    ),
    "no committed half": (
        [*SETUP, one_value(wait=LOAD, release=1, tag=9), end()],
        3,
        "deadlock: instruction 3 (DRAIN, tag 9) waits for a committed half",
    ),
    "no free half": (
        [*CONV_SETUP, one_pass(acquire=1, commit=1), one_pass(acquire=1, commit=1), end()],
        5,
        "deadlock: instruction 5 (CONV, tag 0) waits for a free half",
    ),
    "queue too short": (
        [store(wait=LOAD), store(), store(), load(signal=STORE), end()],
        0,
        "deadlock: instruction 0 (STORE, tag 0) waits for a token of LOAD",
    ),
    "half not acquired": (
        [*SETUP, one_pass(wait=LOAD), end()],
        3,
        "instruction 3 (CONV, tag 0): fills a half that was not acquired",
    ),
    "half acquired twice": (
        [*SETUP, one_pass(wait=LOAD, acquire=1), one_pass(acquire=1, tag=5), end()],
        4,
        "instruction 4 (CONV, tag 5): acquires a half while half 0 is not committed",
    ),
    "half left": (
        [*CONV_SETUP, one_value(wait=LOAD), end()],
        5,
        "instruction 5 (END, tag 0): an accumulator half is not released",
    ),
    "tokens left": (
        [load(signal=ARRAY), load(signal=ARRAY | STORE), end()],
        2,
        "instruction 2 (END, tag 0): tokens are left, 2 from LOAD to ARRAY, 1 from LOAD to STORE",
    ),
    "tokens overflow": (
        [*[load(count=1, signal=DRAIN)] * (MAX_TOKENS + 1), end()],
        MAX_TOKENS,
        f"instruction {MAX_TOKENS} (LOAD, tag 0): gives DRAIN one token more than the 63 that can wait",
    ),
    "token to itself": (
        [load(signal=LOAD), end()],
        0,
        "instruction 0 (LOAD, tag 0): a unit neither waits for itself nor signals itself",
    ),
    "END waits": (
        [end(wait=LOAD)],
        0,
        "instruction 0 (END, tag 0): END neither waits nor signals",
    ),
    "sums never made": (
        [*CONV_SETUP, one_value(wait=LOAD, release=1, entry=2, channels=1), end()],
        4,
        "instruction 4 (DRAIN, tag 0): reads entry 2, column 0, which was not overwritten since the acquire",
    ),
    "sums of the tile before": (
        [
            *CONV_SETUP,
            one_value(wait=LOAD, release=1),
            one_pass(acquire=1, commit=1, entry=1),
            one_value(release=1, entry=1),
            one_pass(acquire=1, commit=1, entry=1),
            one_value(release=1),
            end(),
        ],
        8,
        "instruction 8 (DRAIN, tag 0): reads entry 0, column 0, which was not overwritten since the acquire",
    ),
    "sums added to nothing": (
        [*SETUP, one_pass(wait=LOAD, acquire=1, accumulate=1, entry=5), end()],
        3,
        "instruction 3 (CONV, tag 0): adds to entry 5, which was not overwritten since the acquire",
    ),
    "sums of weights never loaded": (
        [*SETUP, one_pass(wait=LOAD, acquire=1, commit=1, weights=1), one_value(wait=LOAD, release=1), end()],
        4,
        "instruction 4 (DRAIN, tag 0): reads entry 0, column 0, which was not overwritten since the acquire",
    ),
    "scratchpad never written": (
        [*SETUP, one_pass(wait=LOAD, acquire=1, address=14, run=4, row_bytes=4), end()],
        3,
        "instruction 3 (CONV, tag 0): reads byte 16 of the scratchpad, which was never written",
    ),
    "store of nothing": (
        [store(), end()],
        0,
        "instruction 0 (STORE, tag 0): reads byte 256 of the scratchpad, which was never written",
    ),
    "parameters never written": (
        [*CONV_SETUP, one_value(wait=LOAD, parameters=1, channels=1), end()],
        4,
        "instruction 4 (DRAIN, tag 0): reads parameter lines 1 to 1, which were not all written",
    ),
    "parameters undefined": (
        [load(Space.PARAMETERS, 0, 32, offset=UNDEFINED_AT, local=32), *CONV_SETUP,
         one_value(wait=LOAD, parameters=1), end()],
        5,
        "instruction 5 (DRAIN, tag 0): parameter lines 1 to 1 hold a multiplier or shift that is not defined",
    ),
    "parameters beyond": (
        [*CONV_SETUP, one_value(wait=LOAD, parameters=7, channels=3), end()],
        4,
        "instruction 4 (DRAIN, tag 0): reads parameter lines up to 8, beyond the 8 there are",
    ),
    "weights beyond": (
        [*SETUP, one_pass(wait=LOAD, acquire=1, weights=61, run=5), end()],
        3,
        "instruction 3 (CONV, tag 0): reads weight lines up to 64, beyond the 64 there are",
    ),
    "entry beyond, CONV": (
        [*SETUP, one_pass(wait=LOAD, acquire=1, ox_count=3, entry_step=32), end()],
        3,
        "instruction 3 (CONV, tag 0): entry 64 is beyond the 64 accumulators",
    ),
    "entry beyond, DRAIN": (
        [*CONV_SETUP, one_value(wait=LOAD, entry=64), end()],
        4,
        "instruction 4 (DRAIN, tag 0): entry 64 is beyond the 64 accumulators",
    ),
    "column step": (
        [*CONV_SETUP, one_value(wait=LOAD, pixel_column_step=3), end()],
        4,
        "instruction 4 (DRAIN, tag 0): pixel_column_step must be a multiple of 2 below 4, not 3",
    ),
    "minimum above maximum": (
        [*CONV_SETUP, one_value(wait=LOAD, minimum=5, maximum=4), end()],
        4,
        "instruction 4 (DRAIN, tag 0): minimum 5 is above maximum 4",
    ),
    "rounding": (
        [*CONV_SETUP, one_value(wait=LOAD, rounding=3), end()],
        4,
        "instruction 4 (DRAIN, tag 0): rounding 3 is not defined",
    ),
    "count of zero": (
        [*SETUP, one_pass(wait=LOAD, acquire=1, kx_count=0), end()],
        3,
        "instruction 3 (CONV, tag 0): kx_count must be at least 1",
    ),
    "store from weights": (
        [store(space=Space.WEIGHTS), end()],
        0,
        "instruction 0 (STORE, tag 0): a STORE takes from the scratchpad only",
    ),
    "memory ends": (
        [load(base=2, offset=0xFFF, count=3), end()],
        0,
        "instruction 0 (LOAD, tag 0): the memory has 16384 bytes, the transfer reaches byte 0x4001",
    ),
    "row longer than the scratchpad": (
        [load(count=513), end()],
        0,
        "instruction 0 (LOAD, tag 0): a row of 513 bytes is longer than the scratchpad",
    ),
    "weights not in words": (
        [load(Space.WEIGHTS, count=8, local=2), end()],
        0,
        "instruction 0 (LOAD, tag 0): in the weight space local must be a multiple of 4, not 2",
    ),
    "weights end": (
        [load(Space.WEIGHTS, count=8, local=508), end()],
        0,
        "instruction 0 (LOAD, tag 0): the rows end beyond the weight space of 512 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name):
    refused(*REFUSED[name])


def test_a_longer_queue_lets_a_program_go_on():
    program = [
        store(wait=LOAD),
        store(),
        store(),
        load(local=RESULT, signal=STORE),
        end(),
    ]
    assert run(program, config=CONFIG.replace(queue_depth=3)).memory[OUTPUT] == 7


def test_an_illegal_instruction_is_named():
    machine = machine_with([load(), end()])
    machine.memory[PROGRAM + 64] = 9
    with pytest.raises(MachineError, match=r"^instruction 1 at 0x40: 9 is not an opcode$"):
        machine.run(PROGRAM, BASES)


def test_a_program_without_end():
    machine = Machine(CONFIG, 128)
    machine.memory[:] = np.frombuffer(assemble([load(count=1)] * 2), np.uint8)
    with pytest.raises(MachineError, match=r"^the program runs off the memory's end$"):
        machine.run(0, (0, 0, 0, 0))


def test_reset_lets_the_next_program_run():
    machine = machine_with([load(signal=ARRAY), end()])
    with pytest.raises(MachineError):
        machine.run(PROGRAM, BASES)
    machine.reset()
    convolution = Convolution(0)
    assert (convolution.run(machine) == convolution.expected()).all()


@pytest.mark.parametrize(
    "program, bases, message",
    [
        (32, BASES, "a program starts at a multiple of 64, not at 0x20"),
        (0, BASES[:3], "there are 4 base addresses, not 3"),
    ],
)
def test_wrong_use(program, bases, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        machine_with([end()]).run(program, bases)


def test_memory_must_be_bytes():
    with pytest.raises(ValueError, match=r"^memory must be one row of uint8, not 2-D int8$"):
        Machine(CONFIG, np.zeros((2, 2), np.int8))
