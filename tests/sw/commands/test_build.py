from rich.console import Console
from weft.fpga.boards import BOARDS
from weft.fpga.report import Clock, Report, Used
from weft.sw.commands.build import table

from tests.sw.command_line import refusal


def test_a_board_that_is_not_known(tmp_path):
    said = refusal("build", "arduino", "-o", "out", folder=tmp_path)
    assert said == f"'arduino' is not a board; the boards are {', '.join(BOARDS)}"


def test_a_clock_that_cannot_be(tmp_path):
    said = refusal("build", "tang-primer-20k", "-o", "out", "--clock", "54", folder=tmp_path)
    assert said == "the board's clock of 27 MHz cannot be made one of 54 MHz"
    assert not (tmp_path / "out").exists()


def test_a_parameter_that_does_not_exist(tmp_path):
    assert refusal("build", "ulx3s", "-o", "out", "--set", "color=1", folder=tmp_path).startswith(
        "color is not a parameter"
    )


def test_table_has_clocks_and_resources():
    report = Report("chip", 7, (Clock("clk", 101.5, 100.0),), (Used("LUT", 1234, 83640),), (), "the adders")
    console = Console(width=80, file=None, record=True)
    with console.capture() as text:
        console.print(table(report))
    lines = [line.split() for line in text.get().splitlines()]
    assert lines == [
        ["chip", "achieved", "of"],
        ["clock", "clk", "101.5", "MHz", "100.0", "MHz"],
        ["not", "timed:", "the", "adders"],
        ["LUT", "1,234", "83,640"],
        ["seed", "7"],
    ]
