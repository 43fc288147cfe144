import pytest
from weft.fpga.boards import BOARDS
from weft.fpga.pins import Pin, constraints, pin_of


def test_pins_of_a_definition():
    definition = BOARDS["ulx3s"].definition()
    assert pin_of(definition, "clk25", 0) == Pin("G2", False, {"IO_TYPE": "LVCMOS33"})
    assert pin_of(definition, "uart", 0, "tx") == Pin("L4", False, {"IO_TYPE": "LVCMOS33"})
    assert pin_of(definition, "led", 1) == Pin("C2", False, {"IO_TYPE": "LVCMOS33", "DRIVE": "4"})


PINS = {"clock": Pin("35", False, {}), "receive": Pin("6", True, {"PULLUP": "1", "IO_TYPE": "LVCMOS33"})}


@pytest.mark.parametrize(
    "family, lines",
    [
        (
            "ecp5",
            [
                'LOCATE COMP "clock" SITE "35";',
                'IOBUF PORT "clock" ;',
                'LOCATE COMP "receive" SITE "6";',
                'IOBUF PORT "receive" PULLUP=1 IO_TYPE=LVCMOS33;',
                'FREQUENCY PORT "clock" 12 MHZ;',
            ],
        ),
        ("ice40", ["set_io clock 35", "set_io -pullup yes receive 6", "set_frequency clock 12"]),
        (
            "gowin",
            [
                'IO_LOC "clock" 35;',
                'IO_PORT "clock" ;',
                'IO_LOC "receive" 6;',
                'IO_PORT "receive" PULLUP=1 IO_TYPE=LVCMOS33;',
            ],
        ),
    ],
)
def test_constraints(family, lines):
    assert constraints(family, PINS, {"clock": 12.0}).splitlines() == lines
