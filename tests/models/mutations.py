"""Damages models at random and gives them to the reader and the compiler, in a process of its own: what it prints is
how often they were read and refused, the longest time, the most memory, and everything else that happened.

`python -m tests.models.mutations MODEL FIRST COUNT`: seeds FIRST to FIRST + COUNT - 1; a seed always gives the same.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from weft.gen.presets import load_config
from weft.sw.compiler.model_compiler import compile_model, lower_operator
from weft.sw.compiler.passes import simplify
from weft.sw.errors import UserError
from weft.sw.graph import Reshape
from weft.sw.onnx.operators import OPERATORS
from weft.sw.onnx.reader import read_onnx
from weft.sw.tflite.reader import read_tflite

NUMBERS = (0, 1, 2, 1000, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
REALS = (0.0, -1.0, np.nan, np.inf, -np.inf, 1e38, 1e-38, 1e-45)
LONG = (0, -1, 1, 2, 3, 7, 255, 1 << 15, 1 << 31, (1 << 63) - 1, -(1 << 63))
LONGEST_SENTENCE = 1500

COMPILED_WHOLE = {"hello_world_int8": 1, "micro_speech_int8": 5, "lenet5_fyh620_qdq_s8s8": 25}
"""One in so many of the mutations that are read goes through the whole compiler; of all, every operator is lowered."""


def bytes_changed(data, random):
    """Cut short, bits flipped, bytes swapped, words replaced by suspicious ones, a piece copied or taken out."""
    data = bytearray(data)
    kind = random.integers(0, 7)
    if kind == 0:
        return bytes(data[: random.integers(0, len(data))])
    for _ in range(random.integers(1, 5)):
        place = int(random.integers(0, len(data) - 8))
        other, size = (int(n) for n in random.integers(0, len(data), 2))
        match kind:
            case 1:
                data[place] ^= 1 << int(random.integers(0, 8))
            case 2:
                number = int(random.choice([*NUMBERS, len(data), random.integers(0, 1 << 32)]))
                data[place & ~3 : (place & ~3) + 4] = number.to_bytes(4, "little")
            case 3:
                data[place & ~3 : (place & ~3) + 4] = np.float32(random.choice(REALS)).tobytes()
            case 4:
                piece = data[other : other + size // 8]
                data[place : place + len(piece)] = piece
            case 5:
                data[place], data[other] = data[other], data[place]
            case 6:
                del data[place : place + size // 8]
                data += bytes(8)
    return bytes(data)


def fields_changed(data, random):
    """The model of an ONNX file with one to three of its parts changed."""
    model = onnx.ModelProto.FromString(data)
    for _ in range(random.integers(1, 4)):
        _change(model, random)
    return model.SerializeToString()


def _change(model, random):
    def one(entries):
        return entries[int(random.integers(len(entries)))]

    graph = model.graph
    if not graph.node or not graph.initializer:
        return
    node, constant = one(graph.node), one(graph.initializer)
    names = [name for each in graph.node for name in (*each.input, *each.output)]
    match int(random.integers(0, 16)):
        case 0:
            graph.node.remove(node)
        case 1:
            copy = graph.node.add()
            copy.CopyFrom(node)
        case 2 if node.attribute:
            node.attribute.pop(int(random.integers(len(node.attribute))))
        case 3 if node.attribute:
            attribute = one(node.attribute)
            attribute.i = int(random.choice(LONG))
            attribute.ints[:] = [int(n) for n in random.choice(LONG, random.integers(0, 6))]
        case 4:
            node.op_type = str(random.choice([*OPERATORS, "LSTM", "NonMaxSuppression", "Loop"]))
        case 5 if node.input:
            node.input[int(random.integers(len(node.input)))] = one(names)
        case 6 if node.output:
            node.output[int(random.integers(len(node.output)))] = one(names)
        case 7:
            constant.dims[:] = [int(n) for n in random.choice(LONG, random.integers(0, 5))]
        case 8:
            constant.data_type = int(random.integers(0, 26))
        case 9:
            constant.raw_data = constant.raw_data[: int(random.integers(0, len(constant.raw_data) + 1))]
        case 10:
            try:
                values = numpy_helper.to_array(constant)
            except (ValueError, TypeError):  # it was damaged before
                return
            number = random.choice(REALS) if values.dtype.kind == "f" else random.choice([0, -128, 127])
            with np.errstate(all="ignore"):
                constant.CopyFrom(numpy_helper.from_array(np.full_like(values, number), constant.name))
        case 11:
            dims = one(graph.input).type.tensor_type.shape.dim
            if dims:
                one(dims).dim_value = int(random.choice(LONG))
        case 12:
            one([*graph.input, *graph.output]).type.tensor_type.elem_type = int(
                random.choice(TensorProto.DataType.values())
            )
        case 13:
            model.opset_import[0].version = int(random.choice([-1, 0, 1, 6, 9, 10, 13, 18, 21, 30, 1 << 40]))
        case 14 if node.input:
            node.input.pop()
        case 15:
            order = random.permutation(len(graph.node))
            nodes = [graph.node[int(index)] for index in order]
            del graph.node[:]
            graph.node.extend(nodes)


def outcome(path, data, seed, config):
    """ "read" or "refused", or what else came of it."""
    try:
        if path.suffix == ".tflite":
            graph = read_tflite(data, "m")
        else:
            file = Path(sys.argv[4]) / "m.onnx"
            file.write_bytes(data)
            graph = read_onnx(file)
        simple = simplify(graph)
        for operator in simple.operators:
            if not isinstance(operator, Reshape):
                try:
                    lower_operator(operator, simple, config)
                except UserError as error:
                    sentence(error)
        if path.stem in COMPILED_WHOLE and seed % COMPILED_WHOLE[path.stem] == 0:
            compile_model(graph, config)
    except UserError as error:
        sentence(error)
        return "refused"
    return "read"


def sentence(error):
    """Check what a user would see."""
    text = str(error)
    if not text or "\n" in text or len(text) > LONGEST_SENTENCE:
        raise AssertionError(f"not one sentence: {text[:200]!r}")


def most_memory():
    """The most bytes that this program has had in memory. In getrusage's figure is also what its parent had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (high_water_mark,) = (line.split() for line in lines if line.startswith("VmHWM:"))
    return int(high_water_mark[1]) * 1024


def main():
    path, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    data, config = path.read_bytes(), load_config(preset="small")
    counts, longest, wrong = {"read": 0, "refused": 0}, 0.0, []
    for seed in range(first, first + count):
        random = np.random.default_rng([seed, *path.stem.encode()])
        change = fields_changed if path.suffix == ".onnx" and seed % 2 else bytes_changed
        start = time.monotonic()
        try:
            counts[outcome(path, change(data, random), seed, config)] += 1
        except Exception as error:
            wrong.append(f"seed {seed}: {type(error).__name__}: {error}"[:500])
        longest = max(longest, time.monotonic() - start)
    print(json.dumps(counts | {"seconds": longest, "bytes": most_memory(), "wrong": wrong}))


if __name__ == "__main__":
    main()
