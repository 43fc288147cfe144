"""Named configurations, and how a user's choice becomes a Config."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from weft.rtl.config import Config, shown

TINY = Config()
NANO = TINY.replace(
    scratchpad_bytes=2048,
    accumulators=128,
    parameter_channels=256,
    memory_width=8,
    address_width=17,
    axi_width=32,
    counters=False,
    compact=True,
    counter_bits=8,
)
SMALL = TINY.replace(
    rows=8,
    cols=8,
    weight_rows=8,
    weight_tiles=1024,
    scratchpad_bytes=64 << 10,
    accumulators=512,
    parameter_channels=2048,
    lanes=2,
    depthwise=True,
    tables=True,
    memory_width=64,
    axi_width=64,
    fences=True,
    checks=True,
    autopsy=True,
)
MEDIUM = SMALL.replace(rows=16, weight_rows=16)
LARGE = MEDIUM.replace(
    cols=16,
    scratchpad_bytes=256 << 10,
    accumulators=1024,
    parameter_channels=4096,
    lanes=8,
    memory_width=128,
    axi_width=128,
)
HUGE = LARGE.replace(
    rows=64,
    cols=64,
    weight_tiles=256,
    scratchpad_bytes=1 << 20,
    accumulators=2048,
    lanes=16,
    memory_width=256,
    axi_width=256,
    axi_outstanding=8,
)

PRESETS: Mapping[str, Config] = {
    "nano": NANO,
    "tiny": TINY,
    "small": SMALL,
    "medium": MEDIUM,
    "large": LARGE,
    "huge": HUGE,
}
"""Each derives from the one before it, from the smallest FPGA to far beyond the largest."""

LARGEST_FILE = 1 << 16
"""Bytes of a configuration file; all parameters with a comment each are a tenth of it."""

PRESET_KEY = "preset"
"""The one key of a configuration file that is not a parameter: the preset that the file starts from."""


def load_config(preset: str | None = None, file: str | Path | None = None, settings: Iterable[str] = ()) -> Config:
    """The configuration a user asked for: a preset, changed by a TOML file, changed by settings.

    Parameters
    ----------
    preset
        A name in `PRESETS`; without one (here or under the file's key `preset`) the parameters' own
        defaults, which are `tiny`.
    file
        A TOML file of `parameter = value` lines.
    settings
        Texts "parameter=value", values written as in TOML.

    Raises
    ------
    ValueError
        One sentence that names the preset, the file and its line, or the parameter, and what is allowed.
    """
    changes: dict[str, Any] = {}
    base = TINY if preset is None else _preset(preset)
    if file is not None:
        file = Path(file)
        changes = _read(file)
        if PRESET_KEY in changes:
            named = changes.pop(PRESET_KEY)
            place = _place(file, PRESET_KEY)
            base = _preset(named, f"{place}: ")
            if preset not in (None, named):
                raise ValueError(f"{place}: preset is {shown(named)}, but {preset!r} was asked for")
        for name in changes:
            _check_name(name, f"{_place(file, name)}: ")
    overrides = _overrides(settings)
    try:
        return base.replace(**changes | overrides)
    except ValueError as error:
        name = str(error).partition(" ")[0]
        if file is None or name not in changes or name in overrides:
            raise
        raise ValueError(f"{_place(file, name)}: {error}") from None


def changed(config: Config, settings: Iterable[str]) -> Config:
    """A configuration with settings as load_config takes them.

    Raises
    ------
    ValueError
        As load_config does.
    """
    return config.replace(**_overrides(settings))


def _overrides(settings: Iterable[str]) -> dict[str, Any]:
    found = dict(_setting(text) for text in settings)
    for name in found:
        _check_name(name)
    return found


def _preset(name: object, where: str = "") -> Config:
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    raise ValueError(f"{where}{shown(name)} is not a preset; the presets are {', '.join(PRESETS)}")


def _check_name(name: str, where: str = "") -> None:
    parameters = [field.name for field in fields(Config)]
    if name not in parameters:
        raise ValueError(f"{where}{name} is not a parameter; the parameters are {', '.join(parameters)}")


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not (name and equals and value):
        raise ValueError(f"a setting must be PARAMETER=VALUE, not {shown(text)}")
    try:
        parsed = _parsed(f"value = {value}")
    except ValueError:
        parsed = {}
    return name, parsed["value"] if len(parsed) == 1 else value


def _parsed(text: str) -> dict[str, Any]:
    """What TOML says; a ValueError for what is none."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:
        raise ValueError("a number in it has too many digits") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ValueError(f"the configuration file {file} does not exist") from None
    except OSError as error:
        raise ValueError(f"the configuration file {file} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise ValueError(f"the configuration file {file} has more than {LARGEST_FILE} bytes")
    try:
        return _parsed(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError(f"the configuration file {file} is not UTF-8 text") from None
    except ValueError as error:
        raise ValueError(f"{file} is not TOML: {error}") from None


def _place(file: Path, name: str) -> str:
    """The file, and the line of it that sets `name` (tomllib tells no lines)."""
    setting = re.compile(rf"""\s*\[*\s*["']?{re.escape(name)}["']?\s*[=.\]]""")
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if setting.match(line):
            return f"{file}, line {number}"
    return str(file)
