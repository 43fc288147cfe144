from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from weft.gen.presets import LARGEST_FILE, PRESETS, load_config
from weft.rtl.config import Config

SIDES = {"nano": (4, 4), "tiny": (4, 4), "small": (8, 8), "medium": (16, 8), "large": (16, 16), "huge": (64, 64)}


def complaint(**choice: Any) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:
        load_config(**choice)
    return str(caught.value)


def test_presets_have_their_sizes() -> None:
    assert {name: (config.rows, config.cols) for name, config in PRESETS.items()} == SIDES


def test_presets_grow() -> None:
    sizes = [
        (one.macs_per_cycle, one.scratchpad_bytes, one.weight_tiles * one.rows * one.cols, one.lanes, one.memory_width)
        for one in PRESETS.values()
    ]
    for smaller, larger in pairwise(sizes):
        assert all(a <= b for a, b in zip(smaller, larger, strict=True))


def test_memory_sizes_make_sense_together() -> None:
    for name, config in PRESETS.items():
        # LeNet-5 (61,470 weights) is resident; a tile's sums drain while others accumulate.
        assert config.weight_tiles * config.rows * config.cols >= 61_470, name
        assert config.weight_space_bytes == config.weight_tiles * config.rows * config.cols, name
        assert config.accumulators >= 2 * (config.rows + config.cols), name


def test_without_choice_the_parameters_have_their_defaults() -> None:
    assert load_config() == Config() == PRESETS["tiny"]


def test_preset_file_and_settings_apply_in_this_order(tmp_path: Path) -> None:
    file = tmp_path / "npu.toml"
    file.write_text("rows = 16\ncols = 16\naxi = false\n")
    expected = PRESETS["small"].replace(rows=16, cols=32, axi=False)
    assert load_config("small", file, ["cols=32"]) == expected


def test_file_names_the_preset_it_starts_from(tmp_path: Path) -> None:
    file = tmp_path / "npu.toml"
    file.write_text('preset = "large"\nlanes = 4\n')
    assert load_config(file=file) == PRESETS["large"].replace(lanes=4)
    assert load_config("large", file) == PRESETS["large"].replace(lanes=4)


@pytest.mark.parametrize(
    "text, changes",
    [
        ("rows=16", {"rows": 16}),
        (" rows = 16 ", {"rows": 16}),
        ("scratchpad_bytes=0x8000", {"scratchpad_bytes": 32768}),
        ("scratchpad_bytes=65_536", {"scratchpad_bytes": 65536}),
        ("counters=false", {"counters": False}),
    ],
)
def test_setting_is_written_as_in_toml(text: str, changes: dict[str, int]) -> None:
    assert load_config("small", settings=[text]) == PRESETS["small"].replace(**changes)


def test_parameters_are_checked_together_not_one_by_one() -> None:
    assert load_config(settings=["weight_rows=3", "rows=6"]).weight_steps == 2


PARAMETERS = ", ".join(Config.__dataclass_fields__)


@pytest.mark.parametrize(
    "settings, message",
    [
        (["rows=0"], "rows must be a positive integer, not 0"),
        (["rows=many"], "rows must be a positive integer, not 'many'"),
        (["rows=4.0"], "rows must be a positive integer, not 4.0"),
        (["rows=true"], "rows must be a positive integer, not True"),
        (["axi=1"], "axi must be true or false, not 1"),
        (["rows=129"], "rows must be at most 128, not 129"),
        (["rows=5", "weight_rows=2"], "weight_rows must be a divisor of rows (5), not 2"),
        (["scratchpad_bytes=1000"], "scratchpad_bytes must be a power of two from 16 to 16777216, not 1000"),
        (["rowz=4"], f"rowz is not a parameter; the parameters are {PARAMETERS}"),
        (["rows"], "a setting must be PARAMETER=VALUE, not 'rows'"),
        (["=4"], "a setting must be PARAMETER=VALUE, not '=4'"),
        (["rows="], "a setting must be PARAMETER=VALUE, not 'rows='"),
        (["rows=4\ncols=5"], "rows must be a positive integer, not '4\\ncols=5'"),
        (["rows=" + "1" * 5000], f"rows must be a positive integer, not '{'1' * 59}..."),
        (["rows=0x" + "f" * 5000], "rows must be at most 128, not a value that is too long to show"),
        (["rows=" + "[" * 5000], f"rows must be a positive integer, not '{'[' * 59}..."),
    ],
)
def test_wrong_setting_is_one_sentence(settings: list[str], message: str) -> None:
    said = complaint(settings=settings)
    assert said == message


def test_unknown_preset_lists_the_presets() -> None:
    said = complaint(preset="giant")
    assert said == "'giant' is not a preset; the presets are nano, tiny, small, medium, large, huge"


@pytest.mark.parametrize(
    "text, message",
    [
        ("rows = 8\ncols = 0\n", "{file}, line 2: cols must be a positive integer, not 0"),
        ("# rows\n\nrowz = 8\n", f"{{file}}, line 3: rowz is not a parameter; the parameters are {PARAMETERS}"),
        ("[rows]\n", "{file}, line 1: rows must be a positive integer, not {}"),
        (
            'rows = 8\npreset = "giant"',
            "{file}, line 2: 'giant' is not a preset; the presets are nano, tiny, small, medium, large, huge",
        ),
        ("preset = 4", "{file}, line 1: 4 is not a preset; the presets are nano, tiny, small, medium, large, huge"),
    ],
)
def test_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "npu.toml"
    file.write_text(text)
    said = complaint(file=file)
    assert said == message.replace("{file}", str(file))


def test_toml_error_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "npu.toml"
    file.write_text("rows = 8\ncols = = 8\n")
    said = complaint(file=file)
    assert said.startswith(f"{file} is not TOML: ")
    assert "line 2" in said


def test_setting_at_fault_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    file = tmp_path / "npu.toml"
    file.write_text("rows = 8\n")
    said = complaint(file=file, settings=["rows=0"])
    assert said == "rows must be a positive integer, not 0"


def test_two_presets_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "npu.toml"
    file.write_text('preset = "large"\n')
    said = complaint(preset="small", file=file)
    assert said == f"{file}, line 1: preset is 'large', but 'small' was asked for"


def test_missing_file_is_named(tmp_path: Path) -> None:
    said = complaint(file=tmp_path / "none.toml")
    assert said == f"the configuration file {tmp_path / 'none.toml'} does not exist"


def test_folder_is_no_configuration_file(tmp_path: Path) -> None:
    said = complaint(file=tmp_path)
    assert said == f"the configuration file {tmp_path} cannot be read: Is a directory"


def test_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "npu.toml"
    file.write_bytes(b"rows = 8 # \xff\n")
    said = complaint(file=file)
    assert said == f"the configuration file {file} is not UTF-8 text"


@pytest.mark.parametrize(
    "text, message",
    [
        ("rows = " + "1" * 5000, "{file} is not TOML: a number in it has too many digits"),
        ("rows = " + "[" * 5000, "{file} is not TOML: it is nested too deeply"),
        ("#" * (LARGEST_FILE + 1), f"the configuration file {{file}} has more than {LARGEST_FILE} bytes"),
    ],
)
def test_what_python_cannot_read_is_told(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "npu.toml"
    file.write_text(text)
    assert complaint(file=file) == message.replace("{file}", str(file))
