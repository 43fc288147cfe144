"""A quantized ONNX model layer by layer: what ONNX Runtime gives for every QuantizeLinear, and what the reader and the
golden model make of the same inputs."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from weft.sim.golden_graph import run_graph
from weft.sw.onnx.reader import read_onnx

MODES = {
    "unoptimized": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "default": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


@dataclass(frozen=True)
class Layer:
    """How the bytes of one layer compare."""

    name: str
    operators: str
    count: int
    different: int
    largest: int

    @property
    def equal(self):
        """The share of equal bytes."""
        return 1 - self.different / self.count

    def __str__(self):
        return f"{self.name[:44]:44} {self.operators[:30]:30} {self.count:9} {self.different:6} {self.largest:3}"


def quantized(model):
    """The QuantizeLinear nodes of activations, by what they make."""
    known = {entry.name for entry in model.graph.initializer}
    for node in model.graph.node:
        if all(name in known for name in node.input):
            known.update(node.output)
    return {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.output[0] not in known
    }


def traced(model, samples, mode):
    """{name: an array per sample} of every quantized tensor and every input, by ONNX Runtime."""
    names = list(quantized(model))
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = MODES[mode]
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    runs = [session.run(names, {entry.name: sample}) for sample in samples]
    found = {name: [run[index] for run in runs] for index, name in enumerate(names)}
    return found | {entry.name: list(samples)}


def cut(model, target, known):
    """The model from tensors in `known` to the quantized tensor `target`."""
    makers = {name: node for node in model.graph.node for name in node.output}
    nodes, inputs, pending = {}, [], [target]
    while pending:
        name = pending.pop()
        if name in known and name != target:
            inputs += [] if name in inputs else [name]
        elif name in makers and id(makers[name]) not in nodes:
            nodes[id(makers[name])] = makers[name]
            pending += [one for one in makers[name].input if one]
    ordered = [node for node in model.graph.node if id(node) in nodes]
    used = {name for node in ordered for name in node.input}
    types = {name: helper.np_dtype_to_tensor_dtype(known[name][0].dtype) for name in (*inputs, target)}
    graph = helper.make_graph(
        ordered,
        target,
        [helper.make_tensor_value_info(name, types[name], known[name][0].shape) for name in inputs],
        [helper.make_tensor_value_info(target, types[target], known[target][0].shape)],
        [entry for entry in model.graph.initializer if entry.name in used],
    )
    made = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return made, inputs, [node.op_type for node in ordered if "Linear" not in node.op_type]


def compared(model, samples, mode):
    """A Layer for every QuantizeLinear, fed with what ONNX Runtime has there."""
    known = traced(model, samples, mode)
    layers = []
    for name in quantized(model):
        one, inputs, operators = cut(model, name, known)
        graph = read_onnx(one)
        arrays = [np.stack(known[source]).reshape(len(samples), *graph.tensors[source].shape[1:]) for source in inputs]
        (found,) = run_graph(graph, arrays)
        wanted = np.stack(known[name]).reshape(found.shape)
        difference = np.abs(found.astype(int) - wanted.astype(int))
        count = int(np.count_nonzero(difference))
        layers.append(Layer(name, "+".join(operators), found.size, count, int(difference.max())))
    return layers
