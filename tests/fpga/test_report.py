import json

import pytest
from weft.fpga.report import Clock, Path, Report, Used, _plain, read_report

from tests.fpga.fake_tools import REPORT


@pytest.fixture
def report() -> Report:
    return read_report(json.dumps(REPORT), "ecp5", "a device", 3)


def test_clocks_utilization_and_paths(report):
    assert report.clocks == (Clock("clk", 101.23, 100),)
    assert report.utilization == (Used("LUT", 3, 10), Used("FF", 2, 10), Used("DSP", 0, 4))
    assert report.paths == (Path("clk", "a", "c", 3.875, 0.875, 3.0, 1, ("n", "m")),)
    assert (report.device, report.seed) == ("a device", 3)


def test_json_is_read_back(report):
    assert Report.from_json(report.to_json()) == report


def test_what_the_clocks_leave_out(report):
    assert report.untimed == ""
    gowin = json.dumps(REPORT | {"utilization": {}})
    assert read_report(gowin, "gowin", "a device", 1).untimed == "the multipliers"


def test_slowest_clock_counts():
    clocks = (Clock("fast", 200, 100), Clock("slow", 40, 50))
    report = Report("", 1, clocks, (), ())
    assert (report.fmax, report.margin, report.met) == (40, 0.8, False)
    assert Report("", 1, clocks[:1], (), ()).met


def test_used_of_a_kind(report):
    assert report.used("FF") == Used("FF", 2, 10)
    assert report.used("SPRAM") == Used("SPRAM", 0, 0)


@pytest.mark.parametrize("net", ["$glbnet$clk", "posedge $glbnet$clk$TRELLIS_IO_IN", "clk$SB_IO_IN_$glb_clk", "clk"])
def test_clocks_have_the_names_of_the_design(net):
    assert _plain(net) == "clk"
