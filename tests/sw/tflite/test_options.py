"""The options are those of the schema."""

import pytest
import tflite
from weft.sw.tflite.fold import FOLDED
from weft.sw.tflite.operators import OPERATORS
from weft.sw.tflite.options import OPTIONS


@pytest.mark.parametrize("code", OPTIONS)
def test_fields_and_defaults(code):
    kind, defaults = OPTIONS[code]
    assert hasattr(tflite.BuiltinOptions, kind)
    assert code in {*OPERATORS, *FOLDED}
    table = getattr(tflite, kind)
    for name, default in defaults.items():
        accessor = getattr(table, f"{name}AsNumpy" if isinstance(default, tuple) else name)
        assert callable(accessor)
