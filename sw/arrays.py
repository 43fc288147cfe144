"""A model's inputs and outputs in NumPy's files.

An `.npz` has `in_0`, `in_1`, ... (`out_0`, ...), samples stacked on axis 0; other names in it are ignored. An `.npy` is
the one input or output. A sample has the model's own shape, with or without its leading axis of 1.
"""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .files import check_target, replace_file
from .graph import Graph
from .network import Network

SUFFIXES = (".npz", ".npy")

UNREADABLE = (ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, MemoryError, SyntaxError)
"""What NumPy and zipfile raise for damaged files, besides their own errors."""


class Slot(NamedTuple):
    """One input or output as the user sees it."""

    name: str
    shape: tuple[int, ...]
    """Of one sample, with a leading 1."""
    dtype: str

    @property
    def text(self) -> str:
        """The shape of stacked samples in words."""
        return f"({', '.join(['samples', *map(str, self.shape[1:])])})"


@dataclass(frozen=True)
class Samples:
    """Inputs in the order of the model's, each (samples, *shape of a sample without its leading 1)."""

    arrays: list[NDArray[Any]]
    leading: bool
    """The file had the leading 1 of the samples, so outputs get it, too."""

    def __len__(self) -> int:
        return len(self.arrays[0])


def slots_of(model: Graph | Network) -> tuple[list[Slot], list[Slot]]:
    """The inputs and outputs of a model."""

    def slot(name: str) -> Slot:
        tensor = model.tensors[name]
        return Slot(name, tensor.shape, tensor.dtype)

    return [slot(name) for name in model.inputs], [slot(name) for name in model.outputs]


def read_inputs(path: Path, slots: Sequence[Slot]) -> Samples:
    """Read a file of inputs.

    Raises
    ------
    UserError
        If it is unreadable or damaged, or an input is missing, too many, of another shape or type, or no number.
    """
    found = []
    for index, (slot, array) in enumerate(zip(slots, _read(path, slots), strict=True)):
        where = f"{path}: in_{index} (the model's {slot.name!r})"
        if array.dtype.newbyteorder("=") != np.dtype(slot.dtype):
            raise UserError(f"{where} must be {slot.dtype}, not {array.dtype}")
        leading = array.ndim == len(slot.shape) + 1
        if array.shape[1:] != (slot.shape if leading else slot.shape[1:]) or not array.size:
            raise UserError(f"{where} must have the shape {slot.text} with at least 1 sample, not {array.shape}")
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise UserError(f"{where} must be numbers, and sample {_first_nan(array)} has NaN")
        native = array.astype(slot.dtype, copy=False).reshape(len(array), *slot.shape[1:])
        found.append((native, leading))
    counts = sorted({len(array) for array, _ in found})
    if len(counts) > 1:
        numbers = " and ".join(map(str, counts))
        raise UserError(f"{path}: all inputs must have the same number of samples, not {numbers}")
    return Samples([array for array, _ in found], any(leading for _, leading in found))


def _first_nan(array: NDArray[Any]) -> int:
    return int(np.argmax(np.isnan(array).reshape(len(array), -1).any(axis=1)))


def _read(path: Path, slots: Sequence[Slot]) -> list[NDArray[Any]]:
    _check_suffix(path, "input")
    try:
        with path.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.lib.npyio.NpzFile):
                return _members(path, loaded, slots)
            if len(slots) > 1:
                raise UserError(f"{path}: the model has {len(slots)} inputs, which takes an .npz with in_0, in_1, ...")
            return [loaded]
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, expected the inputs") from None
    except IsADirectoryError:
        raise UserError(f"{path}: this is a folder, expected a file of inputs") from None
    except PermissionError:
        raise UserError(f"{path}: the file may not be read") from None
    except (zipfile.BadZipFile, zlib.error, OSError, *UNREADABLE):
        raise UserError(f"{path}: this is not a {path.suffix} file of numbers, or it is damaged") from None


def _members(path: Path, archive: Any, slots: Sequence[Slot]) -> list[NDArray[Any]]:
    names = [f"in_{index}" for index in range(len(slots))]
    for name, slot in zip(names, slots, strict=True):
        if name not in archive.files:
            raise UserError(
                f"{path}: {name} is missing, which is the model's input {slot.name!r}; there is "
                f"{', '.join(archive.files) or 'nothing'}"
            )
    if f"in_{len(slots)}" in archive.files:
        count = f"{len(slots)} input{'s' if len(slots) > 1 else ''}"
        raise UserError(f"{path}: in_{len(slots)} is too many, the model has {count}")
    arrays = [archive[name] for name in names]
    for name, array in zip(names, arrays, strict=True):
        if not isinstance(array, np.ndarray):
            raise UserError(f"{path}: {name} is not an array of numbers")
    return arrays


def check_output(path: Path, slots: Sequence[Slot]) -> None:
    """See before the work that the outputs can be written there.

    Raises
    ------
    UserError
        For another suffix, several outputs in an .npy, or a folder that does not exist.
    """
    _check_suffix(path, "output")
    if path.suffix == ".npy" and len(slots) > 1:
        raise UserError(f"{path}: the model has {len(slots)} outputs, which takes an .npz")
    check_target(path)


def write_outputs(path: Path, arrays: Sequence[NDArray[Any]], leading: bool) -> None:
    """Write stacked outputs, with the leading 1 of each sample if the inputs had it.

    Raises
    ------
    UserError
        If the file cannot be written; then nothing is changed.
    """
    shaped = [array[:, np.newaxis] if leading else array for array in arrays]
    content = BytesIO()
    if path.suffix == ".npy":
        np.save(content, shaped[0], allow_pickle=False)
    else:
        np.savez(content, **{f"out_{index}": array for index, array in enumerate(shaped)})  # type: ignore[arg-type]
    replace_file(path, content.getvalue())


def _check_suffix(path: Path, kind: str) -> None:
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: the {kind} must be an .npz or .npy file")


def differences(some: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> tuple[int, int]:
    """How many values differ in any bit, and how many there are; the arrays must pair up in shape and type."""
    different = total = 0
    for one, other in zip(some, others, strict=True):
        if one.shape != other.shape or one.dtype != other.dtype:
            raise ValueError(f"{one.dtype} of {one.shape} cannot be compared with {other.dtype} of {other.shape}")
        width = one.dtype.itemsize
        raw = [np.ascontiguousarray(array).view(np.uint8).reshape(-1, width) for array in (one, other)]
        different += int((raw[0] != raw[1]).any(axis=1).sum())
        total += one.size
    return different, total
