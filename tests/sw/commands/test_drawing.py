import numpy as np
from rich.console import Console
from weft.sw.commands.drawing import draw, gallery


def image(*cells):
    made = np.zeros((28, 28), np.uint8)
    for row, column in cells:
        made[row, column] = 255
    return made


def test_two_pixels_share_a_character():
    lines = draw(image((4, 4), (5, 5), (6, 6), (7, 6), (23, 23))).plain.split("\n")
    assert len(lines) == 10
    assert {len(line) for line in lines} == {20}
    assert lines[0][:3] == "▀▄ "
    assert lines[1][2] == "█"
    assert lines[9][19] == "▄"


def test_the_margin_is_cut_off_and_faint_ink_is_not_drawn():
    faint = image((0, 0), (27, 27))
    faint[10, 10] = 100
    assert set(draw(faint).plain) == {" ", "\n"}


def test_a_gallery_says_what_was_read():
    console = Console(width=80, force_terminal=True, color_system="standard")
    with console.capture() as shown:
        console.print(gallery([image(), image()], [3, 8], [3, 1]))
    text = shown.get()
    assert "\x1b[32mread as 3" in text
    assert "\x1b[31ma 8 read as 1" in text
