"""2,000 damaged models of other people's: each is read and lowered, or refused in one sentence, at once and in little
memory. No traceback, no warning, no hang."""

import json
import subprocess
import sys

import pytest

MODELS = (
    "ad_autoencoder_int8.tflite",
    "hello_world_int8.tflite",
    "kws_dscnn_int8.tflite",
    "micro_speech_int8.tflite",
    "resnet8_int8.tflite",
    "lenet5_fyh620_qdq_s8s8.onnx",
    "resnet8_qdq.onnx",
)

GROUP = 96
GROUPS = [(name, first) for name in MODELS for first in range(0, 3 * GROUP, GROUP)]
"""Model and first seed."""

SECONDS = 5
"""For each."""

MEMORY = 1 << 30
"""For all of a group, the interpreter and what it imports included."""


def test_there_are_2000():
    assert len(GROUPS) * GROUP >= 2000


@pytest.mark.parametrize("name, first", GROUPS)
def test_damaged_models(shared, root, tmp_path, name, first):
    arguments = [str(shared / "models" / name), str(first), str(GROUP), str(tmp_path)]
    command = [sys.executable, "-W", "error", "-m", "tests.models.mutations", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=GROUP * SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["seconds"] < SECONDS
    assert found["bytes"] < MEMORY
    assert found["refused"] > GROUP // 10
    assert found["read"] > GROUP // 20
