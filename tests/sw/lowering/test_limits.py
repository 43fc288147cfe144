import pytest
from weft.gen.presets import SMALL
from weft.sw.errors import UserError
from weft.sw.graph import Graph, Tensor
from weft.sw.lowering.limits import HOST_REASONS
from weft.sw.lowering.lower import lower_operator


@pytest.mark.parametrize("kind", HOST_REASONS, ids=lambda kind: kind.__name__)
def test_the_device_takes_none_of_these(kind):
    operator = object.__new__(kind)
    for name, value in {"name": "o", "inputs": ("x",), "output": "y"}.items():
        object.__setattr__(operator, name, value)
    tensors = {name: Tensor(name, (1, 4), "int8") for name in "xy"}
    with pytest.raises(UserError, match="is not supported on the device"):
        lower_operator(operator, Graph("g", tensors, (operator,), ("x",), ("y",)), SMALL)


def test_a_reason_is_half_a_sentence():
    for reason in HOST_REASONS.values():
        assert reason[0].islower()
        assert not reason.endswith(".")
        assert "\n" not in reason
