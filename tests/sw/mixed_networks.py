"""Random graphs whose operators run here and there: some only on the device's side, some only on the host's."""

import numpy as np
from weft.sw.graph import (
    Add,
    Clamp,
    Concat,
    Constant,
    Dequantize,
    Lookup,
    MaxPool2D,
    Multiply,
    OffsetBinary,
    Quantize,
    Reshape,
    Slice,
    Softmax,
    SoftmaxInt8,
    Tensor,
    Transpose,
)

from tests.sw.networks import Builder
from tests.sw.tflite_case import Maker


def append(build, kind, inputs, target, **values):
    """An operator of any number of inputs; its result."""
    build.operators.append(kind(f"{kind.__name__.lower()}{len(build.operators)}", tuple(inputs), target, **values))
    return target


def _softmax(build, x):
    name = f"t{len(build.tensors)}"
    build.tensors[name] = Tensor(name, build.tensors[x].shape, "int8", 1 / 256, -128)
    return append(build, SoftmaxInt8, [x], name, beta=1.0)


def _through_floats(build, x):
    shape = build.tensors[x].shape
    real = append(build, Dequantize, [x], build.tensor(shape, dtype="float32"))
    if build.random.random() < 0.5:
        real = append(build, Softmax, [real], build.tensor(shape, dtype="float32"), axis=-1)
    return append(build, Quantize, [real], build.tensor(shape), rounding=build.rounding)


def _transpose(build, x):
    shape = build.tensors[x].shape
    permutation = (0, *(build.random.permutation(len(shape) - 1) + 1).tolist())
    return append(
        build,
        Transpose,
        [x],
        build.tensor(tuple(shape[axis] for axis in permutation), like=x),
        permutation=permutation,
    )


def _product(build, x, others):
    shape = build.tensors[x].shape
    equal = [one for one in others if build.tensors[one].shape == shape]
    other = str(build.random.choice(equal)) if equal else x
    return append(build, Multiply, [x, other], build.tensor(shape), rounding=build.rounding, **build.limits())


def _constant_sum(build, x):
    shape = build.tensors[x].shape
    own = shape if build.random.random() < 0.5 else shape[-1:]
    constant = build.tensor(own)
    value = build.random.integers(-128, 128, own, dtype=np.int8)
    append(build, Constant, [], constant, value=value)
    y = append(build, Add, [x, constant], build.tensor(shape), rounding=build.rounding)
    if build.random.random() < 0.4 and own == shape:  # another reader
        y = append(build, Multiply, [constant, y], build.tensor(shape), rounding=build.rounding)
    return y


def _device(build, x):
    random = build.random
    _, height, width, channels = build.tensors[x].shape
    choice = random.random()
    if choice < 0.4:
        return build.conv(x, int(random.integers(1, 9)), (3, 3), padding=(1, 1, 1, 1), **build.limits())
    if choice < 0.55 and min(height, width) > 3:
        return build.pool(MaxPool2D, x, (2, 2), (2, 2))
    if choice < 0.7:
        return build.add(Clamp, x, build.tensors[x].shape, same_scale=True, minimum=-90, maximum=80)
    if choice < 0.85:
        flat = build.fully_connected(build.flatten(x), height * width * channels)
        return build.add(Reshape, flat, (1, height, width, channels), same_scale=True)
    return build.add(Lookup, x, build.tensors[x].shape, table=random.integers(-128, 128, 256, dtype=np.int8))


def _moved(build, x):
    shape = build.tensors[x].shape
    if build.random.random() < 0.5 and shape[-1] < 9:
        target = build.tensor((*shape[:-1], 2 * shape[-1]), like=x)
        return append(build, Concat, [x, x], target, axis=3)
    start = (0, *(int(build.random.integers(0, n)) for n in shape[1:]))
    kept = tuple(n - first for n, first in zip(shape, start, strict=True))
    return append(build, Slice, [x], build.tensor(kept, like=x), start=start, step=(1, 1, 1, 1))


def mixed_network(seed):
    """A graph of int8 or float32 input and some outputs, of 3 to 9 operators."""
    random = np.random.default_rng(seed)
    build = Builder(random, rounding=str(random.choice(["onnx", "tflite"])))
    shape = (1, *random.integers(2, 7, 2).tolist(), int(random.integers(1, 6)))
    if random.random() < 0.5:
        build.inputs.append(build.tensor((1, shape[3], *shape[1:3]), dtype="float32"))
        x = build.tensor(shape, dtype="float32")
        append(build, Transpose, build.inputs, x, permutation=(0, 2, 3, 1))
        x = append(build, Quantize, [x], build.tensor(shape), rounding=build.rounding)
    else:
        x = build.input(shape)
    images, outputs = [x], []
    for _ in range(int(random.integers(3, 10))):
        # Mostly one behind the other, sometimes a branch.
        x = images[-1] if random.random() < 0.8 else str(random.choice(images))
        choice = random.random()
        if choice < 0.45:
            x = _device(build, x)
        elif choice < 0.55:
            x = _softmax(build, x)
        elif choice < 0.65:
            x = _through_floats(build, x)
        elif choice < 0.75:
            x = _transpose(build, x)
        elif choice < 0.85:
            x = _product(build, x, images)
        elif choice < 0.92:
            x = _constant_sum(build, x)
        else:
            x = _moved(build, x)
        images.append(x)
        if random.random() < 0.15:
            outputs.append(x)
    last = build.tensors[x]
    if random.random() < 0.3:
        name = f"t{len(build.tensors)}"
        build.tensors[name] = Tensor(name, last.shape, "uint8", last.scale, last.zero_point + 128)
        x = append(build, OffsetBinary, [x], name)
    elif random.random() < 0.3:
        x = append(build, Dequantize, [x], build.tensor(last.shape, dtype="float32"))
    return build.graph(*dict.fromkeys([*outputs, x]))


def random_inputs(graph, seed, samples):
    """Samples for each input of a graph."""
    random = np.random.default_rng(seed)
    found = []
    for tensor in (graph.tensors[name] for name in graph.inputs):
        shape = (samples, *tensor.shape[1:])
        real = tensor.dtype == "float32"
        found.append(random.normal(0, 3, shape).astype("f4") if real else random.integers(-128, 128, shape, dtype="i1"))
    return found


def split_model(samples=3):
    """A TFLite model whose two products have a softmax between them, and its samples."""
    m = Maker("split")
    x = m.tensor((1, 8))
    hidden = _product_layer(m, x, 8)
    shares = m.tensor((1, 8), 1 / 256, m.low)
    m.model.add("SOFTMAX", [hidden], shares, "SoftmaxOptions", Beta=1.0)
    return m.case([x], [_product_layer(m, shares, 5)], samples)


def _product_layer(m, x, outputs):
    w, b, scale = m.weights((outputs, 8), 0, x, outputs, per_channel=False)
    y = m.tensor((1, outputs), scale)
    m.model.add("FULLY_CONNECTED", [x, w, b], y, "FullyConnectedOptions", 4)
    return y
