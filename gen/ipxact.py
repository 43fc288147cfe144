"""IP-XACT of an NPU with AXI (IEEE 1685-2009, as Vivado reads it): buses, registers, ports and files."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from weft.rtl.config import Config
from weft.rtl.npu import Npu
from weft.rtl.registers import REGISTERS

from .describe import ports

NAMESPACE = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
VENDOR, LIBRARY = "weft", "npu"

Library = tuple[str, str, str, str]
"""Vendor, library, name and version of a bus definition."""

AXI: Library = ("xilinx.com", "interface", "aximm", "1.0")
CLOCK: Library = ("xilinx.com", "signal", "clock", "1.0")
RESET: Library = ("xilinx.com", "signal", "reset", "1.0")
INTERRUPT: Library = ("xilinx.com", "signal", "interrupt", "1.0")

REGISTER_SPACE = 4096
ACCESS = {"ro": "read-only", "rw": "read-write", "rw1c": "read-write"}


def _add(parent: Element, tag: str, text: object = None, **attributes: str) -> Element:
    element = SubElement(parent, f"{{{NAMESPACE}}}{tag}")
    for key, value in attributes.items():
        element.set(f"{{{NAMESPACE}}}{key}", value)
    if text is not None:
        element.text = str(text)
    return element


def _reference(parent: Element, name: str, library: Library, suffix: str = "") -> None:
    vendor, group, kind, number = library
    _add(parent, name, vendor=vendor, library=group, name=kind + suffix, version=number)


def _bus(
    parent: Element,
    name: str,
    library: Library,
    role: str,
    signals: Mapping[str, str],
    parameters: Mapping[str, str],
) -> Element:
    """A bus interface; returns the element of its role."""
    bus = _add(parent, "busInterface")
    _add(bus, "name", name)
    _reference(bus, "busType", library)
    _reference(bus, "abstractionType", library, "_rtl")
    side = _add(bus, role)
    maps = _add(bus, "portMaps")
    for logical, physical in signals.items():
        entry = _add(maps, "portMap")
        _add(_add(entry, "logicalPort"), "name", logical)
        _add(_add(entry, "physicalPort"), "name", physical)
    if parameters:
        group = _add(bus, "parameters")
        for key, value in parameters.items():
            parameter = _add(group, "parameter")
            _add(parameter, "name", key)
            _add(parameter, "value", value, id=f"BUSIFPARAM_VALUE.{name.upper()}.{key}")
    return side


def component_xml(config: Config, npu: Npu, name: str, files: Iterable[str]) -> str:
    """The text of `component.xml`.

    Parameters
    ----------
    npu
        The top that was made from `config`, with AXI.
    name
        The name of its Verilog module.
    files
        Its Verilog files, relative to the component.

    Raises
    ------
    ValueError
        For a configuration without AXI.
    """
    if not config.axi:
        raise ValueError("IP-XACT is for a configuration with axi = true")
    ElementTree.register_namespace("spirit", NAMESPACE)
    pins = ports(npu)
    root = Element(f"{{{NAMESPACE}}}component")
    for key, value in (("vendor", VENDOR), ("library", LIBRARY), ("name", name), ("version", "1.0")):
        _add(root, key, value)

    buses = _add(root, "busInterfaces")
    signals = {
        prefix: {
            str(pin["name"]).removeprefix(f"{prefix}_").upper(): str(pin["name"])
            for pin in pins
            if str(pin["name"]).startswith(f"{prefix}_")
        }
        for prefix in ("m_axi", "s_axil")
    }
    _add(_bus(buses, "m_axi", AXI, "master", signals["m_axi"], {}), "addressSpaceRef", addressSpaceRef="m_axi")
    _add(_bus(buses, "s_axil", AXI, "slave", signals["s_axil"], {}), "memoryMapRef", memoryMapRef="s_axil")
    _bus(buses, "clk", CLOCK, "slave", {"CLK": "clk"}, {"ASSOCIATED_BUSIF": "m_axi:s_axil", "ASSOCIATED_RESET": "rst"})
    _bus(buses, "rst", RESET, "slave", {"RST": "rst"}, {"POLARITY": "ACTIVE_HIGH"})
    _bus(buses, "interrupt", INTERRUPT, "master", {"INTERRUPT": "interrupt"}, {"SENSITIVITY": "LEVEL_HIGH"})

    space = _add(_add(root, "addressSpaces"), "addressSpace")
    _add(space, "name", "m_axi")
    _add(space, "range", 1 << config.address_width)
    _add(space, "width", config.axi_width)

    memory = _add(_add(root, "memoryMaps"), "memoryMap")
    _add(memory, "name", "s_axil")
    block = _add(memory, "addressBlock")
    _add(block, "name", "registers")
    for key, number in (("baseAddress", 0), ("range", REGISTER_SPACE), ("width", 32)):
        _add(block, key, number)
    _add(block, "usage", "register")
    for register in REGISTERS:
        entry = _add(block, "register")
        _add(entry, "name", register.name)
        _add(entry, "description", register.text)
        _add(entry, "addressOffset", f"0x{register.offset:x}")
        _add(entry, "size", 32)
        _add(entry, "access", ACCESS[register.access])

    model = _add(root, "model")
    view = _add(_add(model, "views"), "view")
    _add(view, "name", "verilog")
    _add(view, "envIdentifier", "systemVerilogSource:vivado.xilinx.com:synthesis")
    _add(view, "language", "systemVerilog")
    _add(view, "modelName", name)
    _add(_add(view, "fileSetRef"), "localName", "sources")
    group = _add(model, "ports")
    for pin in pins:
        port = _add(group, "port")
        _add(port, "name", pin["name"])
        wire = _add(port, "wire")
        _add(wire, "direction", {"input": "in", "output": "out"}[str(pin["direction"])])
        if int(pin["width"]) > 1:
            vector = _add(wire, "vector")
            _add(vector, "left", int(pin["width"]) - 1)
            _add(vector, "right", 0)

    sources = _add(_add(root, "fileSets"), "fileSet")
    _add(sources, "name", "sources")
    for file in files:
        entry = _add(sources, "file")
        _add(entry, "name", file)
        _add(entry, "fileType", "systemVerilogSource")
    about = f"Weft {version('weft')}: an NPU of {config.rows}x{config.cols}, configuration {config.digest}"
    _add(root, "description", about)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
