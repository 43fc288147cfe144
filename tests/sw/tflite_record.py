"""Writes tflite_reference.npz and tflite_networks.npz: what TFLite's reference kernels answer to every case of
tflite_cases.py, and to the networks of tflite_cases_networks.py.

By hand, with tflite-runtime 2.14.0 and NumPy 1.26 installed, from the top folder: python -m tests.sw.tflite_record
"""

import hashlib
from pathlib import Path

import numpy as np

from tests.sw.tflite_cases import CASES
from tests.sw.tflite_cases_networks import NETWORKS

REFERENCE = Path(__file__).with_name("tflite_reference.npz")
NETWORKS_REFERENCE = Path(__file__).with_name("tflite_networks.npz")


def digest(case):
    """Of the model and its inputs: an answer belongs to this question."""
    parts = [case.model, *(np.ascontiguousarray(array).tobytes() for array in case.inputs)]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def answers(case):
    """Per output, all samples."""
    from tflite_runtime.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=case.model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    results = []
    for sample in zip(*case.inputs, strict=True):
        interpreter.reset_all_variables()
        for entry, array in zip(interpreter.get_input_details(), sample, strict=True):
            interpreter.set_tensor(entry["index"], array)
        interpreter.invoke()
        results.append([interpreter.get_tensor(entry["index"]) for entry in interpreter.get_output_details()])
    return [np.stack(arrays) for arrays in zip(*results, strict=True)]


def record(path, cases):
    """Write the answers to some cases."""
    found = {name: make() for name, make in cases.items()}
    results = {name: b"".join(array.tobytes() for array in answers(case)) for name, case in found.items()}
    np.savez_compressed(
        path,
        names=np.array(list(results)),
        digests=np.array([digest(case) for case in found.values()]),
        lengths=np.array([len(result) for result in results.values()]),
        bytes=np.frombuffer(b"".join(results.values()), np.uint8),
    )


def recorded(path):
    """Name -> digest of model and inputs, bytes of all outputs."""
    with np.load(path) as file:
        ends = np.cumsum(file["lengths"])
        parts = np.split(file["bytes"], ends[:-1])
        return dict(zip(file["names"].tolist(), zip(file["digests"].tolist(), parts, strict=True), strict=True))


def main():
    record(REFERENCE, CASES)
    record(NETWORKS_REFERENCE, NETWORKS)


if __name__ == "__main__":
    main()
