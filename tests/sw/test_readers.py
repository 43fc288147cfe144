"""The reader is chosen by what is in the file."""

import shutil

import pytest
from weft.sw.errors import UserError
from weft.sw.readers import read_model


@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".bin", ""])
@pytest.mark.parametrize("name", ["hello_world_int8.tflite", "lenet5_fyh620_qdq_s8s8.onnx"])
def test_content_decides(name, suffix, shared, tmp_path):
    path = tmp_path / f"model{suffix}"
    shutil.copy(shared / "models" / name, path)
    if name.endswith(".onnx") and suffix == ".tflite":
        with pytest.raises(UserError, match=r"this is not a TFLite model: the identifier TFL3 is missing$"):
            read_model(path)
        return
    kinds = {type(one).__name__ for one in read_model(path).operators}
    assert ("MaxPool2D" in kinds) == name.endswith(".onnx")


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_neither(content, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"this is not an ONNX model"):
        read_model(path)


def test_no_file_and_no_file_at_all(tmp_path):
    with pytest.raises(UserError, match=r"the model cannot be read: No such file or directory$"):
        read_model(tmp_path / "missing")
    with pytest.raises(UserError, match=r"the model cannot be read: Is a directory$"):
        read_model(tmp_path)
