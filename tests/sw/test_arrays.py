import zipfile
from io import BytesIO

import numpy as np
import pytest
from weft.sw.arrays import Slot, check_output, differences, read_inputs, slots_of, write_outputs
from weft.sw.errors import UserError
from weft.sw.graph import Graph, Tensor

from tests.sw.programs import network

IMAGE = Slot("image", (1, 2, 3), "float32")
BYTES = Slot("bytes", (1, 4), "int8")


def floats(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_samples_are_stacked_on_axis_0(tmp_path):
    np.savez(tmp_path / "in.npz", in_0=floats(5, 2, 3), in_1=np.ones((5, 4), np.int8), names=np.array(["a"]))
    samples = read_inputs(tmp_path / "in.npz", [IMAGE, BYTES])
    assert len(samples) == 5
    assert not samples.leading
    assert np.array_equal(samples.arrays[0], floats(5, 2, 3))
    assert np.array_equal(samples.arrays[1], np.ones((5, 4), np.int8))


def test_samples_may_have_their_leading_axis(tmp_path):
    np.savez(tmp_path / "in.npz", in_0=floats(5, 1, 2, 3))
    samples = read_inputs(tmp_path / "in.npz", [IMAGE])
    assert samples.leading
    assert np.array_equal(samples.arrays[0], floats(5, 2, 3))


def test_one_input_may_be_an_npy_of_either_byte_order(tmp_path):
    np.save(tmp_path / "in.npy", floats(5, 2, 3).astype(">f4"))
    samples = read_inputs(tmp_path / "in.npy", [IMAGE])
    assert samples.arrays[0].dtype == np.float32
    assert np.array_equal(samples.arrays[0], floats(5, 2, 3))


@pytest.mark.parametrize(
    "arrays, sentence",
    [
        ({"x": floats(5, 2, 3)}, "in_0 is missing, which is the model's input 'image'; there is x"),
        ({}, "in_0 is missing, which is the model's input 'image'; there is nothing"),
        ({"in_0": floats(5, 2, 3), "in_1": floats(5)}, "in_1 is too many, the model has 1 input"),
        ({"in_0": floats(5, 3, 2)}, "in_0 (the model's 'image') must have the shape (samples, 2, 3) with at least 1 "
         "sample, not (5, 3, 2)"),
        ({"in_0": floats(0, 2, 3)}, "in_0 (the model's 'image') must have the shape (samples, 2, 3) with at least 1 "
         "sample, not (0, 2, 3)"),
        ({"in_0": np.float32(1)}, "in_0 (the model's 'image') must have the shape (samples, 2, 3) with at least 1 "
         "sample, not ()"),
        ({"in_0": floats(5, 2, 2, 3)}, "in_0 (the model's 'image') must have the shape (samples, 2, 3) with at least 1 "
         "sample, not (5, 2, 2, 3)"),
        ({"in_0": floats(5, 2, 3).astype(float)}, "in_0 (the model's 'image') must be float32, not float64"),
        ({"in_0": np.where(np.arange(5) == 3, np.nan, floats(3, 2, 5)).T.reshape(5, 2, 3).astype(np.float32)},
         "in_0 (the model's 'image') must be numbers, and sample 3 has NaN"),
        ({"in_0": np.array(["a", "b"])}, "in_0 (the model's 'image') must be float32, not <U1"),
    ],
    ids=["name", "none", "count", "shape", "empty", "scalar", "axes", "type", "nan", "text"],
)  # fmt: skip
def test_inputs_that_do_not_suit_the_model(tmp_path, arrays, sentence):
    np.savez(tmp_path / "in.npz", **arrays)
    with pytest.raises(UserError) as refused:
        read_inputs(tmp_path / "in.npz", [IMAGE])
    assert str(refused.value) == f"{tmp_path}/in.npz: {sentence}"


def test_inputs_have_the_same_number_of_samples(tmp_path):
    np.savez(tmp_path / "in.npz", in_0=floats(5, 2, 3), in_1=np.ones((4, 4), np.int8))
    with pytest.raises(UserError, match=r"in\.npz: all inputs must have the same number of samples, not 4 and 5$"):
        read_inputs(tmp_path / "in.npz", [IMAGE, BYTES])


def test_an_npy_holds_one_input(tmp_path):
    np.save(tmp_path / "in.npy", floats(5, 2, 3))
    with pytest.raises(UserError, match=r"the model has 2 inputs, which takes an \.npz with in_0, in_1, \.\.\.$"):
        read_inputs(tmp_path / "in.npy", [IMAGE, BYTES])


def damaged(kind):
    content = BytesIO()
    if kind.endswith(".npz"):
        np.savez_compressed(content, in_0=floats(5, 2, 3))
    else:
        np.save(content, floats(5, 2, 3))
    raw = content.getvalue()
    match kind.split(".")[0]:
        case "cut":
            return raw[: len(raw) // 2]
        case "empty":
            return b""
        case "text":
            return b"hello, world"
        case "objects":
            content = BytesIO()
            np.savez(content, in_0=np.array([{}], object), allow_pickle=True)
            return content.getvalue()
        case "huge":
            content = BytesIO()
            shape = {"descr": "<f4", "fortran_order": False, "shape": (10**13, 2, 3)}
            np.lib.format.write_array_header_1_0(content, shape)
            return content.getvalue()
        case "bits":
            middle = raw.index(b"in_0.npy") + 40
            return raw[:middle] + bytes(byte ^ 0x55 for byte in raw[middle : middle + 20]) + raw[middle + 20 :]
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *(f"{what}.{suffix}" for what in ("cut", "empty", "text") for suffix in ("npz", "npy")),
        "objects.npz",
        "huge.npy",
        "bits.npz",
    ],
)
def test_damaged_files_are_told(tmp_path, kind):
    path = tmp_path / kind
    path.write_bytes(damaged(kind))
    with pytest.raises(UserError) as refused:
        read_inputs(path, [IMAGE])
    assert str(refused.value) == f"{path}: this is not a {path.suffix} file of numbers, or it is damaged"


def test_every_cut_of_a_file_is_told(tmp_path):
    path = tmp_path / "in.npz"
    np.savez(path, in_0=floats(1, 2, 3))
    raw = path.read_bytes()
    for length in range(0, len(raw), 7):
        path.write_bytes(raw[:length])
        with pytest.raises(UserError, match=r"^[^\n]*in\.npz: this is not a \.npz file of numbers, or it is damaged$"):
            read_inputs(path, [IMAGE])


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("none.npz", "no such file, expected the inputs"),
        ("folder.npz", "this is a folder, expected a file of inputs"),
        ("in.csv", "the input must be an .npz or .npy file"),
        ("bytes.npz", "in_0 is not an array of numbers"),
    ],
)
def test_files_that_hold_no_inputs(tmp_path, name, sentence):
    (tmp_path / "folder.npz").mkdir()
    with zipfile.ZipFile(tmp_path / "bytes.npz", "w") as archive:
        archive.writestr("in_0", b"text")
    with pytest.raises(UserError) as refused:
        read_inputs(tmp_path / name, [IMAGE])
    assert str(refused.value) == f"{tmp_path / name}: {sentence}"


@pytest.mark.parametrize("leading", [False, True])
def test_outputs_are_named_in_order_and_shaped_like_the_inputs(tmp_path, leading):
    one, two = floats(3, 4), np.ones((3, 2), np.int8)
    write_outputs(tmp_path / "out.npz", [one, two], leading)
    with np.load(tmp_path / "out.npz") as found:
        assert found.files == ["out_0", "out_1"]
        assert found["out_0"].shape == ((3, 1, 4) if leading else (3, 4))
        assert np.array_equal(found["out_0"].reshape(3, 4), one)
        assert found["out_1"].dtype == np.int8


def test_one_output_may_be_an_npy(tmp_path):
    write_outputs(tmp_path / "out.npy", [floats(3, 4)], False)
    assert np.array_equal(np.load(tmp_path / "out.npy"), floats(3, 4))


def test_equal_outputs_give_equal_files(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_outputs(tmp_path / name, [floats(3, 4)], False)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_place_of_outputs_is_checked_before_the_work(tmp_path):
    check_output(tmp_path / "out.npz", [IMAGE, BYTES])
    check_output(tmp_path / "out.npy", [IMAGE])
    for name, slots, sentence in (
        ("out.npy", [IMAGE, BYTES], "the model has 2 outputs, which takes an .npz"),
        ("out.txt", [IMAGE], "the output must be an .npz or .npy file"),
        ("none/out.npz", [IMAGE], f"the folder {tmp_path}/none does not exist"),
    ):
        with pytest.raises(UserError) as refused:
            check_output(tmp_path / name, slots)
        assert str(refused.value) == f"{tmp_path / name}: {sentence}"


def test_slots_are_what_the_user_sees():
    inputs, outputs = slots_of(network())
    assert inputs == [Slot("x", (1, 1, 2, 2), "float32")]
    assert outputs == [Slot("y", (1, 4), "int8")]
    assert inputs[0].text == "(samples, 1, 2, 2)"
    tensors = {"a": Tensor("a", (1, 3), "float32"), "b": Tensor("b", (1, 2), "int8")}
    assert slots_of(Graph("g", tensors, (), ("a",), ("b",))) == (
        [Slot("a", (1, 3), "float32")],
        [Slot("b", (1, 2), "int8")],
    )


def test_differences_are_counted_in_bits():
    nan = np.float32(np.nan)
    one = np.array([[0.0, 1.0, nan]], np.float32)
    assert differences([one], [one.copy()]) == (0, 3)
    assert differences([one], [np.array([[-0.0, 1.0, nan]], np.float32)]) == (1, 3)
    assert differences([one, one], [one, one + 1]) == (2, 6)
    with pytest.raises(ValueError, match=r"^float32 of \(1, 3\) cannot be compared with float64 of \(1, 3\)$"):
        differences([one], [one.astype(float)])
