"""A compiled model: all that the driver needs to run it, and the file it is kept in.

A program file (`.weft`) is a zip archive of `header.json` and `image.bin`.
"""

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from io import BytesIO
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from weft.rtl.config import Config
from weft.rtl.isa import INSTRUCTION_BYTES

from . import host
from .errors import UserError

FORMAT = "weft program"
VERSION = 1
"""Version of the file format; changes whenever an older reader would misunderstand a newer file."""

HEADER_LIMIT = 1 << 26
"""Bytes of the longest header that is read."""

IMAGE_LIMIT = 1 << 32
"""Bytes of the largest image that is read; addresses in programs have 32 bits."""

ITEM_BYTES = {"int8": 1, "uint8": 1, "int32": 4}


def _need(good: bool, sentence: str) -> None:
    if not good:
        raise UserError(sentence)


@dataclass(frozen=True)
class Port:
    """One input or output of a program, as it lies in the input buffer (base 1) or output buffer (base 2)."""

    name: str
    shape: tuple[int, ...]
    """Of one sample, NHWC, with a leading 1."""
    dtype: str
    """int8, uint8 or int32."""
    scale: float
    zero_point: int
    offset: int
    """First byte in the buffer."""
    bytes: int
    """Size in the buffer; elements are dense and little endian."""
    host_shape: tuple[int, ...] = ()
    """Of one sample, with a leading 1, as the caller gives it (before the prologue) or gets it (after the
    epilogue); () if that is not known."""
    host_dtype: str = ""
    """Type as the caller gives or gets it: int8, uint8, int32, float32, or "" if it is not known."""

    def __post_init__(self) -> None:
        where = f"port {self.name!r}"
        _need(
            isinstance(self.name, str) and bool(self.name),
            f"the name of a port must be text, not {self.name!r}",
        )
        for shape in (self.shape, self.host_shape or (1,)):
            good = isinstance(shape, tuple) and shape[:1] == (1,) and all(type(n) is int and n > 0 for n in shape)
            _need(good, f"{where}: the shape must be positive integers after a leading 1, not {shape!r}")
        _need(
            self.dtype in ITEM_BYTES,
            f"{where}: the type must be one of {', '.join(ITEM_BYTES)}, not {self.dtype!r}",
        )
        _need(
            self.host_dtype in ("", *host.TYPES),
            f"{where}: the host's type must be one of {', '.join(host.TYPES)}, not {self.host_dtype!r}",
        )
        size = prod(self.shape) * ITEM_BYTES[self.dtype]
        _need(
            type(self.bytes) is int and self.bytes == size,
            f"{where}: {self.shape} of {self.dtype} has {size} bytes, not {self.bytes!r}",
        )
        _need(
            type(self.scale) in (int, float) and 0 < self.scale < float("inf"),
            f"{where}: the scale must be a positive number, not {self.scale!r}",
        )
        _need(
            type(self.zero_point) is int,
            f"{where}: the zero point must be an integer, not {self.zero_point!r}",
        )
        _need(
            type(self.offset) is int and 0 <= self.offset < 1 << 32,
            f"{where}: the offset must be from 0 to 2^32 - 1, not {self.offset!r}",
        )


@dataclass(frozen=True)
class LayerInfo:
    """What the compiler knows of one layer; `tag` is in its instructions and names it in traces."""

    name: str
    op: str
    tag: int
    macs: int
    """Multiplications of the layer's definition, not those with packed or padded zeros."""
    passes: int
    """Cycles that its array passes take at least."""
    predicted_cycles: int

    def __post_init__(self) -> None:
        for name in ("name", "op"):
            _need(
                isinstance(getattr(self, name), str),
                f"the {name} of a layer must be text, not {getattr(self, name)!r}",
            )
        for name in ("tag", "macs", "passes", "predicted_cycles"):
            value = getattr(self, name)
            _need(
                type(value) is int and value >= 0,
                f"layer {self.name!r}: {name} must be an integer of 0 or more, not {value!r}",
            )
        _need(self.tag < 1 << 16, f"layer {self.name!r}: the tag must be below {1 << 16}, not {self.tag}")


@dataclass(frozen=True)
class Program:
    """A model, compiled for one configuration.

    Raises
    ------
    UserError
        One sentence that says which part is wrong.
    """

    config: Config
    image: bytes
    """Constant memory (weights, parameters, instructions), placed at base 0."""
    setup: int
    """Offset in `image` of the program that loads what stays on chip, run once; -1 if there is none."""
    run: int
    """Offset in `image` of the program of one inference."""
    workspace_bytes: int
    """Scratch memory at base 3."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    layers: tuple[LayerInfo, ...] = ()
    prologue: tuple[tuple[host.Step, ...], ...] = ()
    """Per input, in order: the steps from what the caller gives to the device's layout; () for none."""
    epilogue: tuple[tuple[host.Step, ...], ...] = ()
    """Per output, in order: the steps from the device's layout to what the caller gets; () for none."""
    name: str = ""

    def __post_init__(self) -> None:
        _need(isinstance(self.config, Config), "the config of a program must be a Config")
        _need(isinstance(self.image, bytes), "the image of a program must be bytes")
        _need(isinstance(self.name, str), f"the name of a program must be text, not {self.name!r}")
        for name, least in (("setup", -1), ("run", 0)):
            offset = getattr(self, name)
            inside = type(offset) is int and least <= offset <= len(self.image) - INSTRUCTION_BYTES
            _need(
                inside and (offset == -1 or offset % INSTRUCTION_BYTES == 0),
                f"the offset of the {name} program must be a multiple of {INSTRUCTION_BYTES} inside the "
                f"image of {len(self.image)} bytes, not {offset!r}",
            )
        _need(
            type(self.workspace_bytes) is int and self.workspace_bytes >= 0,
            f"workspace_bytes must be an integer of 0 or more, not {self.workspace_bytes!r}",
        )
        for kind, ports in (("input", self.inputs), ("output", self.outputs)):
            _need(
                isinstance(ports, tuple) and bool(ports),
                f"a program must have a tuple of at least one {kind}",
            )
            names = [port.name for port in ports]
            _need(
                len(set(names)) == len(names),
                f"the {kind}s must have different names, not {', '.join(names)}",
            )
            regions = sorted((port.offset, port.offset + port.bytes, port.name) for port in ports)
            for (_, end, first), (start, _, second) in pairwise(regions):
                _need(end <= start, f"the {kind}s {first!r} and {second!r} overlap in the buffer")
        for kind, steps, ports in (
            ("prologue", self.prologue, self.inputs),
            ("epilogue", self.epilogue, self.outputs),
        ):
            _need(
                isinstance(steps, tuple) and len(steps) in (0, len(ports)),
                f"the {kind} must have one tuple of steps for each of the {len(ports)} ports, not {steps!r}",
            )
            for some in steps:
                _need(
                    isinstance(some, tuple),
                    f"the {kind} must have a tuple of steps for each port, not {some!r}",
                )
                for step in some:
                    host.check(step)

    @property
    def input_bytes(self) -> int:
        """Bytes of the input buffer of one inference."""
        return max(port.offset + port.bytes for port in self.inputs)

    @property
    def output_bytes(self) -> int:
        """Bytes of the output buffer of one inference."""
        return max(port.offset + port.bytes for port in self.outputs)

    def steps_before(self, index: int) -> tuple[host.Step, ...]:
        """The prologue of input `index`."""
        return self.prologue[index] if self.prologue else ()

    def steps_after(self, index: int) -> tuple[host.Step, ...]:
        """The epilogue of output `index`."""
        return self.epilogue[index] if self.epilogue else ()

    def to_bytes(self) -> bytes:
        """The content of a program file; equal programs give equal bytes."""
        header: dict[str, Any] = {"format": FORMAT, "version": VERSION}
        header["digest"] = self.config.digest
        header["image_bytes"] = len(self.image)
        header["image_sha256"] = hashlib.sha256(self.image).hexdigest()
        for field in fields(self):
            if field.name != "image":
                value = getattr(self, field.name)
                header[field.name] = asdict(value) if field.name == "config" else _plain(value)
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in (
                ("header.json", json.dumps(header, indent=1, allow_nan=False).encode()),
                ("image.bin", self.image),
            ):
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, content)
        return buffer.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program file; a reader sees the old file or the new one, never a part.

        Raises
        ------
        UserError
            If the file cannot be written.
        """
        target = Path(path)
        content = self.to_bytes()
        temporary = ""
        try:
            handle, temporary = tempfile.mkstemp(prefix=target.name, suffix=".part", dir=target.parent)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, target)
        except OSError as error:
            if temporary and os.path.exists(temporary):
                os.unlink(temporary)
            raise UserError(f"{target}: the program cannot be written: {error.strerror}") from None

    @staticmethod
    def load(path: str | os.PathLike[str]) -> "Program":
        """Read a program file and check all of it.

        Raises
        ------
        UserError
            If it cannot be read, is not a program file, is damaged, or is of another version.
        """
        try:
            raw = Path(path).read_bytes()
        except OSError as error:
            raise UserError(f"{path}: the program cannot be read: {error.strerror}") from None
        return Program.from_bytes(raw, str(path))

    @staticmethod
    def from_bytes(raw: bytes, where: str) -> "Program":
        """The program in the content of a program file; `where` names the file in errors."""
        header, image = _unpack(raw, where)
        try:
            return _program(header, image)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        except (AttributeError, KeyError, TypeError, ValueError, IndexError):
            raise UserError(f"{where}: the header is not that of a program file of version {VERSION}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Port | LayerInfo):
        return {key: _plain(part) for key, part in asdict(value).items()}
    return value


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_frozen(part) for part in value)
    if isinstance(value, dict):
        return {key: _frozen(part) for key, part in value.items()}
    return value


def _unpack(raw: bytes, where: str) -> tuple[dict[str, Any], bytes]:
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            if set(archive.namelist()) != {"header.json", "image.bin"}:
                raise UserError(f"{where}: this is a zip archive, but not a program file")
            for name, limit in (("header.json", HEADER_LIMIT), ("image.bin", IMAGE_LIMIT)):
                if archive.getinfo(name).file_size > limit:
                    raise UserError(f"{where}: {name} must have at most {limit} bytes")
            header = json.loads(archive.read("header.json"))
            image = archive.read("image.bin")
    except UserError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
        # ValueError covers undecodable text and JSON; RuntimeError covers unknown or encrypted compression.
        raise UserError(f"{where}: this is not a program file, or it is damaged") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UserError(f"{where}: this is a zip archive, but not a program file")
    if header.get("version") != VERSION:
        raise UserError(f"{where}: the file has version {header.get('version')!r}, this software reads {VERSION}")
    if header.get("image_sha256") != hashlib.sha256(image).hexdigest():
        raise UserError(f"{where}: the image is damaged, its SHA-256 is not the one in the header")
    return header, image


def _program(header: dict[str, Any], image: bytes) -> Program:
    values = {name: _frozen(value) for name, value in header.items()}
    for name in ("format", "version", "image_bytes", "image_sha256"):
        values.pop(name)
    digest = values.pop("digest")
    try:
        config = Config(**values.pop("config"))
    except ValueError as error:
        raise UserError(f"the configuration in the header is not one: {error}") from None
    if config.digest != digest:
        raise UserError("the configuration in the header does not have the digest beside it; compile the model again")
    inputs = tuple(Port(**port) for port in values.pop("inputs"))
    outputs = tuple(Port(**port) for port in values.pop("outputs"))
    layers = tuple(LayerInfo(**layer) for layer in values.pop("layers"))
    return Program(config=config, image=image, inputs=inputs, outputs=outputs, layers=layers, **values)
