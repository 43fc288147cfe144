from weft.fpga.boards import BOARDS

from tests.sw.command_line import weft


def test_table_has_all_boards(tmp_path):
    done = weft("boards", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split()[0] == "board"
    assert [row.split()[0] for row in rows if not row.startswith(" ")] == list(BOARDS)
