"""Every operator against TFLite's reference kernels, byte for byte: their recorded answers to the cases."""

import numpy as np
import pytest
from weft.sw.tflite.operators import OPERATORS
from weft.sw.tflite.reader import read_tflite

from tests.sw.networks import evaluate
from tests.sw.tflite_cases import CASES
from tests.sw.tflite_record import REFERENCE, digest, recorded

LATER = {"ELU", "LOG"}
"""Operators without a reference kernel on 8 bits in the recorded version; test_tflite_tables.py has them."""


@pytest.fixture(scope="module")
def reference():
    return recorded(REFERENCE)


def test_the_reference_is_of_these_cases(reference):
    assert list(reference) == list(CASES)


@pytest.mark.parametrize("name", CASES)
def test_operator(name, reference):
    case = CASES[name]()
    wanted_digest, wanted = reference[name]
    assert digest(case) == wanted_digest, "the case has changed since it was recorded"
    graph = read_tflite(case.model, name)
    inputs = [
        array.reshape(len(array), *graph.tensors[tensor].shape[1:])
        for array, tensor in zip(case.inputs, graph.inputs, strict=True)
    ]
    found = [np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8) for array in evaluate(graph, *inputs)]
    found = np.concatenate(found)
    assert found.shape == wanted.shape
    assert np.count_nonzero(found != wanted) == 0
    assert len(np.unique(wanted)) > 3


def test_every_operator_has_a_case():
    from weft.sw.tflite.file import File

    seen = set()
    for make in CASES.values():
        file = File(make().model, "case")
        seen.update(file.operator(index).code for index in range(file.operator_count))
    assert set(OPERATORS) - seen == LATER
