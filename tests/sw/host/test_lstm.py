"""The LSTM of the host against one of real numbers; tests/sw/test_tflite_reference.py has TFLite's own answers."""

from dataclasses import replace

import numpy as np
import pytest
from weft.sw.graph import Lstm
from weft.sw.host.lstm import run_lstm
from weft.sw.tflite.reader import read_tflite

from tests.sw.tflite_cases import CASES


def operator(name):
    graph = read_tflite(CASES[name]().model, name)
    (found,) = (one for one in graph.operators if isinstance(one, Lstm))
    return found, graph.tensors[found.inputs[0]], graph.tensors[found.output]


def factors(pairs):
    pairs = np.asarray(pairs, np.float64)
    return pairs[..., 0] * 2.0 ** (pairs[..., 1] - 31)


def real_lstm(one, x):
    """The same in float64, without rounding; x is (steps, inputs)."""
    logistic = lambda value: 1 / (1 + np.exp(-value))  # noqa: E731 - a formula
    cell, state, made = np.zeros(one.input_bias.shape[1]), np.full(one.recurrent_weights.shape[2], one.zero_point), []
    for step in x.astype(np.float64):
        gates = [
            (one.input_weights[i] @ step + one.input_bias[i]) * factors(one.input_factors[i]) / 4096
            + (one.recurrent_weights[i] @ state + one.recurrent_bias[i]) * factors(one.recurrent_factors[i]) / 4096
            for i in range(4)
        ]
        forget = logistic(gates[1])
        cell = forget * cell + (1 - forget if one.coupled else logistic(gates[0])) * np.tanh(gates[2])
        state = logistic(gates[3]) * np.tanh(cell) * 2.0**30 * factors(one.hidden_factor) + one.hidden_zero_point
        if one.projection.size:
            state = (one.projection @ state + one.projection_bias) * factors(one.projection_factor) + one.zero_point
        state = np.clip(state, -128, 127)
        made.append(state)
    return np.stack(made)


@pytest.mark.parametrize("name", ["LSTM int8", "LSTM long int8", "LSTM coupled gates int8", "LSTM projection int8"])
def test_close_to_real_numbers(name):
    one, source, target = operator(name)
    x = np.random.default_rng(0).integers(-128, 128, (3, *source.shape), dtype=np.int8)
    found = run_lstm(one, x, False)
    assert found.shape == (3, *target.shape)
    # What was rounded comes back amplified, here and there.
    errors = [np.abs(made[0] - real_lstm(one, sample[0])) for sample, made in zip(x, found, strict=True)]
    assert np.median(errors) < 0.6
    assert len(np.unique(found)) > 20


def test_samples_and_batches_are_independent():
    one, source, _ = operator("LSTM int8")
    x = np.random.default_rng(1).integers(-128, 128, (2, 3, *source.shape[1:]), dtype=np.int8)
    together = run_lstm(one, x, False)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(run_lstm(one, x[i : i + 1, j : j + 1], False)[0, 0], together[i, j])


def test_steps_may_come_first():
    one, source, _ = operator("LSTM int8")
    x = np.random.default_rng(2).integers(-128, 128, (2, *source.shape), dtype=np.int8)
    found = run_lstm(one, x.transpose(0, 2, 1, 3), True)
    np.testing.assert_array_equal(found.transpose(0, 2, 1, 3), run_lstm(one, x, False))


def test_limits():
    one, source, _ = operator("LSTM clipped int8")
    x = np.random.default_rng(3).integers(-128, 128, (4, *source.shape), dtype=np.int8)
    found = run_lstm(one, x, False).astype(int)
    assert np.abs(found).max() == one.projection_clip
    free = run_lstm(replace(one, projection_clip=0), x, False).astype(int)
    assert np.abs(free).max() > one.projection_clip
