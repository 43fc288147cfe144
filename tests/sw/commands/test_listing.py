from dataclasses import replace

import pytest
from rich.console import Console
from weft.gen.presets import PRESETS
from weft.sw.commands.listing import Entry, entries, report, summary, table
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.network import HOST
from weft.sw.onnx.reader import read_onnx

from tests.sw.programs import network, program


@pytest.fixture(scope="module")
def lenet(root):
    return compile_model(read_onnx(root / "sw" / "models" / "lenet5.onnx"), PRESETS["small"])


def printed(made):
    console = Console(width=120)
    with console.capture() as shown:
        console.print(table(made))
    return [line.split() for line in shown.get().splitlines()]


def test_an_operator_has_the_numbers_of_its_layers():
    rows = network().rows
    assert entries(network()) == [
        Entry(rows[0]),
        Entry(rows[1]),
        Entry(rows[2], 3, 110, 1004, "streamed"),
        Entry(rows[3]),
        Entry(rows[4], 2, 45, 4, "resident"),
    ]


def test_a_row_per_operator_and_the_total():
    lines = printed(network())
    assert lines[0] == ["name", "operator", "where", "tiles", "cycles", "bytes", "moved", "weights", "why"]
    assert lines[1] == ["flat", "Reshape", "layout"]
    assert lines[2] == ["to", "int8", "Quantize", "host", "the", "NPU", "takes", "integers"]
    assert lines[3] == ["first", "Conv2D", "npu", "3", "110", "1,004", "streamed"]
    assert lines[4] == ["relu", "Clamp", "npu", "in", "the", "layer", "of", "first"]
    assert lines[6] == ["total", "5", "155", "1,008"]


def test_of_several_programs_the_number_is_told():
    second = program(inputs=program().outputs, outputs=(replace(program().outputs[0], name="z"),))
    tensors = network().tensors | {"z": replace(network().tensors["y"], name="z")}
    assert printed(network(program(), second, tensors=tensors))[3][:4] == ["first", "Conv2D", "npu", "1"]


def test_lenet_is_resident_and_its_tiles_cover_its_weights(lenet):
    layers = lenet.layers
    assert not any(layer.streamed for layer in layers)
    sizes = [6 * 25, 16 * 6 * 25, 120 * 400, 84 * 120, 10 * 84]
    assert all(layer.weight_bytes >= size for layer, size in zip(layers, sizes, strict=True))
    assert sum(layer.weight_bytes for layer in layers) <= len(lenet.programs[0].image)
    assert sum(layer.moved_bytes for layer in layers) == 28 * 28 + 10


def test_the_table_of_lenet_adds_up(lenet):
    lines = printed(lenet)
    total = sum(layer.predicted_cycles for layer in lenet.layers)
    assert lines[-1][0] == "total"
    assert f"{total:,}" in lines[-1]
    assert sum(line[0].startswith("/") for line in lines) == 8


@pytest.mark.parametrize("width", [80, 100, 130])
def test_a_narrow_terminal_has_a_line_per_operator_and_reasons_below(lenet, width):
    console = Console(width=width)
    with console.capture() as shown:
        console.print(report(lenet, width))
    lines = shown.get().splitlines()
    assert all(len(line) <= width for line in lines)
    table, reasons, (*_, sentence) = ("\n".join(lines).split("\n\n"))[0].splitlines(), lines, lines
    assert len(table) == len(lenet.rows) + 2
    assert table[1].split()[-2:] == ["host", "(1)"] or "layout" in table[1]
    assert any(line.split()[:4] == ["(1)", "the", "NPU", "takes"] for line in reasons)
    assert "cycles used." in sentence
    cells = " ".join(table).split()
    for layer in lenet.layers:
        assert f"{layer.predicted_cycles:,}" in cells


def test_a_wide_terminal_has_the_reasons_in_the_table(lenet):
    console = Console(width=200)
    with console.capture() as shown:
        console.print(report(lenet, 200))
    table, sentence = shown.get().split("\n\n")
    assert len(table.splitlines()) == len(lenet.rows) + 2
    assert "the NPU takes integers, which the host makes of real numbers" in table
    busy = sum(layer.macs for layer in lenet.layers) / 64 / sum(layer.predicted_cycles for layer in lenet.layers)
    assert sentence.strip().endswith(f"cycles, {busy:.1%} of all multipliers' cycles used.")


def test_a_network_of_the_host_alone_has_a_sentence_too():
    rows = tuple(replace(row, where=HOST) for row in network().rows[:2])
    assert summary(replace(network(), rows=rows, stages=(), outputs=network().inputs)) == "0 of 2 operators on the NPU."
