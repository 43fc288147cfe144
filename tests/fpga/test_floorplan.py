import json
from collections import Counter
from xml.etree import ElementTree

from weft.fpga.floorplan import COLOURS, OTHER_COLOUR, TILE, Cell, draw, placement, units

from tests.fpga.fake_tools import PLACED


def test_cells_have_modules_and_places():
    assert placement(json.dumps(PLACED), "top") == [
        Cell(("core", "array"), "COMB", 2, 1),  # by its nets
        Cell(("core", "array"), "FF", 2, 1),
        Cell(("core", "drain"), "FF", 3, 4),
    ]


def test_a_top_of_another_name_is_written_as_top():
    assert placement(json.dumps(PLACED), "weft_board") == placement(json.dumps(PLACED), "top")


def cells(**counts: int) -> list[Cell]:
    return [Cell(tuple(path.split("_")), "FF", place, 0) for path, count in counts.items() for place in range(count)]


def test_a_module_that_holds_most_is_opened():
    assert units(cells(core_array_x=5, core_drain=4, uart=2)) == [("core", "array"), ("core", "drain"), ("uart",)]


def test_only_so_many_parts():
    assert units(cells(a=1, b=3, c=3), most=2) == [("b",), ("c",)]
    assert units([]) == []


def test_picture_is_xml_with_one_square_per_tile():
    picture = ElementTree.fromstring(draw(cells(a=3, b=4, c=4), "a < b"))
    fills = Counter(
        one.get("fill") for one in picture.iter("{http://www.w3.org/2000/svg}rect") if one.get("width") == str(TILE)
    )
    # Of the tiles with one cell of each part the first is the first part's.
    assert fills == {COLOURS[units(cells(a=3, b=4, c=4)).index(("a",))]: 3, COLOURS[0]: 1}
    assert any(one.text == "a < b" for one in picture.iter())


def test_what_belongs_to_no_part_is_grey():
    picture = draw([Cell((), "FF", 0, 0)], "")
    assert picture.count(OTHER_COLOUR) == 2


def test_same_cells_same_picture():
    some = cells(a=3, b=4, c=4)
    assert draw(some, "x") == draw(some[::-1], "x")
