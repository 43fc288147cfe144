"""Handwritten digits to train, calibrate and try networks on: MNIST from its files, and scikit-learn's own.

MNIST: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", Proceedings
of the IEEE 86(11), 1998. scikit-learn's digits: the test part of Alpaydin and Kaynak, "Optical Recognition of
Handwritten Digits", UCI machine learning repository, 1,797 scans of 8x8 pixels by 13 writers.
"""

import gzip
import math
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from weft.sw.errors import UserError

_UBYTE = 0x08  # idx's code for unsigned bytes, the only element type MNIST uses
_GZIP_MAGIC = b"\x1f\x8b"
_SIDE = 28
_PARTS = {"all": slice(None), "train": slice(0, None, 2), "held": slice(1, None, 2)}


class Digits(NamedTuple):
    """Images (N, 28, 28) uint8, 0 is background and 255 is ink; labels (N,) uint8, 0 to 9."""

    images: np.ndarray
    labels: np.ndarray


def read_idx(path: Path | str) -> np.ndarray:
    """Read one idx file of unsigned bytes, plain or gzip (told apart by content, not by name).

    The format is two zero bytes, the element type, the number of dimensions, each dimension as a big-endian
    32-bit word, then the elements in row order.

    Raises UserError, naming the file, if it is missing, unreadable, not idx, or not as long as its header
    says.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, expected an idx file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if data.startswith(_GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"{path}: gzip data is truncated or damaged ({error})") from error

    if len(data) < 4:
        raise UserError(f"{path}: truncated, expected an idx header of at least 4 bytes, not {len(data)}")
    if data[:3] != bytes((0, 0, _UBYTE)) or data[3] == 0:
        raise UserError(
            f"{path}: wrong magic 0x{data[:4].hex()},"
            " expected idx of unsigned bytes, 0x000008 and the number of dimensions"
        )
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise UserError(f"{path}: truncated, expected an idx header of {header} bytes, not {len(data)}")
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, header, 4))
    expected = header + math.prod(shape)
    if len(data) != expected:
        fault = "truncated" if len(data) < expected else "too long"
        raise UserError(f"{path}: {fault}, expected {expected} bytes for shape {shape}, not {len(data)}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape).copy()


def read_mnist(folder: Path | str, split: Literal["t10k", "train"] = "t10k") -> Digits:
    """Read the 60,000 training or 10,000 test images of MNIST from its files in `folder`, each plain or .gz.

    Raises UserError if a file is missing or not what its name says.
    """
    if split not in ("t10k", "train"):
        raise ValueError(f"split must be 't10k' or 'train', not {split!r}")
    images_path = _plain_or_gz(Path(folder), f"{split}-images-idx3-ubyte")
    labels_path = _plain_or_gz(Path(folder), f"{split}-labels-idx1-ubyte")
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.shape[1:] != (_SIDE, _SIDE):
        raise UserError(f"{images_path}: expected images of shape (N, 28, 28), not {images.shape}")
    if labels.shape != images.shape[:1]:
        raise UserError(f"{labels_path}: expected labels of shape ({len(images)},), not {labels.shape}")
    if labels.size and labels.max() > 9:
        raise UserError(f"{labels_path}: expected labels 0 to 9, not {labels.max()}")
    return Digits(images, labels)


def _plain_or_gz(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(f"{folder}: neither {name} nor {name}.gz is there, expected the files of MNIST")


def scikit_digits(part: Literal["held", "train", "all"] = "held") -> Digits:
    """scikit-learn's bundled digits scaled up to MNIST's size and contrast; needs no download.

    `train` is the 899 images at even positions, which the bundled LeNet-5 was trained with; `held` the 898
    at odd positions, which it was not. The same 13 writers are in both halves, so accuracy on `held` says how
    well other digits of known hands are read, not how well a new hand is.

    Raises UserError if scikit-learn is not installed.
    """
    if part not in _PARTS:
        raise ValueError(f"part must be 'held', 'train' or 'all', not {part!r}")
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise UserError(
            f"the digits come with scikit-learn, but {error.name} is not installed: pip install scikit-learn"
        ) from error
    bunch = load_digits()
    chosen = _PARTS[part]
    return Digits(_enlarge(bunch.images[chosen].astype(np.int64)), bunch.target[chosen].astype(np.uint8))


def _enlarge(scans: np.ndarray) -> np.ndarray:
    """Scans (N, 8, 8) of 0 to 16 to images (N, 28, 28) uint8.

    As in MNIST the digit fills a box of 20x20 in the middle. Bilinear interpolation repeats the border
    pixels; the lowest fifth of the grey levels becomes background and the rest is steepened by 1.5, because
    block averages and interpolation both blur. Chosen on the even half alone with a LeNet-5 that had seen
    only MNIST: it read 95 % so, 92 % without the steepening, 89 % with nearest-neighbour interpolation and no
    steepening.

    All in integers, so that every machine gets the same bytes: weights are tenths, so levels are 0 to 1600.
    """
    box, scale = 20, 10
    weights = np.zeros((box, 8), np.int64)
    for row in range(box):
        # pixel centres: (row + 1/2) * 8/20 - 1/2, in tenths
        first, tenths = divmod(4 * row - 3, scale)
        weights[row, max(first, 0)] += scale - tenths
        weights[row, min(first + 1, 7)] += tenths
    levels = weights @ scans @ weights.T
    full = 16 * scale * scale
    ink = (255 * 3 * (levels - full // 5) + full) // (2 * full)  # 255 * 1.5 * (levels / full - 1/5), rounded
    margin = (_SIDE - box) // 2
    return np.pad(np.clip(ink, 0, 255).astype(np.uint8), ((0, 0), (margin, margin), (margin, margin)))


def to_input(images: np.ndarray) -> np.ndarray:
    """Images (N, 28, 28) uint8 to the network's input (N, 1, 28, 28) float32, 0 to 1.

    Raises ValueError for another shape or type.
    """
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (_SIDE, _SIDE):
        raise ValueError(f"images must be uint8 of shape (N, 28, 28), not {images.dtype} of {images.shape}")
    return images[:, np.newaxis].astype(np.float32) / np.float32(255)
