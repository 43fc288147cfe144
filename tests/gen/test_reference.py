from pathlib import Path

import pytest
from weft.gen import reference
from weft.rtl import config, isa, registers


def test_pages_are_current() -> None:
    assert reference.stale(reference.DOCS) == [], "run python -m weft.gen.reference"


def test_every_definition_is_on_its_page() -> None:
    pages = reference.pages()
    for name in config.Config.__dataclass_fields__:
        assert f"| `{name}` |" in pages["configuration.md"]
    for opcode in isa.LAYOUTS:
        assert f"\n## {opcode.name}\n" in pages["instructions.md"]
        for name, (bit, shape) in isa.fields(opcode).items():
            if bit >= isa.HEADER.size:
                sign = ", signed" if shape.signed else ""
                assert f"| {bit} | {shape.width}{sign} | `{name}` |" in pages["instructions.md"]
    for register in registers.REGISTERS:
        if register.offset < registers.COUNTERS_OFFSET:
            assert f"| `{register.offset:#05x}` | `{register.name}` |" in pages["registers.md"]
    for cause in registers.ErrorCause:
        assert f"| {cause.value} | `{cause.name}` |" in pages["registers.md"]


def test_tables_have_as_many_cells_in_every_row() -> None:
    for page in reference.pages().values():
        for block in page.split("\n\n"):
            if block.startswith("| "):
                assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1, block


def test_texts_under_assignments_are_found() -> None:
    found = reference.texts(isa)
    assert found["Rounding.NEAREST_EVEN"] == "ONNX: the exact product is rounded once, ties to even."
    assert found["CONV"].startswith("Passes of the array")
    assert found["CONV"].splitlines()[1:3] == ["", "    pass = 0"]


def test_check_names_what_is_not_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--docs", str(tmp_path)]
    assert reference.main([*arguments, "--check"]) == 1
    assert list(tmp_path.iterdir()) == []
    assert reference.main(arguments) == 0
    assert reference.main([*arguments, "--check"]) == 0
    capsys.readouterr()
    with (tmp_path / "registers.md").open("a") as page:
        page.write("more\n")
    (tmp_path / "instructions.md").unlink()
    assert reference.main([*arguments, "--check"]) == 1
    output = capsys.readouterr()
    assert output.err == "not current: instructions.md, registers.md; run python -m weft.gen.reference\n"
