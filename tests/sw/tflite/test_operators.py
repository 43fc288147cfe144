"""The table of operators."""

import tflite
from weft.sw.tflite.operators import OPERATORS


def test_every_operator_is_in_the_schema_and_has_a_docstring():
    for code, function in OPERATORS.items():
        assert hasattr(tflite.BuiltinOperator, code)
        assert function.__doc__


def test_the_table_is_sorted():
    assert list(OPERATORS) == sorted(OPERATORS)
