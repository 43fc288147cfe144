import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from weft.rtl.registers import Activity, Unit
from weft.sw.graph import Conv2D, FullyConnected, Graph, Reshape, Tensor
from weft.sw.report import (
    graph_rows,
    network_rows,
    program_rows,
    table,
    to_json,
    total_cycles,
    utilization,
    write_report,
)
from weft.sw.transport import RunReport, Trace, total_report

from tests.sw.programs import CONFIG, network, program

COMPLETED = {
    0: {Unit.LOAD: 30},
    1: {Unit.ARRAY: 100, Unit.DRAIN: 120},
    2: {Unit.ARRAY: 110, Unit.DRAIN: 160},
    3: {Unit.STORE: 175},
}
STALLS = {
    0: {(Unit.LOAD, Activity.WAIT_MEMORY): 7},
    1: {(Unit.ARRAY, Activity.WAIT_LOAD): 5, (Unit.ARRAY, Activity.BUSY): 90, (Unit.DRAIN, Activity.WAIT_ARRAY): 11},
    2: {(Unit.ARRAY, Activity.WAIT_DRAIN): 3},
    3: {(Unit.STORE, Activity.WAIT_DRAIN): 40, (Unit.STORE, Activity.WAIT_MEMORY): 2},
}


def report(cycles=(180,), completed=COMPLETED, stalls=STALLS):
    tags = tuple(completed)
    activity = np.zeros((len(tags), len(Unit), len(Activity)), np.int64)
    done = np.full((len(tags), len(Unit)), -1, np.int64)
    for row, tag in enumerate(tags):
        for unit, when in completed[tag].items():
            done[row, unit] = when
        for (unit, what), count in stalls.get(tag, {}).items():
            activity[row, unit, what] = count
    return RunReport(np.array(cycles, np.int64), Trace(tags, activity, np.zeros_like(done), done))


def test_layers_go_from_completion_to_completion_and_add_up():
    rows = program_rows(program(), report())
    assert [(row.name, row.op, row.cycles) for row in rows] == [
        ("first", "conv", 120),
        ("second", "pool", 40),
        ("(result)", "store", 20),
    ]
    assert [row.predicted for row in rows] == [110, 45, None]
    assert [row.passes for row in rows] == [100, 40, None]
    assert sum(row.cycles for row in rows) == total_cycles(report())


def test_stalls_are_named_by_unit_and_cause_and_transfers_belong_to_the_layer_in_which_they_end():
    rows = program_rows(program(), report())
    assert [row.stalls for row in rows] == [
        {"load_wait_memory": 7, "array_wait_load": 5, "drain_wait_array": 11},
        {"array_wait_drain": 3},
        {"store_wait_drain": 40, "store_wait_memory": 2},
    ]


def test_the_rows_of_several_programs_stand_behind_each_other():
    first, second = program(), program(inputs=program().outputs, outputs=(replace(program().outputs[0], name="z"),))
    tensors = network().tensors | {"z": replace(network().tensors["y"], name="z")}
    both = network(first, second, tensors=tensors, outputs=("z",))
    took = total_report([report(), report(cycles=(200,))])
    rows = network_rows(both, took)
    assert rows == [*program_rows(first, report()), *program_rows(second, report(cycles=(200,)))]
    assert sum(row.cycles for row in rows) == total_cycles(took) == 380
    assert network_rows(network(), report()) == program_rows(program(), report())


def test_a_layer_that_ends_before_the_one_before_it_takes_no_cycles():
    rows = program_rows(program(), report(completed=COMPLETED | {2: {Unit.DRAIN: 115}}))
    assert [row.cycles for row in rows] == [120, 0, 60]
    assert json.loads(to_json(rows, report(), CONFIG))["layers"][1]["utilization"] is None


def test_the_rest_is_left_out_where_nothing_remains():
    rows = program_rows(program(), report(cycles=(160,), completed={tag: COMPLETED[tag] for tag in (0, 1, 2)}))
    assert [row.name for row in rows] == ["first", "second"]


def test_without_a_clock_cycles_are_unknown():
    rows = program_rows(program(), RunReport())
    assert [(row.name, row.cycles, row.predicted, row.stalls) for row in rows] == [
        ("first", None, 110, {}),
        ("second", None, 45, {}),
    ]
    assert total_cycles(RunReport()) is None
    content = json.loads(to_json(rows, RunReport(), CONFIG))
    assert content["cycles"] is None
    assert content["utilization"] is None
    assert content["layers"][0] == {
        "name": "first",
        "op": "conv",
        "cycles": None,
        "predicted_cycles": 110,
        "macs": 1200,
        "utilization": None,
        "stalls": {},
    }


def test_json_has_the_figures_of_the_whole_and_of_each_layer():
    took = report()
    content = json.loads(to_json(program_rows(program(), took), took, CONFIG, {"model": "m.onnx", "samples": 1}))
    layers = content.pop("layers")
    assert content == {
        "model": "m.onnx",
        "samples": 1,
        "configuration": f"{CONFIG.digest32:08x}",
        "rows": 4,
        "cols": 4,
        "cycles": 180,
        "macs": 1200,
        "utilization": 1200 / (180 * 16),
    }
    assert layers[0] == {
        "name": "first",
        "op": "conv",
        "cycles": 120,
        "predicted_cycles": 110,
        "macs": 1200,
        "utilization": 1200 / (120 * 16),
        "stalls": {"load_wait_memory": 7, "array_wait_load": 5, "drain_wait_array": 11},
    }
    assert sum(layer["cycles"] for layer in layers) == content["cycles"]


def test_cycles_are_those_of_the_last_run_and_a_spread_is_told():
    took = report(cycles=(170, 185, 180))
    content = json.loads(to_json(program_rows(program(), took), took, CONFIG))
    assert (content["cycles"], content["cycles_least"], content["cycles_most"]) == (180, 170, 185)
    assert "cycles_least" not in json.loads(to_json([], report(cycles=(180, 180)), CONFIG))


def test_operators_of_a_graph_have_their_macs():
    tensors = {
        "x": Tensor("x", (1, 4, 4, 3), "int8"),
        "a": Tensor("a", (1, 2, 2, 5), "int8"),
        "b": Tensor("b", (1, 20), "int8"),
        "y": Tensor("y", (1, 7), "int8"),
    }
    common = {"weight_scales": np.ones(5, np.float32), "rounding": "onnx"}
    conv = Conv2D(
        "conv",
        ("x",),
        "a",
        weights=np.zeros((5, 3, 3, 3), np.int8),
        bias=np.zeros(5, np.int32),
        stride=(1, 1),
        padding=(0, 0, 0, 0),
        dilation=(1, 1),
        groups=1,
        **common,
    )
    flat = Reshape("flat", ("a",), "b")
    product = FullyConnected(
        "product", ("b",), "y", weights=np.zeros((7, 20), np.int8), bias=np.zeros(7, np.int32), **common
    )
    rows = graph_rows(Graph("g", tensors, (conv, flat, product), ("x",), ("y",)))
    assert [(row.name, row.op, row.macs) for row in rows] == [
        ("conv", "Conv2D", 2 * 2 * 5 * 3 * 3 * 3),
        ("flat", "Reshape", 0),
        ("product", "FullyConnected", 7 * 20),
    ]


@pytest.mark.parametrize("macs, cycles, share", [(160, 10, 1.0), (80, 10, 0.5), (80, None, None), (0, 0, None)])
def test_utilization_is_the_share_of_all_multiplications(macs, cycles, share):
    assert utilization(macs, cycles, CONFIG) == share


def test_the_table_fits_a_terminal():
    console = Console(width=80)
    took = report()
    with console.capture() as shown:
        console.print(table(program_rows(program(), took), took, CONFIG))
    lines = shown.get().splitlines()
    assert len(lines) == 5
    assert lines[0].split() == ["layer", "operator", "MACs", "cycles", "predicted", "of", "peak", "array", "waits"]
    assert lines[1].split() == ["first", "conv", "1,200", "120", "110", "62.5%", "5", "load"]
    assert lines[2].split() == ["second", "pool", "40", "45", "3", "drain"]
    assert lines[4].split() == ["total", "1,200", "180", "155", "41.7%"]


def test_the_report_is_written_as_a_whole(tmp_path):
    write_report(tmp_path / "r.json", "{}\n")
    assert (tmp_path / "r.json").read_text() == "{}\n"
