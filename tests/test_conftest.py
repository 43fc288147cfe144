"""The rule that a skip is a failure in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = {
    "in_test": "import pytest\ndef test_it():\n    pytest.skip('no tool')\n",
    "by_mark": "import pytest\n@pytest.mark.skip(reason='no tool')\ndef test_it():\n    pass\n",
    "in_fixture": (
        "import pytest\n@pytest.fixture\ndef tool():\n    pytest.skip('no tool')\ndef test_it(tool):\n    pass\n"
    ),
    "of_module": "import pytest\npytest.skip('no tool', allow_module_level=True)\n",
}
EXPECTED_FAILURE = {"expected": "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_it():\n    assert False\n"}
SHARED = {"shared": "def test_it(shared):\n    assert (shared / 'here').is_file()\n"}


def run(folder: Path, tests: dict[str, str], root: Path, **variables: str) -> tuple[int, str]:
    """Run tests beside a copy of conftest.py; pytest's exit status and output."""
    (folder / "conftest.py").write_text((root / "tests" / "conftest.py").read_text())
    for name, text in tests.items():
        (folder / f"test_{name}.py").write_text(text)
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "WEFT_NO_SKIP")}
    options = ["-q", "-p", "no:cacheprovider", "--continue-on-collection-errors", "--rootdir", folder]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, folder],
        env=environment | variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("variable, value", [("CI", "true"), ("WEFT_NO_SKIP", "1")])
def test_skip_is_a_failure_in_ci(tmp_path: Path, root: Path, variable: str, value: str) -> None:
    status, output = run(tmp_path, SKIPS | EXPECTED_FAILURE, root, **{variable: value})
    assert status == 1
    assert output.splitlines()[-1].startswith("1 failed, 1 xfailed, 3 errors")
    assert output.count("a skip, where CI or WEFT_NO_SKIP allows none") >= len(SKIPS)


@pytest.mark.parametrize("variables", [{}, {"CI": "false", "WEFT_NO_SKIP": "0"}], ids=str)
def test_skip_is_a_skip_elsewhere(tmp_path: Path, root: Path, variables: dict[str, str]) -> None:
    status, output = run(tmp_path, SKIPS | EXPECTED_FAILURE, root, **variables)
    assert status == 0
    assert output.splitlines()[-1].startswith("4 skipped, 1 xfailed")


def test_shared_is_where_the_variable_says(tmp_path: Path, root: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "here").touch()
    assert run(tmp_path, SHARED, root, WEFT_SHARED=str(data))[0] == 0


def test_missing_shared_is_named(tmp_path: Path, root: Path) -> None:
    status, output = run(tmp_path, SHARED, root, WEFT_SHARED=str(tmp_path / "gone"), CI="true")
    assert status == 1
    assert f"the shared data {tmp_path / 'gone'} is missing" in output
