import re
import sys

import numpy as np
import pytest
from weft.sim.transports import MachineTransport
from weft.sw import cli
from weft.sw.commands import demo as commands_demo
from weft.sw.datasets import scikit_digits
from weft.sw.driver import Device

from tests.sw.command_line import refusal, weft
from tests.sw.mnist import write_mnist


def test_digits_on_the_rtl_are_checked_and_shown(tmp_path):
    done = weft("demo", "--samples", "4", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "all 40 outputs of the RTL equal the golden operators', bit for bit" in done.stdout
    assert re.search(r"^[34] of 4 digits read right", done.stdout, re.MULTILINE)
    assert re.search(r"^Running 4 digits on the RTL \d+\.\d s$", done.stdout, re.MULTILINE)
    assert re.search(r"^total +416,520 +[\d,]+ +[\d,]+ +\d\d\.\d% *$", done.stdout, re.MULTILINE)
    assert "█" in done.stdout
    for digit in scikit_digits().labels[:2]:
        assert f"read as {digit}" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def quick(monkeypatch):
    """The functional machine in place of the RTL; its outputs pass through the function that is returned's argument."""
    spoil = []

    def simulate(program, inputs, library, progress):
        result = Device(MachineTransport(program.config)).run(program, inputs, progress)
        for change in spoil:
            change(result.outputs["logits"])
        return result

    monkeypatch.setattr(commands_demo, "build_simulation", lambda config, steps: None)
    monkeypatch.setattr(commands_demo, "simulate", simulate)
    return spoil.append


def demo(monkeypatch, *arguments):
    """The exit status of `weft demo` in this process."""
    monkeypatch.setattr(sys, "argv", ["weft", "demo", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_one_wrong_bit_fails(monkeypatch, capsys, quick):
    def flip(logits):
        logits.view(np.uint8)[2, 5] ^= 1

    quick(flip)
    assert demo(monkeypatch, "--samples", "3") == commands_demo.FAILED
    said = capsys.readouterr()
    assert said.err == "weft: 1 of 30 outputs of the RTL differ from those of the golden operators\n"
    assert "bit for bit" not in said.out


def test_mnist_comes_from_its_folder_and_misread_digits_are_shown(monkeypatch, capsys, quick, tmp_path):
    digits = scikit_digits()
    labels = digits.labels[:5].copy()
    labels[3] = (labels[3] + 1) % 10
    write_mnist(tmp_path / "mnist", digits.images[:5], labels)
    assert demo(monkeypatch, "--mnist", str(tmp_path / "mnist"), "--preset", "tiny") == 0
    said = capsys.readouterr().out
    assert "Running 5 digits" in said
    assert "array of 4x4" in said
    assert re.search(r"^4 of 5 digits read right, 80\.00%", said, re.MULTILINE)
    assert f"a {labels[3]} read as {digits.labels[3]}" in said


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--preset", "giant"], "'giant' is not a preset; the presets are nano, tiny, small, medium, large, huge"),
        (
            ["--mnist", "none"],
            "none: neither t10k-images-idx3-ubyte nor t10k-images-idx3-ubyte.gz is there, expected the files of MNIST",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence(tmp_path, arguments, sentence):
    assert refusal("demo", *arguments, folder=tmp_path) == sentence
