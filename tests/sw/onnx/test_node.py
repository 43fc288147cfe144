"""Padding, positions and errors of ONNX nodes."""

import pytest
from onnx import helper
from weft.sim.golden import same_padding
from weft.sw.errors import UserError
from weft.sw.onnx.node import LONGEST_LABEL, HostError, Node, label, padding, pair, positions


class Reader:
    """As much of a reader as a node needs."""

    name = "model"
    values = {}


def node(**attributes):
    return Node(Reader(), helper.make_node("Conv", ["x"], ["y"], name="conv", **attributes))


@pytest.mark.parametrize("size, kernel, stride, dilation", [(7, 3, 1, 1), (8, 3, 2, 1), (9, 2, 2, 3), (1, 5, 1, 1)])
def test_same_padding(size, kernel, stride, dilation):
    before, after = same_padding(size, kernel, stride, dilation)
    arguments = ((size, size), (kernel, kernel), (stride, stride), (dilation, dilation))
    assert padding(node(auto_pad="SAME_UPPER"), *arguments) == (before, before, after, after)
    assert padding(node(auto_pad="SAME_LOWER"), *arguments) == (after, after, before, before)


def test_padding_is_as_written_or_none():
    arguments = ((5, 5), (3, 3), (1, 1), (1, 1))
    assert padding(node(pads=[1, 2, 3, 4]), *arguments) == (1, 2, 3, 4)
    assert padding(node(pads=[1, 2, 3, 4], auto_pad="VALID"), *arguments) == (0, 0, 0, 0)
    assert padding(node(), *arguments) == (0, 0, 0, 0)


@pytest.mark.parametrize("pads", [[1, 2, 3], [1, 2, 3, -1]])
def test_bad_padding(pads):
    with pytest.raises(HostError, match=r"^has pads .*, supported are four numbers of 0 or more"):
        padding(node(pads=pads), (5, 5), (3, 3), (1, 1), (1, 1))


def test_two_numbers_are_those_of_columns():
    assert padding(node(pads=[1, 2]), (1, 5), (1, 3), (1, 1), (1, 1)) == (0, 1, 0, 2)
    assert pair(node(strides=[2]), "strides", (1, 1)) == (1, 2)


@pytest.mark.parametrize(
    "arguments, count",
    [
        ((7, 0, 0, 2, 2), 3),
        ((7, 0, 0, 2, 2, True), 4),
        ((8, 0, 0, 2, 2, True), 4),
        ((7, 1, 1, 3, 2), 4),
        ((3, 0, 0, 5, 1), -1),
        # The last window would start in the padding behind the image: it is left out.
        ((4, 0, 1, 1, 2, True), 2),
    ],
)
def test_positions(arguments, count):
    assert positions(*arguments) == count


def test_pair():
    assert pair(node(strides=[2, 3]), "strides", (1, 1)) == (2, 3)
    assert pair(node(), "strides", (1, 1)) == (1, 1)
    with pytest.raises(UserError, match=r"has strides \[0, 3\], supported are two positive numbers"):
        pair(node(strides=[0, 3]), "strides", (1, 1))


def test_missing_input():
    with pytest.raises(UserError, match="model: Conv 'conv' lacks its input 1"):
        node().value(1)


def test_a_node_without_a_name_goes_by_its_output():
    assert Node(Reader(), helper.make_node("Relu", ["x"], ["y"])).text == "Relu 'y'"


@pytest.mark.parametrize(
    "attributes, sentence",
    [
        ({"group": 1.5}, "has an attribute group that is no integer"),
        ({"group": [1]}, "has an attribute group that is no integer"),
    ],
)
def test_attributes_have_their_type(attributes, sentence):
    with pytest.raises(UserError, match=sentence):
        node(**attributes).integer("group", 1)
    with pytest.raises(UserError, match="has an attribute pads that is no list of integers"):
        node(pads=[0.5]).integers("pads", ())
    with pytest.raises(UserError, match="has an attribute alpha that is no number"):
        node(alpha="much").number("alpha", 1.0)


def test_axes_count_from_either_end():
    assert [node().axis(value, 3) for value in (0, 2, -1, -3)] == [0, 2, 2, 0]
    with pytest.raises(UserError, match="has axis 3 for a tensor of 3 axes"):
        node().axis(3, 3)


def test_names_in_messages_have_an_end():
    assert label("short") == "'short'"
    assert len(label("x" * 1000)) == LONGEST_LABEL + 2
    assert label("a\nb") == repr("a\nb")


def test_what_the_host_may_do_is_told_from_what_nothing_does():
    """The first is a reason, half a sentence; the second names the model and the node."""
    assert str(node().error("is odd")) == "is odd"
    assert str(node().refuse("is odd")) == "model: Conv 'conv' is odd"
    assert not isinstance(node().refuse("is odd"), HostError)
