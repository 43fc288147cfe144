"""The file that a compiled model is kept in.

A program file (`.weft`) is a zip archive: `header.json`, `image_0.bin`, `image_1.bin`, ... for the programs in order,
and `arrays.bin` with the constants of the host's operators. The header has the SHA-256 of every other part.
"""

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import asdict, fields
from io import BytesIO
from pathlib import Path
from typing import Any, get_type_hints

from weft.rtl.config import Config

from .errors import UserError
from .files import replace_file
from .graph import Operator, Tensor
from .network import Network, Row, Stage
from .program import Program
from .records import Block, plain, record, typed

FORMAT = "weft program"
VERSION = 2
"""Version of the file format; changes whenever an older reader would misunderstand a newer file."""

HEADER_LIMIT = 1 << 26
"""Bytes of the longest header that is read."""

PARTS_LIMIT = 1 << 29
"""Bytes of all other parts together."""

HEADER, ARRAYS = "header.json", "arrays.bin"
PARTS = ("format", "version", "digest", "config", "name", "tensors", "stages", "inputs", "outputs", "rows", "sha256")
PROGRAM_PARTS = tuple(field.name for field in fields(Program) if field.name not in ("config", "image"))

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The date of all parts: equal networks give equal files."""


def _image(index: int) -> str:
    return f"image_{index}.bin"


def to_bytes(network: Network) -> bytes:
    """The content of a program file; equal networks give equal bytes."""
    block = Block()
    header: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    header["digest"] = network.config.digest
    header["config"] = asdict(network.config)
    header["name"] = network.name
    header["tensors"] = [plain(tensor, block) for tensor in network.tensors.values()]
    header["stages"] = [_plain_stage(stage, block) for stage in network.stages]
    header["inputs"], header["outputs"] = list(network.inputs), list(network.outputs)
    header["rows"] = [plain(row, block) for row in network.rows]
    parts = {_image(index): program.image for index, program in enumerate(network.programs)}
    parts[ARRAYS] = block.content
    header["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {HEADER: json.dumps(header, indent=1, allow_nan=False).encode(), **parts}.items():
            info = zipfile.ZipInfo(name, EARLIEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


def _plain_stage(stage: Stage, block: Block) -> dict[str, Any]:
    if isinstance(stage, Operator):
        return {"operator": type(stage).__name__, "values": plain(stage, block)}
    return {"program": {name: plain(getattr(stage, name), block) for name in PROGRAM_PARTS}}


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write the program file; a reader sees the old file or the new one, never a part.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    replace_file(path, to_bytes(network))


def load(path: str | os.PathLike[str]) -> Network:
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
    return from_bytes(raw, str(path))


def from_bytes(raw: bytes, where: str) -> Network:
    """The network in the content of a program file; `where` names the file in errors."""
    header, parts = _unpack(raw, where)
    try:
        return _network(header, parts)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _unpack(raw: bytes, where: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    foreign = UserError(f"{where}: this is a zip archive, but not a program file")
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            names = archive.namelist()
            if HEADER not in names or len(set(names)) != len(names):
                raise foreign
            sizes = {name: archive.getinfo(name).file_size for name in names}
            if sizes.pop(HEADER) > HEADER_LIMIT or sum(sizes.values()) > PARTS_LIMIT:
                raise UserError(f"{where}: the header must have at most {HEADER_LIMIT} bytes, the rest {PARTS_LIMIT}")
            header = json.loads(archive.read(HEADER))
            if not isinstance(header, dict) or header.get("format") != FORMAT:
                raise foreign
            if header.get("version") != VERSION:
                version = header.get("version")
                raise UserError(f"{where}: the file has version {version!r}, this software reads {VERSION}")
            sums = header.get("sha256")
            if not isinstance(sums, dict) or set(names) != {HEADER, *sums}:
                raise foreign
            parts = {name: archive.read(name) for name in sums}
    except UserError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
        # ValueError covers undecodable text and JSON; RuntimeError covers unknown or encrypted compression.
        raise UserError(f"{where}: this is not a program file, or it is damaged") from None
    for name, content in parts.items():
        if sums[name] != hashlib.sha256(content).hexdigest():
            raise UserError(f"{where}: {name} is damaged, its SHA-256 is not the one in the header")
    return header, parts


def _network(header: dict[str, Any], parts: dict[str, bytes]) -> Network:
    if set(header) != set(PARTS):
        raise UserError(f"the header is not that of a program file of version {VERSION}")
    block = Block(parts.get(ARRAYS, b""))
    config = _config(header["config"], header["digest"])
    images = iter([parts.get(_image(index)) for index in range(len(parts))])
    stages = tuple(_stage(one, config, images, block) for one in _list(header["stages"], "stages"))
    count = sum(isinstance(stage, Program) for stage in stages)
    if set(parts) != {ARRAYS, *(_image(index) for index in range(count))}:
        raise UserError(f"the file does not have the parts of {count} programs")
    tensors = [record(Tensor, one, block, "a tensor") for one in _list(header["tensors"], "tensors")]
    return Network(
        name=typed(str, header["name"], block, "the name"),
        config=config,
        tensors={tensor.name: tensor for tensor in tensors},
        stages=stages,
        inputs=typed(tuple[str, ...], header["inputs"], block, "the inputs"),
        outputs=typed(tuple[str, ...], header["outputs"], block, "the outputs"),
        rows=tuple(record(Row, one, block, "a row") for one in _list(header["rows"], "rows")),
    )


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise UserError(f"the {what} in the header must be a list")
    return value


def _config(values: Any, digest: Any) -> Config:
    if not isinstance(values, dict):
        raise UserError("the configuration in the header is not one")
    try:
        config = Config(**values)
    except (TypeError, ValueError) as error:
        raise UserError(f"the configuration in the header is not one: {error}") from None
    if config.digest != digest:
        raise UserError("the configuration in the header does not have the digest beside it; compile the model again")
    return config


def operator_kinds() -> dict[str, type[Operator]]:
    """Every kind of operator by its name."""

    def below(kind: type[Operator]) -> Iterator[type[Operator]]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    return {kind.__name__: kind for kind in below(Operator)}


def _stage(value: Any, config: Config, images: Iterator[bytes | None], block: Block) -> Stage:
    if not isinstance(value, dict) or set(value) not in ({"program"}, {"operator", "values"}):
        raise UserError("a stage in the header is neither an operator nor a program")
    if "operator" in value:
        kind = operator_kinds().get(str(value["operator"]))
        if kind is None:
            raise UserError(f"a stage is of the unknown kind {str(value['operator'])[:60]!r}")
        return record(kind, value["values"], block, f"an operator of kind {kind.__name__}")
    found = value["program"]
    image = next(images, None)
    if not isinstance(found, dict) or set(found) != set(PROGRAM_PARTS) or image is None:
        raise UserError("a program in the header does not have the parts of one")
    hints = get_type_hints(Program)
    values = {name: typed(hints[name], found[name], block, f"{name} of a program") for name in PROGRAM_PARTS}
    return Program(config=config, image=image, **values)
