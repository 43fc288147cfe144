# amaranth: UnusedElaboratable=no

"""The structure of component.xml, as IEEE 1685-2009 has it; no package carries its schema."""

from xml.etree import ElementTree

import pytest
from weft.gen.ipxact import NAMESPACE, component_xml
from weft.rtl.config import Config
from weft.rtl.npu import Npu
from weft.rtl.registers import REGISTERS

CONFIG = Config()
NAMES = {"s": NAMESPACE}

ORDER = (
    *("vendor", "library", "name", "version", "busInterfaces", "addressSpaces", "memoryMaps", "model", "fileSets"),
    "description",
)
"""The schema's order of a component's parts, of those that are used."""


@pytest.fixture(scope="module")
def root():
    return ElementTree.fromstring(component_xml(CONFIG, Npu(CONFIG), "weft_npu", ["weft_npu.v"]))


def texts(root, path):
    return [element.text for element in root.findall(path, NAMES)]


def test_parts_are_in_the_order_of_the_schema(root):
    assert root.tag == f"{{{NAMESPACE}}}component"
    assert [child.tag.partition("}")[2] for child in root] == list(ORDER)
    assert [texts(root, f"s:{name}")[0] for name in ORDER[:4]] == ["weft", "npu", "weft_npu", "1.0"]


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
