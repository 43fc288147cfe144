"""Dataclasses as what JSON can hold, and back with every type checked; arrays and bytes lie in a block beside it."""

from dataclasses import fields, is_dataclass
from math import isfinite, prod
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import shown

from .errors import UserError

Record = TypeVar("Record")


class Block:
    """The bytes of all arrays, one behind the other."""

    def __init__(self, content: bytes = b"") -> None:
        self._parts = [content]
        self._end = len(content)

    @property
    def content(self) -> bytes:
        """All bytes so far."""
        return b"".join(self._parts)

    def put(self, array: NDArray[Any]) -> dict[str, Any]:
        """Add an array; what is returned finds it again."""
        raw = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
        entry = {"dtype": array.dtype.name, "shape": list(array.shape), "offset": self._end}
        self._parts.append(raw)
        self._end += len(raw)
        return entry

    def get_bytes(self, entry: Any, what: str) -> bytes:
        """Bytes that were put as an array.

        Raises
        ------
        UserError
            If there are none.
        """
        return self.get(entry, "uint8", what).tobytes()

    def get(self, entry: Any, dtype: str, what: str) -> NDArray[Any]:
        """The array of an entry.

        Raises
        ------
        UserError
            If there is none of that type.
        """
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "offset"} or entry["dtype"] != dtype:
            raise UserError(f"{what} must be an array of {dtype}, not {shown(entry)}")
        shape, offset = entry["shape"], entry["offset"]
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in [*shape, offset]):
            raise UserError(f"{what} must be an array of {dtype}, not {shown(entry)}")
        count = prod(shape)
        size = count * np.dtype(dtype).itemsize
        if offset + size > self._end or len(shape) > 16:
            raise UserError(f"{what} is an array of shape {shown(shape)} that the file does not hold")
        little = np.dtype(dtype).newbyteorder("<")
        return np.frombuffer(self.content, little, count, offset).reshape(shape).astype(dtype)


def plain(value: Any, block: Block) -> Any:
    """A dataclass, or what one holds, in dictionaries, lists, numbers and text."""
    if isinstance(value, bytes):
        return block.put(np.frombuffer(value, np.uint8))
    if isinstance(value, np.ndarray):
        return block.put(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return [plain(part, block) for part in value]
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name), block) for field in fields(value)}
    return value


def record(kind: type[Record], value: Any, block: Block, what: str) -> Record:
    """The dataclass that `plain` made `value` of.

    Raises
    ------
    UserError
        One sentence that names the part that is missing, too much, or of another type.
    """
    if not isinstance(value, dict):
        raise UserError(f"{what} must be a record, not {shown(value)}")
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in names:
        if name not in value:
            raise UserError(f"{what} has no {name}")
    for name in value:
        if name not in names:
            raise UserError(f"{what} has the unknown part {shown(name)}")
    return kind(**{name: typed(hints[name], value[name], block, f"{name} of {what}") for name in names})


def typed(hint: Any, value: Any, block: Block, what: str) -> Any:
    """A value of the type that a dataclass states.

    Raises
    ------
    UserError
        If it is another.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is np.ndarray:
        (dtype,) = get_args(arguments[1])
        return block.get(value, np.dtype(dtype).name, what)
    if hint is bytes:
        return block.get_bytes(value, what)
    if origin is tuple and isinstance(value, list):
        kinds = arguments[:1] * len(value) if arguments[-1:] == (...,) else arguments
        if len(kinds) != len(value):
            raise UserError(f"{what} must have {len(kinds)} elements, not {len(value)}")
        return tuple(typed(kind, part, block, what) for kind, part in zip(kinds, value, strict=True))
    if origin is UnionType:
        if value is None and NoneType in arguments:
            return None
        return typed(next(kind for kind in arguments if kind is not NoneType), value, block, what)
    if is_dataclass(hint) and isinstance(hint, type):
        return record(hint, value, block, what)
    if hint is float and type(value) in (int, float) and isfinite(value):
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise UserError(f"{what} must be of type {getattr(hint, '__name__', hint)}, not {shown(value)}")
