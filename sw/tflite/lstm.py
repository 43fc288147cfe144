"""LSTM, from TFLite: UNIDIRECTIONAL_SEQUENCE_LSTM on int8 with an int16 cell state."""

from math import frexp

import numpy as np
from numpy.typing import NDArray

from ..graph import Lstm
from ..host.elementwise import Level
from ..host.fixed_point import factor
from ..host.lstm import INPUT, OUTPUT
from .node import Node

INPUT_WEIGHTS, RECURRENT_WEIGHTS, PEEPHOLE, BIASES = 1, 5, 9, 12
"""Where each group of inputs begins, in the order of the gates; the cell has no peephole weight."""

PROJECTION, PROJECTION_BIAS, OUTPUT_STATE, CELL_STATE, LAYER_NORM = 16, 17, 18, 19, 20

HIDDEN = 4
"""The intermediate tensor that has the scale of the hidden state."""

TANH = 4
"""The schema's number of the fused activation."""

GATE_SCALE = np.float32(2.0**-12)
"""Of a gate before its function."""

Factors = NDArray[np.int64]


def lstm(node: Node) -> None:
    """UNIDIRECTIONAL_SEQUENCE_LSTM on int8, with or without an input gate and a projection; peepholes and layer
    normalization are not supported."""
    source = node.activation()
    node.need(not source.unsigned, "is on uint8, supported is int8")
    node.need(len(source.shape) == 3, f"has an input of shape {source.shape}, supported are three axes")
    node.need(node.inputs in (20, 24), f"has {node.inputs} inputs, expected 24")
    node.need(not any(node.has(index) for index in range(PEEPHOLE, BIASES)), "has peepholes, which are not supported")
    norms = range(LAYER_NORM, node.inputs)
    node.need(not any(node.has(index) for index in norms), "has layer normalization, which is not supported")
    node.need(node.option("FusedActivationFunction") == TANH, "has a fused activation other than TANH")
    coupled = not node.has(INPUT_WEIGHTS)
    cells, outputs = _matrix(node, RECURRENT_WEIGHTS + OUTPUT)[0].shape
    result = node.result((*source.shape[:2], outputs), source)
    state = _state(node, OUTPUT_STATE, "INT8")
    node.need(state.scale > 0 and state.zero_point == result.tensor.zero_point, "has a state unlike its output")
    shape = (cells, source.shape[2]), (cells, outputs)
    gates = [gate for gate in range(4) if not (coupled and gate == INPUT)]
    of_input = _gates(node, gates, INPUT_WEIGHTS, shape[0], source.tensor.scale, source.tensor.zero_point, BIASES)
    recurrent = _gates(node, gates, RECURRENT_WEIGHTS, shape[1], state.scale, state.zero_point, None)
    hidden = _hidden(node)
    projection = _projection(node, outputs, cells, hidden, state)
    cell_exponent = _cell_exponent(node)
    node.add(
        Lstm,
        [source],
        result,
        input_weights=of_input[0],
        input_bias=of_input[1],
        input_factors=of_input[2],
        recurrent_weights=recurrent[0],
        recurrent_bias=recurrent[1],
        recurrent_factors=recurrent[2],
        hidden_factor=_factor(2.0**-30 / hidden.scale),
        hidden_zero_point=hidden.zero_point,
        projection=projection[0],
        projection_bias=projection[1],
        projection_factor=projection[2],
        zero_point=state.zero_point,
        cell_exponent=cell_exponent,
        coupled=coupled,
        cell_clip=_clip(node, "CellClip", 2.0**cell_exponent, 32767),
        projection_clip=_clip(node, "ProjClip", result.tensor.scale, 127),
        time_major=bool(node.option("TimeMajor")),
    )
    node.finish(result)


def _level(node: Node, index: int, kind: str) -> Level:
    """Scale and zero point of a tensor that no other operator reads or makes."""
    entry = node.reader.file.tensor(index)
    node.need(entry.kind == kind and len(entry.scale) == 1, f"has {entry.label}, expected {kind} with one scale")
    scale, zero_point = float(entry.scale[0]), int(entry.zero_point[0]) if len(entry.zero_point) else 0
    limits = np.iinfo(kind.lower())
    node.need(
        0 < scale < np.inf and limits.min <= zero_point <= limits.max,
        f"has {entry.label} with scale {scale} and zero point {zero_point}",
    )
    return Level(scale, zero_point)


def _state(node: Node, index: int, kind: str) -> Level:
    node.need(node.has(index), f"lacks its input {index}")
    entry = node.reader.file.tensor(node.operator.inputs[index])
    node.need(entry.variable and entry.data is None, f"has the state {entry.label}, which is no variable")
    return _level(node, entry.index, kind)


def _cell_exponent(node: Node) -> int:
    state = _state(node, CELL_STATE, "INT16")
    fraction, exponent = frexp(state.scale)
    node.need(
        fraction == 0.5 and -15 <= exponent - 1 <= -9 and state.zero_point == 0,
        f"has a cell state with scale {state.scale}, expected a power of two from 2^-15 to 2^-9",
    )
    return exponent - 1


def _matrix(node: Node, index: int) -> tuple[NDArray[np.int8], float]:
    """Constant int8 weights of two axes, and their scale."""
    value = node.constant(index, "matrix of weights")
    node.need(
        value.array.dtype == np.int8 and value.array.ndim == 2 and len(value.scale) == 1 and not value.zero_point.any(),
        f"has weights of {value.array.dtype} and shape {value.array.shape}, expected int8 matrices with one scale and "
        f"zero point 0",
    )
    scale = float(value.scale[0])
    node.need(0 < scale < np.inf, f"has a weight scale of {scale}")
    return value.array, scale


def _factor(real: float) -> Factors:
    return np.array(factor(real), np.int64)


def _effective(weights: NDArray[np.int8], zero_point: int, bias: NDArray[np.int32] | None) -> NDArray[np.int64]:
    """The bias, with what the zero point adds to all sums."""
    folded: NDArray[np.int64] = -zero_point * weights.astype(np.int64).sum(axis=1)
    return folded if bias is None else folded + bias


def _gates(
    node: Node, gates: list[int], first: int, shape: tuple[int, int], scale: float, zero_point: int, biases: int | None
) -> tuple[NDArray[np.int8], NDArray[np.int64], Factors]:
    """Weights, biases and factors of all gates; zeros for one that there is not."""
    matrices = {gate: _matrix(node, first + gate) for gate in gates}
    for values, _ in matrices.values():
        node.need(values.shape == shape, f"has weights of shape {values.shape}, expected {shape}")
    weights = np.zeros((4, *shape), np.int8)
    bias, factors = np.zeros((4, shape[0]), np.int64), np.zeros((4, 2), np.int64)
    for gate, (values, own) in matrices.items():
        weights[gate] = values
        given = None if biases is None else node.bias(biases + gate, shape[0])
        bias[gate] = _effective(values, zero_point, given)
        # Source: TFLite unidirectional_sequence_lstm.cc, PopulateQuantizedLstmParams8x8_16, in float32.
        factors[gate] = _factor(float(np.float32(own) * np.float32(scale) / GATE_SCALE))
    return weights, bias, factors


def _hidden(node: Node) -> Level:
    intermediates = node.operator.intermediates
    if len(intermediates) <= HIDDEN:
        raise node.error(f"has {len(intermediates)} intermediate tensors, expected {HIDDEN + 1}")
    return _level(node, intermediates[HIDDEN], "INT8")


def _projection(
    node: Node, outputs: int, cells: int, hidden: Level, state: Level
) -> tuple[NDArray[np.int8], NDArray[np.int64], Factors]:
    if not node.has(PROJECTION):
        node.need(outputs == cells, f"has {cells} cells and {outputs} outputs without a projection")
        return np.zeros((0, cells), np.int8), np.zeros(0, np.int64), np.zeros(2, np.int64)
    weights, scale = _matrix(node, PROJECTION)
    node.need(weights.shape == (outputs, cells), f"has a projection of shape {weights.shape}")
    given = node.bias(PROJECTION_BIAS, outputs) if node.has(PROJECTION_BIAS) else None
    real = np.float32(scale) * np.float32(hidden.scale) / np.float32(state.scale)
    return weights, _effective(weights, hidden.zero_point, given), _factor(float(real))


def _clip(node: Node, option: str, scale: float, largest: int) -> int:
    """A limit in units of `scale`, cut off to an integer; 0 for none."""
    limit = float(node.option(option))
    node.need(0 <= limit < np.inf, f"has a {option} of {limit}")
    return int(min(float(np.float32(limit) / np.float32(scale)), largest))
