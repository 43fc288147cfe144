from dataclasses import replace

import pytest
from weft.rtl.config import Config
from weft.sw.errors import UserError
from weft.sw.graph import Clamp, Tensor
from weft.sw.network import LARGEST_TENSOR

from tests.sw.programs import CONFIG, network, program


def test_programs_and_layers_are_in_order():
    made = network()
    assert made.programs == (program(),)
    assert [layer.name for layer in made.layers] == ["first", "second"]
    assert network(stages=(), outputs=("x",)).programs == ()


def tensors(**changes):
    """The tensors of the network, some of them changed."""
    return {"tensors": {name: replace(one, **changes.get(name, {})) for name, one in network().tensors.items()}}


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"config": Config(rows=8)}, "by hand: a program is for another configuration than the network"),
        (tensors(q={"dtype": "uint8"}), "by hand: the port 'q' of a program does not suit the tensor"),
        (tensors(q={"shape": (1, 2)}), "by hand: the port 'q' of a program does not suit the tensor"),
        ({"inputs": ("no",)}, "by hand: the tensor 'no' has no description"),
        ({"outputs": ("q", "no")}, "by hand: the tensor 'no' has no description"),
        ({"inputs": ("q",)}, "by hand: 'flat' reads 'x', which nothing has made before it"),
        ({"stages": network().stages[1:]}, "by hand: 'to int8' reads 'r', which nothing has made before it"),
        ({"stages": network().stages * 2}, "by hand: 'r' is made twice"),
        ({"stages": (Clamp("c", ("x",), "no"),)}, "by hand: 'c' makes 'no', which has no description"),
        ({"stages": ()}, "by hand: the output 'y' is made by nothing"),
        (tensors(r={"shape": (1, 5)}), "by hand: 'flat' reshapes (1, 1, 2, 2) into (1, 5)"),
        (tensors(x={"shape": (2, 2, 1)}), "by hand: the tensor 'x' of shape (2, 2, 1) must have a batch of 1"),
        (tensors(r={"shape": (1, LARGEST_TENSOR + 1)}), f"by hand: the tensor 'r' has more than {LARGEST_TENSOR}"),
        (tensors(x={"dtype": "float16"}), "by hand: the tensor 'x' has the unknown type 'float16'"),
    ],
    ids=str,
)
def test_a_network_is_checked(changes, sentence):
    with pytest.raises(UserError) as error:
        network(**changes)
    assert str(error.value).startswith(sentence)


def test_a_tensor_that_stays_on_the_device_needs_no_description():
    assert set(network().tensors) == {"x", "r", "q", "y"}
    assert network().config == CONFIG
    assert isinstance(network().tensors["x"], Tensor)
