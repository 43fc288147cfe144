"""TFLite's LSTM on int8, with an int16 cell state: the reference kernel's arithmetic, sequence by sequence.

Source: TFLite lstm_eval.cc, EvalInteger8x8_16, and portable_tensor_utils.cc. Every sequence starts with a cell state of
zero and an output of its zero point, as in an interpreter whose variables were just reset.
"""

import numpy as np
from numpy.typing import NDArray

from ..graph import Lstm
from .fixed_point import divide_by_power, scaled
from .fixed_point16 import logistic, saturated, tanh

Integers = NDArray[np.int64]

INPUT, FORGET, CELL, OUTPUT = range(4)
"""The order of the gates."""


def _scaled(x: Integers, factor: NDArray[np.int64]) -> Integers:
    """x times multiplier * 2^(shift - 31)."""
    multiplier, shift = factor.tolist()
    return scaled(x, multiplier, shift)


def _gate(operator: Lstm, gate: int, x: Integers, state: Integers) -> Integers:
    """A gate before its function: int16 with 3 integer bits."""
    total = _scaled(
        x @ operator.input_weights[gate].astype(np.int64).T + operator.input_bias[gate], operator.input_factors[gate]
    )
    recurrent = state @ operator.recurrent_weights[gate].astype(np.int64).T + operator.recurrent_bias[gate]
    return saturated(saturated(total) + _scaled(recurrent, operator.recurrent_factors[gate]))


def _step(operator: Lstm, x: Integers, state: Integers, cell: Integers) -> tuple[Integers, Integers]:
    """Output and cell state after one step."""
    forget = logistic(_gate(operator, FORGET, x, state))
    update = tanh(_gate(operator, CELL, x, state), 3)
    write = 32767 - forget if operator.coupled else logistic(_gate(operator, INPUT, x, state))
    kept = divide_by_power(forget * cell, 15).astype(np.int16).astype(np.int64)
    written = divide_by_power(write * update, 30 + operator.cell_exponent).astype(np.int16).astype(np.int64)
    cell = saturated(kept + written)
    if operator.cell_clip:
        cell = np.minimum(np.maximum(cell, -operator.cell_clip), operator.cell_clip)
    shown = logistic(_gate(operator, OUTPUT, x, state)) * tanh(cell, 15 + operator.cell_exponent)
    hidden = _int8(_scaled(shown, operator.hidden_factor) + operator.hidden_zero_point)
    if not operator.projection.size:
        return hidden, cell
    projected = hidden @ operator.projection.astype(np.int64).T + operator.projection_bias
    made = _int8(_scaled(projected, operator.projection_factor) + operator.zero_point)
    if operator.projection_clip:
        made = np.minimum(np.maximum(made, -operator.projection_clip), operator.projection_clip)
    return made, cell


def _int8(x: Integers) -> Integers:
    return np.minimum(np.maximum(x, -128), 127)


def run_lstm(operator: Lstm, x: NDArray[np.int8], time_major: bool) -> NDArray[np.int8]:
    """(N, batch, steps, outputs) of (N, batch, steps, inputs), or with the steps before the batch."""
    sequences = np.moveaxis(x.astype(np.int64), 1 if time_major else 2, 0)
    outputs, cells = operator.recurrent_weights.shape[2], operator.input_weights.shape[1]
    state = np.full((*sequences.shape[1:3], outputs), operator.zero_point, np.int64)
    cell = np.zeros((*sequences.shape[1:3], cells), np.int64)
    made = []
    for step in sequences:
        state, cell = _step(operator, step, state, cell)
        made.append(state.astype(np.int8))
    return np.moveaxis(np.stack(made), 0, 1 if time_major else 2)
