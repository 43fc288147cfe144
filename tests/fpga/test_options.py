# amaranth: UnusedElaboratable=no

import json
from collections import Counter

import pytest
from weft.fpga import options
from weft.fpga.options import MARKS, OPTIONS, cells, sheet, variants

from tests.fpga.fake_tools import install

NETLIST = {
    "modules": {
        "LUT4": {"attributes": {"whitebox": "1"}, "cells": {"inside": {"type": "LUT4"}}},
        "top": {
            "attributes": {"top": "1"},
            "cells": {
                name: {"type": kind}
                for name, kind in enumerate(["LUT4", "LUT4", "CCU2C", "TRELLIS_FF", "DP16KD", "MULT18X18D", "PFUMX"])
            },
        },
    }
}


def test_variants_have_one_option_each_but_the_first_and_the_last():
    built = {name: sum(getattr(config, option) for option in OPTIONS) for name, config in variants().items()}
    assert built == {"none": 0, **dict.fromkeys(OPTIONS, 1), "all": len(OPTIONS)}


def test_cells_of_a_netlist():
    assert cells(json.dumps(NETLIST)) == {"LUT": 4, "FF": 1, "block RAM": 1, "DSP": 1}


def test_what_a_variant_has_more():
    table = sheet({"none": Counter(LUT=1000, FF=50), "checks": Counter(LUT=1200, FF=49)}).markdown()
    assert "| none | 1,000 | 50 | 0 | 0 |" in table
    assert "| checks | 1,200 (+200) | 49 (-1) | 0 | 0 |" in table


def test_the_table_goes_between_the_marks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(options, "count", lambda config: Counter(LUT=1))
    page = tmp_path / "page.md"
    page.write_text("\n".join(MARKS))
    assert options.main(["--docs", str(page)]) == 0
    assert "| all | 1 | 0 | 0 | 0 |" in page.read_text()
    assert options.main(["--docs", str(tmp_path / "none.md")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_npu_is_synthesized(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    body = f"for file in ('netlist.json', 'netlist.v'):\n    pathlib.Path(file).write_text({json.dumps(NETLIST)!r})"
    install(tmp_path, monkeypatch, "yosys", body)
    config = variants()["none"].replace(rows=2, cols=2, weight_rows=2, lanes=1, weight_tiles=64, scratchpad_bytes=512)
    assert options.count(config) == cells(json.dumps(NETLIST))


@pytest.mark.parametrize("mark", MARKS)
def test_the_page_has_the_marks(root, mark):
    assert (root / "docs" / "architecture.md").read_text().count(mark) == 1
