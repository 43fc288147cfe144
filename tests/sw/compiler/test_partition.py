"""Parts of a graph: every operator once, each after what it reads, and no more of them for the device than need be."""

from functools import cache

import numpy as np
import pytest
from weft.sw.compiler.partition import partition, with_inputs
from weft.sw.graph import Clamp, Constant, Graph, Operator, Reshape, Tensor, verify


def chain(*kinds):
    """Operators one behind the other: h on the host, d on the device, r a Reshape; the graph and those of the host."""
    return network([(kind, [index - 1]) for index, kind in enumerate(kinds)])


def network(nodes, outputs=None):
    """Nodes of a kind and the nodes that they read; -1 is the input."""
    names = {-1: "x"} | {index: f"{kind}{index}" for index, (kind, _) in enumerate(nodes)}
    operators = []
    for index, (kind, reads) in enumerate(nodes):
        inputs = tuple(names[one] for one in reads)
        if kind == "k":
            operators.append(Constant(names[index], (), names[index], value=np.zeros((1, 4), np.int8)))
        elif kind == "r":
            operators.append(Reshape(names[index], inputs, names[index]))
        else:
            operators.append(Clamp(names[index], inputs, names[index]))
    tensors = {name: Tensor(name, (1, 4), "int8") for name in names.values()}
    read = {name for one in operators for name in one.inputs}
    last = tuple(one.output for one in operators if one.output not in read)
    kept = last if outputs is None else tuple(names[one] for one in outputs)
    graph = verify(Graph("test", tensors, tuple(operators), ("x",), kept))
    return graph, {one.output for one in operators if one.name[0] == "h"}


def shape_of(parts):
    """The parts in letters: operators of the host alone, those for the device in brackets."""
    return " ".join(
        f"[{' '.join(one.name for one in part.operators)}]" if isinstance(part, Graph) else part.name for part in parts
    )


@pytest.mark.parametrize(
    "kinds, wanted",
    [
        ("hddh", "h0 [d1 d2] h3"),
        ("ddhdd", "[d0 d1] h2 [d3 d4]"),
        ("drdr", "[d0 r1 d2] r3"),
        ("rdrhrd", "[r0 d1] r2 h3 [r4 d5]"),
        ("hh", "h0 h1"),
        ("rr", "r0 r1"),
    ],
)
def test_chains(kinds, wanted):
    assert shape_of(partition(*chain(*kinds))) == wanted


def test_branches_wait_for_each_other_so_that_parts_are_few():
    """d0 reads x, h1 reads x, d2 reads h1, d3 reads both: one part."""
    graph, on_host = network([("d", [-1]), ("h", [-1]), ("d", [1]), ("d", [0, 2])])
    (h1, part) = partition(graph, on_host)
    assert h1.name == "h1"
    assert [one.name for one in part.operators] == ["d0", "d2", "d3"]
    assert (part.inputs, part.outputs) == (("x", "h1"), ("d3",))


def test_a_reshape_is_where_it_is_needed():
    graph, on_host = network([("d", [-1]), ("r", [0]), ("d", [1]), ("h", [1]), ("d", [3, 1])])
    first, reshape, host, second = partition(graph, on_host)
    assert [one.name for one in first.operators] == ["d0", "r1", "d2"]
    assert first.outputs == ("d0", "d2")
    assert (reshape.name, host.name) == ("r1", "h3")
    assert [one.name for one in second.operators] == ["r1", "d4"]
    assert (second.inputs, second.outputs) == (("d0", "h3"), ("d4",))


def test_a_constant_is_in_every_part_or_an_input():
    graph, on_host = network([("k", []), ("d", [-1, 0]), ("h", [1, 0]), ("r", [0]), ("d", [2, 3])])
    parts = partition(graph, on_host)
    assert shape_of(parts) == "[k0 d1] k0 h2 [k0 r3 d4]"
    sent = with_inputs(parts[-1], {"k0", "other"})
    assert [one.name for one in sent.operators] == ["r3", "d4"]
    assert sent.inputs == ("h2", "k0")
    assert verify(sent).outputs == ("d4",)


def test_cuts_begin_a_part():
    graph, on_host = chain(*"ddddd")
    assert shape_of(partition(graph, on_host, {"d2", "d4"})) == "[d0 d1] [d2 d3] [d4]"
    assert shape_of(partition(graph, on_host, {"d0"})) == "[d0 d1 d2 d3 d4]"


def test_inputs_and_constants_may_be_outputs():
    graph, on_host = network([("k", []), ("d", [-1]), ("r", [0])], outputs=[-1, 0, 1, 2])
    assert shape_of(partition(graph, on_host)) == "[d1] k0 r2"


@cache
def random_case(seed):
    random = np.random.default_rng(seed)
    nodes = []
    for index in range(int(random.integers(1, 12))):
        kind = str(random.choice(["h", "d", "d", "r", "k"]))
        count = {"k": 0, "r": 1}.get(kind, int(random.integers(1, 4)))
        nodes.append((kind, random.integers(-1, index, count).tolist()))
    return nodes, *network(nodes)


@pytest.mark.parametrize("seed", range(40))
def test_each_part_reads_what_is_there_and_makes_what_is_read(seed):
    _, graph, on_host = random_case(seed)
    there = {"x"}
    seen = []
    for part in partition(graph, on_host):
        if isinstance(part, Operator):
            assert set(part.inputs) <= there
            assert part.output not in there
            there.add(part.output)
            seen.append(part.output)
        else:
            verify(part)
            assert set(part.inputs) <= there
            assert not set(part.outputs) & there
            assert part.outputs
            there.update(part.outputs)
            seen += [one.output for one in part.operators if isinstance(one, Clamp)]
    assert set(graph.outputs) <= there
    clamps = [one.output for one in graph.operators if isinstance(one, Clamp)]
    assert sorted(name for name in seen if name[0] in "hd") == sorted(clamps)


@pytest.mark.parametrize("seed", range(40))
def test_no_order_has_fewer_parts(seed):
    """The least number of parts is that of device operators in a row, with host operators between, on the longest way:
    each must be in a later part than those before it."""
    nodes, graph, on_host = random_case(seed)
    stage = {-1: 0}
    for index, (kind, reads) in enumerate(nodes):
        latest = max((stage[one] for one in reads), default=0)
        # Even numbers are behind the host, odd ones behind the device.
        stage[index] = {"h": latest + latest % 2, "d": latest + 1 - latest % 2}.get(kind, latest)
    least = max((n + 1) // 2 for n in stage.values())
    assert sum(isinstance(part, Graph) for part in partition(graph, on_host)) == least
