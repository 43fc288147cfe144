"""Where a board's resources are, as amaranth_boards has it, and the constraints that tell the tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .device import Family


@dataclass(frozen=True)
class Pin:
    """A pin of the package, whether a high level there means off, and what its buffer is told."""

    site: str
    inverted: bool
    attributes: Mapping[str, str]


def pin_of(definition: Any, resource: str, number: int, part: str | None = None) -> Pin:
    """The pin of a resource of one pin, or of one of its parts (`rx` of `uart`).

    Parameters
    ----------
    definition
        An instance of a board's class of amaranth_boards.
    """
    found = definition.lookup(resource, number)
    attributes = dict(found.attrs)
    pins = found.ios[0]
    if part is not None:
        subsignal = next(one for one in found.ios if one.name == part)
        attributes |= subsignal.attrs
        pins = subsignal.ios[0]
    (site,) = pins.map_names(definition._conn_pins, found)
    return Pin(site, pins.invert, {name: str(value) for name, value in attributes.items()})


def constraints(family: Family, pins: Mapping[str, Pin], clocks: Mapping[str, float]) -> str:
    """The file of constraints for ports by name; `clocks` are ports with their frequencies in MHz."""
    lines = []
    for port, pin in pins.items():
        if family == "ecp5":
            attributes = " ".join(f"{name}={value}" for name, value in pin.attributes.items())
            lines += [f'LOCATE COMP "{port}" SITE "{pin.site}";', f'IOBUF PORT "{port}" {attributes};']
        elif family == "ice40":
            pull = "-pullup yes " if pin.attributes.get("PULLUP") == "1" else ""
            lines.append(f"set_io {pull}{port} {pin.site}")
        else:
            attributes = " ".join(f"{name}={value}" for name, value in pin.attributes.items())
            lines += [f'IO_LOC "{port}" {pin.site};', f'IO_PORT "{port}" {attributes};']
    for port, mhz in clocks.items():
        if family == "ecp5":
            lines.append(f'FREQUENCY PORT "{port}" {mhz:g} MHZ;')
        elif family == "ice40":
            lines.append(f"set_frequency {port} {mhz:g}")
    return "\n".join(lines) + "\n"
