"""Elementwise functions, and operators that only move values."""

import numpy as np

from tests.sw.tflite_case import NONE, RELU, RELU6, case


def _binary(m, code, shapes, activation=NONE, constant=None):
    tensors = []
    for index, shape in enumerate(shapes):
        if index == constant:
            tensors.append(m.model.constant(m.values(shape), m.scale(), m.zero()))
        else:
            tensors.append(m.tensor(shape))
    scales = [m.scale_of(tensor) for tensor in tensors]
    scale = scales[0] * scales[1] * 100 if code == "MUL" else sum(scales) * 0.7
    y = m.tensor(np.broadcast_shapes(*shapes), scale)
    options = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[code]
    m.model.add(code, tensors, y, options, version=2, FusedActivationFunction=activation)
    return m.case([tensor for index, tensor in enumerate(tensors) if index != constant], [y])


for _code in ("ADD", "SUB", "MUL"):
    _image = (1, 5, 6, 7)
    case(f"{_code} images", code=_code, shapes=(_image, _image), activation=RELU, unsigned=True)(_binary)
    case(f"{_code} channels", code=_code, shapes=(_image, (1, 1, 1, 7)), unsigned=True)(_binary)
    case(f"{_code} constant image", code=_code, shapes=(_image, _image), constant=1)(_binary)
    case(f"{_code} constant channels", code=_code, shapes=(_image, (7,)), constant=1, activation=RELU6)(_binary)
    case(f"{_code} constant", code=_code, shapes=((1, 7, 30), ()), constant=1, unsigned=True)(_binary)
    case(f"{_code} constant first", code=_code, shapes=((1,), (1, 7, 30)), constant=0)(_binary)


def _unary(m, code, options="", out=None, version=1, slopes=None, **values):
    """All 256 integers."""
    shape = (1, 8, 16, 2)
    a = m.scale()
    x = m.tensor(shape, a)
    scale, zero = out or (a * m.random.uniform(0.4, 1.1), m.zero() - m.low - 128)
    y = m.tensor(shape, scale, zero + m.low + 128)
    inputs = [x]
    if slopes is not None:
        inputs.append(m.model.constant(m.values(slopes), 0.01, m.low + 100))
    m.model.add(code, inputs, y, options, version, **values)
    made = m.case([x], [y], samples=1)
    made.inputs[0][:] = (np.arange(256) + m.low).reshape(shape).astype(m.dtype)
    return made


case("LOGISTIC", code="LOGISTIC", out=(1 / 256, -128), unsigned=True)(_unary)
case("TANH", code="TANH", out=(1 / 128, 0), unsigned=True)(_unary)
case("EXP", code="EXP", options="ExpOptions")(_unary)
case("GELU", code="GELU", options="GeluOptions", unsigned=True)(_unary)
case("GELU by tanh", code="GELU", options="GeluOptions", Approximate=True)(_unary)
case("HARD_SWISH", code="HARD_SWISH", options="HardSwishOptions", unsigned=True)(_unary)
case("LEAKY_RELU", code="LEAKY_RELU", options="LeakyReluOptions", Alpha=0.3, unsigned=True)(_unary)
case("PRELU", code="PRELU", slopes=(1, 1, 1), unsigned=True)(_unary)
case("PRELU channels", code="PRELU", slopes=(1, 1, 2))(_unary)
case("ABS", code="ABS", options="AbsOptions")(_unary)
for _code in ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"):
    case(_code, code=_code, unsigned=True)(_unary)


@case("RELU6 same scale", unsigned=True)
def _relu_same(m):
    x = m.tensor((1, 8, 32), 0.031, m.low + 77)
    y = m.like((1, 8, 32), x)
    m.model.add("RELU6", [x], y)
    return m.case([x], [y])


@case("MAXIMUM and MINIMUM of a constant")
def _bounds(m):
    x = m.tensor((1, 8, 32))
    scale, zero = m.model.tensors[x].scale, m.model.tensors[x].zero_point
    a, y = m.like((1, 8, 32), x), m.like((1, 8, 32), x)
    m.model.add("MAXIMUM", [x, m.model.constant(np.array([-50], np.int8), scale, zero)], a, "MaximumMinimumOptions", 2)
    m.model.add("MINIMUM", [m.model.constant(np.array(60, np.int8), scale, zero), a], y, "MaximumMinimumOptions", 2)
    return m.case([x], [y])


@case("SOFTMAX", unsigned=True)
def _softmax(m):
    x = m.tensor((1, 7, 40), 0.07)
    y = m.tensor((1, 7, 40), 1 / 256, m.low)
    m.model.add("SOFTMAX", [x], y, "SoftmaxOptions", Beta=1.0)
    return m.case([x], [y])


def _concat(m, shapes, axis, same=True, constant=False):
    first = m.tensor(shapes[0])
    tensors = [first]
    for shape in shapes[1:]:
        if constant:
            entry = m.model.tensors[first]
            tensors.append(m.model.constant(m.values(shape), entry.scale, entry.zero_point))
        else:
            tensors.append(m.like(shape, first) if same else m.tensor(shape))
    out = list(shapes[0])
    out[axis] = sum(shape[axis] for shape in shapes)
    y = m.like(tuple(out), first) if same else m.tensor(tuple(out))
    m.model.add("CONCATENATION", tensors, y, "ConcatenationOptions", version=2, Axis=axis)
    return m.case(tensors[:1] if constant else tensors, [y])


case("concat channels", shapes=((1, 3, 4, 2), (1, 3, 4, 5), (1, 3, 4, 1)), axis=-1, unsigned=True)(_concat)
case("concat rows", shapes=((1, 3, 4, 2), (1, 1, 4, 2)), axis=1)(_concat)
case("concat constant", shapes=((1, 3, 4, 2), (1, 3, 4, 3)), axis=3, constant=True)(_concat)
case("concat scales", signed=False, shapes=((1, 3, 4, 2), (1, 3, 4, 5)), axis=3, same=False)(_concat)


@case("PACK and UNPACK")
def _pack(m):
    a = m.tensor((1, 3, 4))
    b, p = m.like((1, 3, 4), a), m.like((1, 3, 2, 4), a)
    parts = [m.like((1, 2, 4), a) for _ in range(3)]
    m.model.add("PACK", [a, b], p, "PackOptions", ValuesCount=2, Axis=2)
    m.model.add("UNPACK", [p], parts, "UnpackOptions", Num=3, Axis=1)
    return m.case([a, b], parts)


@case("SPLIT and SPLIT_V", unsigned=True)
def _split(m):
    x = m.tensor((1, 4, 3, 6))
    halves = [m.like((1, 4, 3, 3), x) for _ in range(2)]
    rows = [m.like((1, n, 3, 3), x) for n in (1, 3)]
    m.model.add("SPLIT", [m.model.constant(np.array(3, np.int32)), x], halves, "SplitOptions", NumSplits=2)
    sizes, axis = m.model.constant(np.array([1, -1], np.int32)), m.model.constant(np.array(1, np.int32))
    m.model.add("SPLIT_V", [halves[1], sizes, axis], rows, "SplitVOptions", version=2, NumSplits=2)
    return m.case([x], [halves[0], *rows])


@case("SLICE", unsigned=True)
def _slice(m):
    x = m.tensor((1, 4, 5, 3))
    y = m.like((1, 2, 4, 3), x)
    begin, size = (m.model.constant(np.array(v, np.int32)) for v in ((0, 1, 1, 0), (1, 2, -1, 3)))
    m.model.add("SLICE", [x, begin, size], y, "SliceOptions")
    return m.case([x], [y])


@case("STRIDED_SLICE")
def _strided_slice(m):
    x = m.tensor((1, 7, 8, 3))
    y = m.like((1, 3, 3), x)
    begin, end, strides = (
        m.model.constant(np.array(v, np.int32)) for v in ((5, 1, -6, 0), (9, -1, 2, -1), (1, 2, 2, 1))
    )
    flat = m.like((1, 3, 2), x)
    m.model.add(
        "STRIDED_SLICE",
        [x, begin, end, strides],
        y,
        "StridedSliceOptions",
        BeginMask=1,
        EndMask=4 + 8,
        ShrinkAxisMask=0,
    )
    m.model.tensors[y].shape = (1, 3, 3, 3)
    again = [m.model.constant(np.array(v, np.int32)) for v in ((0, 0, 1), (1, 3, 2), (1, 1, 1))]
    m.model.add("STRIDED_SLICE", [y, *again], flat, "StridedSliceOptions", ShrinkAxisMask=4)
    m.model.tensors[flat].shape = (1, 3, 3)
    return m.case([x], [y, flat])


def _pad(m, code, value=None):
    x = m.tensor((1, 3, 4, 2))
    y = m.like((1, 6, 5, 3), x)
    inputs = [x, m.model.constant(np.array([[0, 0], [1, 2], [0, 1], [1, 0]], np.int32))]
    if value is not None:
        entry = m.model.tensors[x]
        inputs.append(m.model.constant(np.array([value], m.dtype), entry.scale, entry.zero_point))
    m.model.add(code, inputs, y, "PadV2Options" if value is not None else "PadOptions", version=2)
    return m.case([x], [y])


case("PAD", code="PAD", unsigned=True)(_pad)
case("PADV2", code="PADV2", value=17, unsigned=True)(_pad)


@case("TRANSPOSE and SQUEEZE and EXPAND_DIMS", unsigned=True)
def _transpose(m):
    x = m.tensor((1, 3, 4, 2))
    a, b, y = m.like((1, 2, 3, 4), x), m.like((2, 3, 4), x), m.like((1, 2, 3, 4), x)
    order, axis = m.model.constant(np.array([0, 3, 1, 2], np.int32)), m.model.constant(np.array(0, np.int32))
    m.model.add("TRANSPOSE", [x, order], a, "TransposeOptions", version=2)
    m.model.add("SQUEEZE", [a], b, "SqueezeOptions", SqueezeDims=[0])
    m.model.add("EXPAND_DIMS", [b, axis], y, "ExpandDimsOptions")
    return m.case([x], [y])


@case("SPACE_TO_DEPTH and DEPTH_TO_SPACE")
def _blocks(m):
    x = m.tensor((1, 4, 6, 4))
    a, b = m.like((1, 2, 3, 16), x), m.like((1, 8, 12, 1), x)
    m.model.add("SPACE_TO_DEPTH", [x], a, "SpaceToDepthOptions", BlockSize=2)
    m.model.add("DEPTH_TO_SPACE", [x], b, "DepthToSpaceOptions", BlockSize=2)
    return m.case([x], [a, b])


def _resize(m, code, size, out, corners=False, centers=False):
    x = m.tensor((1, *size))
    y = m.like((1, *out, size[2]), x)
    options = "ResizeBilinearOptions" if code == "RESIZE_BILINEAR" else "ResizeNearestNeighborOptions"
    m.model.add(
        code,
        [x, m.model.constant(np.array(out, np.int32))],
        y,
        options,
        version=3,
        AlignCorners=corners,
        HalfPixelCenters=centers,
    )
    return m.case([x], [y])


for _code in ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"):
    case(f"{_code} doubled", unsigned="NEAREST" in _code, code=_code, size=(3, 4, 2), out=(6, 8))(_resize)
    case(f"{_code} odd", code=_code, size=(5, 7, 2), out=(7, 4))(_resize)
    case(f"{_code} corners", code=_code, size=(5, 7, 2), out=(11, 5), corners=True)(_resize)
    case(f"{_code} centers", code=_code, size=(5, 4, 2), out=(10, 12), centers=True)(_resize)


@case("QUANTIZE to other types")
def _requantize(m):
    x = m.model.tensor((1, 8, 32), 0.031, -5, np.int8)
    a, b = m.model.tensor((1, 8, 32), 0.0127, 9, np.int8), m.model.tensor((1, 8, 32), 0.05, 130, np.uint8)
    y = m.model.tensor((1, 8, 32), 0.031, 100, np.int8)
    m.model.add("QUANTIZE", [x], a, "QuantizeOptions", version=2)
    m.model.add("QUANTIZE", [a], b, "QuantizeOptions", version=2)
    m.model.add("QUANTIZE", [b], y, "QuantizeOptions", version=2)
    return m.case([x], [a, b, y])


@case("float32 around")
def _real(m):
    x = m.model.tensor((1, 4, 16), dtype=np.float32)
    y = m.model.tensor((1, 4, 16), dtype=np.float32)
    a, b = m.tensor((1, 4, 16), 0.0625, -3), m.tensor((1, 4, 16), 1 / 128, 0)
    m.model.add("QUANTIZE", [x], a, "QuantizeOptions")
    m.model.add("TANH", [a], b)
    m.model.add("DEQUANTIZE", [b], y, "DequantizeOptions", version=2)
    made = m.case([x], [y])
    # Ties, which a quantizer may break in two ways.
    made.inputs[0][1] = (np.arange(64).reshape(1, 4, 16) - 31.5) / 16
    return made


@case("shape arithmetic")
def _shapes(m):
    """What Keras makes of a Flatten with an open batch."""
    model = m.model
    x = m.tensor((1, 3, 4, 2))
    numbers = [model.tensor((4,), dtype=np.int32), model.tensor((), dtype=np.int32), model.tensor((2,), dtype=np.int32)]
    ends = [model.constant(np.array([n], np.int32)) for n in (0, 1, 1)]
    y = m.like((1, 24), x)
    model.add("SHAPE", [x], numbers[0], "ShapeOptions", OutType=2)
    model.add("STRIDED_SLICE", [numbers[0], *ends], numbers[1], "StridedSliceOptions", ShrinkAxisMask=1)
    rest = model.constant(np.array(24, np.int32))
    model.add("PACK", [numbers[1], rest], numbers[2], "PackOptions", ValuesCount=2)
    model.add("RESHAPE", [x, numbers[2]], y, "ReshapeOptions")
    return m.case([x], [y])


@case("rows as a batch", unsigned=True)
def _rows(m):
    x, y = m.tensor((5, 12)), m.tensor((5, 12), 1 / 128, m.low + 128)
    m.model.add("TANH", [x], y)
    return m.case([x], [y])


def _lstm(m, size=(6, 5), cells=7, outputs=None, coupled=False, time_major=False, clips=(0.0, 0.0), exponent=-11):
    """(steps, inputs) = `size`; with a projection if there are `outputs`."""
    model, projected = m.model, outputs is not None
    steps, inputs = size
    outputs = outputs if projected else cells
    x = m.tensor((steps, 1, inputs) if time_major else (1, steps, inputs), 1 / 64)
    y = m.tensor((steps, 1, outputs) if time_major else (1, steps, outputs), 1 / 96, m.zero())
    level = model.tensors[y]

    def matrix(rows, columns):
        scale = m.scale(-7, -6)
        return model.constant(m.random.integers(-127, 128, (rows, columns)).astype(np.int8), scale), scale

    gates = [None if coupled and gate == 0 else matrix(cells, inputs) for gate in range(4)]
    recurrent = [None if coupled and gate == 0 else matrix(cells, outputs) for gate in range(4)]
    biases = [
        gate and model.constant(m.random.integers(-3000, 3000, cells).astype(np.int32), gate[1] / 64) for gate in gates
    ]
    names = [gate[0] if gate else -1 for gate in (*gates, *recurrent)]
    hidden = (1 / 128, 5) if projected else (level.scale[0], level.zero_point[0])
    projection = [-1, -1]
    if projected:
        weights, scale = matrix(outputs, cells)
        projection = [weights, model.constant(m.random.integers(-900, 900, outputs).astype(np.int32), scale / 128)]
    states = [
        model.variable((1, outputs), level.scale[0], level.zero_point[0]),
        model.variable((1, cells), 2.0**exponent, dtype=np.int16),
    ]
    between = [model.tensor((1, 1), 2.0**-12, dtype=np.int16) for _ in range(4)] + [model.tensor((1, 1), *hidden)]
    model.add(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [
            x,
            *names,
            -1,
            -1,
            -1,
            *(bias if bias is not None else -1 for bias in biases),
            *projection,
            *states,
            *[-1] * 4,
        ],
        y,
        "UnidirectionalSequenceLSTMOptions",
        intermediates=between,
        FusedActivationFunction=4,
        CellClip=clips[0],
        ProjClip=clips[1],
        TimeMajor=time_major,
    )
    return m.case([x], [y], samples=4)


case("LSTM")(_lstm)
case("LSTM long", size=(30, 12), cells=16, exponent=-12)(_lstm)
case("LSTM steps first", time_major=True, exponent=-10)(_lstm)
case("LSTM coupled gates", coupled=True, cells=9)(_lstm)
case("LSTM projection", outputs=4, cells=9)(_lstm)
case("LSTM clipped", outputs=4, clips=(0.5, 0.3))(_lstm)
