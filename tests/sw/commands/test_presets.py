from pathlib import Path

from weft.gen.presets import PRESETS

from tests.sw.command_line import weft


def test_table_has_a_row_for_every_preset(tmp_path: Path) -> None:
    done = weft("presets", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = [line.split() for line in done.stdout.splitlines()]
    assert head[:3] == ["preset", "array", "MACs/cycle"]
    assert [row[:3] for row in rows] == [
        [name, f"{config.rows}x{config.cols}", str(config.macs_per_cycle)] for name, config in PRESETS.items()
    ]
