"""Real TFLite models with the traces of their reference kernels, from the folder of shared models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import tflite

ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_RELU6 = 0, 1, 3
PADDING_SAME, PADDING_VALID = 0, 1


class TfliteModel:
    """Operators in order, quantization and constants of a model, and its traces: sample -> tensor -> int8."""

    def __init__(self, folder: Path, name: str) -> None:
        description = json.loads((folder / f"{name}.json").read_text())
        self.operators: list[dict[str, Any]] = description["operators"]
        self._model = tflite.Model.GetRootAs((folder / f"{name}.tflite").read_bytes(), 0)
        self._graph = self._model.Subgraphs(0)
        self.traces: dict[str, dict[int, np.ndarray]] = {}
        with np.load(folder / f"{name}.trace.npz") as arrays:
            for key in arrays:
                sample, tensor = key.rsplit("/t", 1)
                self.traces.setdefault(sample, {})[int(tensor)] = arrays[key]

    def scale(self, tensor: int) -> np.ndarray:
        """Scales as float64: one, or one per channel."""
        return self._graph.Tensors(tensor).Quantization().ScaleAsNumpy().astype(np.float64)

    def zero_point(self, tensor: int) -> int:
        """The tensor's one zero point."""
        (value,) = set(self._graph.Tensors(tensor).Quantization().ZeroPointAsNumpy().tolist())
        return value

    def constant(self, tensor: int) -> np.ndarray:
        """Contents of a constant tensor: int8 weights or int32 bias."""
        entry = self._graph.Tensors(tensor)
        kind = {tflite.TensorType.INT8: "<i1", tflite.TensorType.INT32: "<i4"}[entry.Type()]
        raw = self._model.Buffers(entry.Buffer()).DataAsNumpy()
        return raw.view(kind).reshape(entry.ShapeAsNumpy())
