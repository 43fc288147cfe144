"""Reading MNIST's files, and the enlarged digits of scikit-learn."""

import gzip
import hashlib
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from weft.sw.datasets import read_idx, read_mnist, scikit_digits, to_input
from weft.sw.errors import UserError


def idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


def random_images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def write_mnist(folder: Path, split: str, images: np.ndarray, labels: np.ndarray) -> None:
    (folder / f"{split}-images-idx3-ubyte").write_bytes(idx(images))
    (folder / f"{split}-labels-idx1-ubyte").write_bytes(idx(labels))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["file", "file.gz"])
@pytest.mark.parametrize("shape", [(5,), (0,), (2, 3), (3, 28, 28)], ids=str)
def test_idx_is_read_plain_and_compressed_whatever_its_name(tmp_path, pack, name, shape):
    expected = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    (tmp_path / name).write_bytes(pack(idx(expected)))
    array = read_idx(tmp_path / name)
    assert array.dtype == np.uint8
    assert array.flags.writeable
    np.testing.assert_array_equal(array, expected, strict=True)


GOOD = idx(np.zeros((2, 3)))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "truncated, expected an idx header of at least 4 bytes, not 0"),
        (GOOD[:3], "truncated, expected an idx header of at least 4 bytes, not 3"),
        (GOOD[:11], "truncated, expected an idx header of 12 bytes, not 11"),
        (GOOD[:-1], "truncated, expected 18 bytes for shape (2, 3), not 17"),
        (GOOD + b"\0", "too long, expected 18 bytes for shape (2, 3), not 19"),
        (b"\x00\x00\x0d\x02" + GOOD[4:], "wrong magic 0x00000d02, expected idx of unsigned bytes"),
        (b"\x00\x00\x08\x00", "wrong magic 0x00000800, expected idx of unsigned bytes"),
        (b"\x89PNG\r\n", "wrong magic 0x89504e47, expected idx of unsigned bytes"),
        (gzip.compress(GOOD, mtime=0)[:-9], "gzip data is truncated or damaged"),
        (gzip.compress(GOOD, mtime=0)[:-8] + bytes(8), "gzip data is truncated or damaged"),
        (gzip.compress(GOOD, mtime=0)[:10] + b"\xff" * 9, "gzip data is truncated or damaged"),
        (gzip.compress(GOOD[:-1], mtime=0), "truncated, expected 18 bytes for shape (2, 3), not 17"),
    ],
)
def test_a_bad_idx_file_is_named_and_explained(tmp_path, content, message):
    path = tmp_path / "digits"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{re.escape(f'{path}: {message}')}.*$"):
        read_idx(path)


def test_a_missing_idx_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UserError, match=r"absent: no such file, expected an idx file"):
        read_idx(tmp_path / "absent")
    with pytest.raises(UserError, match=r": cannot be read \("):
        read_idx(tmp_path)


def test_mnist_reads_the_split_asked_for(tmp_path):
    for split, count in (("t10k", 3), ("train", 7)):
        write_mnist(tmp_path, split, random_images(count, seed=count), np.arange(count))
    plain = tmp_path / "train-images-idx3-ubyte"
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()

    for split, count in (("t10k", 3), ("train", 7)):
        digits = read_mnist(str(tmp_path), split)
        np.testing.assert_array_equal(digits.images, random_images(count, seed=count), strict=True)
        np.testing.assert_array_equal(digits.labels, np.arange(count, dtype=np.uint8), strict=True)
    assert len(read_mnist(tmp_path).labels) == 3


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (np.zeros((2, 28, 27)), np.zeros(2), "images-idx3-ubyte: expected images of shape (N, 28, 28)"),
        (np.zeros(784), np.zeros(1), "images-idx3-ubyte: expected images of shape (N, 28, 28), not (784,)"),
        (np.zeros((2, 28, 28)), np.zeros(3), "labels-idx1-ubyte: expected labels of shape (2,), not (3,)"),
        (np.zeros((1, 28, 28)), np.zeros((1, 1)), "labels-idx1-ubyte: expected labels of shape (1,), not"),
        (np.zeros((2, 28, 28)), np.array([9, 10]), "labels-idx1-ubyte: expected labels 0 to 9, not 10"),
    ],
)
def test_files_that_are_not_mnist_are_refused(tmp_path, images, labels, message):
    write_mnist(tmp_path, "t10k", images, labels)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/t10k-{message}")):
        read_mnist(tmp_path)


def test_a_missing_mnist_file_is_named_with_its_folder(tmp_path):
    write_mnist(tmp_path, "t10k", random_images(1, seed=0), np.zeros(1))
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    names = "neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte.gz is there"
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}: {names}, expected the files of MNIST")):
        read_mnist(tmp_path)


def test_an_unknown_split_or_part_is_refused(tmp_path):
    with pytest.raises(ValueError, match="split must be 't10k' or 'train', not 'test'"):
        read_mnist(tmp_path, "test")
    with pytest.raises(ValueError, match="part must be 'held', 'train' or 'all', not 'half'"):
        scikit_digits("half")


def test_the_two_halves_of_the_digits_alternate():
    every, train, held = scikit_digits("all"), scikit_digits("train"), scikit_digits()
    assert (len(every.labels), len(train.labels), len(held.labels)) == (1797, 899, 898)
    assert every.images.shape == (1797, 28, 28)
    assert (every.images.dtype, every.labels.dtype) == (np.uint8, np.uint8)
    for which in range(2):
        np.testing.assert_array_equal(every[which][0::2], train[which], strict=True)
        np.testing.assert_array_equal(every[which][1::2], held[which], strict=True)
    np.testing.assert_array_equal(every.labels, load_digits().target)


def enlarged(scan: np.ndarray) -> np.ndarray:
    """The definition in exact fractions, pixel by pixel."""

    def neighbours(position: int) -> list[tuple[int, Fraction]]:
        centre = Fraction(2 * position + 1, 2) * Fraction(8, 20) - Fraction(1, 2)
        centre = min(max(centre, Fraction(0)), Fraction(7))
        first = int(centre)
        return [(first, 1 - (centre - first)), (min(first + 1, 7), centre - first)]

    image = np.zeros((28, 28), np.uint8)
    for y in range(20):
        for x in range(20):
            level = sum(a * b * int(scan[j, i]) for j, a in neighbours(y) for i, b in neighbours(x)) / 16
            ink = min(max(255 * Fraction(3, 2) * (level - Fraction(1, 5)), Fraction(0)), Fraction(255))
            image[4 + y, 4 + x] = int(ink + Fraction(1, 2))
    return image


@pytest.mark.parametrize("index", [0, 8, 777, 1796])
def test_enlarging_is_bilinear_then_steeper(index):
    scan = load_digits().images[index].astype(int)
    np.testing.assert_array_equal(scikit_digits("all").images[index], enlarged(scan), strict=True)


def test_the_digits_are_the_bytes_the_network_was_trained_with():
    digest = hashlib.sha256(scikit_digits("all").images.tobytes()).hexdigest()
    assert digest == "0456ccbaabbd527bd4c6389a793ffc85b34541ee1ae4136df5b4c42f4d5ffb66"


def test_missing_scikit_learn_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UserError, match=r"^the digits come with scikit-learn, but .* not installed: .*$"):
        scikit_digits()


def test_importing_the_module_does_not_import_scikit_learn():
    code = "import sys, weft.sw.datasets; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_input_is_every_level_divided_by_255():
    images = np.resize(np.arange(256, dtype=np.uint8), (2, 28, 28))
    inputs = to_input(images)
    assert inputs.shape == (2, 1, 28, 28)
    assert inputs.dtype == np.float32
    exact = np.array([np.float32(level / 255) for level in range(256)])
    np.testing.assert_array_equal(inputs[:, 0], exact[images], strict=True)


@pytest.mark.parametrize(
    "images, found",
    [
        (np.zeros((1, 28, 28), np.float32), "float32 of (1, 28, 28)"),
        (np.zeros((28, 28), np.uint8), "uint8 of (28, 28)"),
        (np.zeros((1, 8, 8), np.uint8), "uint8 of (1, 8, 8)"),
    ],
)
def test_input_of_another_shape_or_type_is_refused(images, found):
    sentence = f"images must be uint8 of shape (N, 28, 28), not {found}"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        to_input(images)
