import json
import subprocess
import sys
from pathlib import Path

import pytest
from weft.gen import generate as module
from weft.gen.generate import generate
from weft.gen.presets import PRESETS

from tests.gen.linting import lint

NAMES = ["npu.v", "npu.json", "npu.h"]
TINY = PRESETS["tiny"]


def test_three_files_of_one_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    files = generate(TINY, folder)
    assert files == [folder / name for name in NAMES]
    assert sorted(folder.iterdir()) == sorted(files)
    for file in files:
        assert TINY.digest in file.read_text()


def test_same_configuration_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = ([file.read_bytes() for file in generate(TINY, tmp_path / name)] for name in "ab")
    assert first == second


def test_other_configuration_gives_other_bytes(tmp_path: Path) -> None:
    other = TINY.replace(cols=2)
    for before, after in zip(generate(TINY, tmp_path / "a"), generate(other, tmp_path / "b"), strict=True):
        assert before.read_bytes() != after.read_bytes()


def test_failure_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        (tmp_path / name).write_text("old")

    def fail(*_: object) -> str:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(module, "to_header", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        generate(TINY, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(NAMES, "old")


HUGE = """
import resource, sys
from weft.gen.generate import generate
from weft.gen.presets import PRESETS
generate(PRESETS["huge"], sys.argv[1])
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(one.ru_utime + one.ru_stime for one in used))
"""


def test_huge_is_generated_in_a_minute_and_lints_clean(tmp_path: Path) -> None:
    """Processor time, for other tests run beside this one."""
    done = subprocess.run(
        [sys.executable, "-c", HUGE, tmp_path], capture_output=True, text=True, timeout=600, check=True
    )
    assert float(done.stdout) < 60
    description = json.loads((tmp_path / "npu.json").read_text())
    assert description["derived"]["macs_per_cycle"] == 4096
    assert lint(tmp_path) == "status 0"
