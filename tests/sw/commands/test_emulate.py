"""A user's session: a board in simulation in one process, a model on it from another."""

import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
from weft.sw.commands.shared import LENET

from tests.boards import BOARD
from tests.sw.command_line import PROGRAM, refusal, weft


@contextmanager
def emulated(folder):
    """The name of the port behind which `weft emulate` has a board."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "emulate", BOARD.name],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said


def test_lenet_on_a_port_gives_the_golden_bytes(tmp_path):
    np.savez(tmp_path / "in.npz", in_0=np.random.default_rng(0).random((2, 1, 28, 28)).astype(np.float32))
    files = ("--input", "in.npz", "--output")
    with emulated(tmp_path) as port:
        done = weft("run", LENET, "--on", port, *files, "out.npz", "--report", "r.json", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        other = refusal("run", LENET, "--on", port, "--preset", "small", *files, "no.npz", folder=tmp_path)
    assert weft("run", LENET, "--on", "golden", *files, "golden.npz", folder=tmp_path).returncode == 0
    out, golden = (np.load(tmp_path / name)["out_0"] for name in ("out.npz", "golden.npz"))
    assert (out == golden).all()
    assert "conv1" in done.stdout
    assert other.startswith(f"the board at {port} was built for configuration {BOARD.config.digest32:08x}, not for ")
    assert not (tmp_path / "no.npz").exists()


def test_places_where_nothing_runs(tmp_path):
    np.savez(tmp_path / "in.npz", in_0=np.zeros((1, 1, 28, 28), np.float32))
    files = ("--input", "in.npz", "--output", "out.npz")
    assert refusal("run", LENET, "--on", "moon", *files, folder=tmp_path) == (
        "--on must be rtl, machine, golden or a serial port such as /dev/ttyUSB0, not 'moon'"
    )
    assert refusal("run", LENET, "--on", "/dev/ttyNONE", *files, folder=tmp_path) == (
        "the serial port /dev/ttyNONE cannot be opened: No such file or directory"
    )
