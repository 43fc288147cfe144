# amaranth: UnusedElaboratable=no

import pytest
from amaranth.lib.wiring import In, Out
from weft.gen.verilog import to_verilog
from weft.rtl.config import Config
from weft.rtl.npu import Npu
from weft.rtl.registers import Unit

CONFIG = Config(rows=2, cols=2, weight_tiles=16, scratchpad_bytes=256, accumulators=4, parameter_channels=4)


def test_with_axi_the_ports_have_their_standard_names():
    members = Npu(CONFIG).signature.members
    assert members["m_axi_awaddr"].flow is Out
    assert members["m_axi_rdata"].flow is In
    assert members["s_axil_wdata"].flow is In
    assert "read" not in members


def test_without_axi_the_cores_ports_are_the_tops():
    members = Npu(CONFIG.replace(axi=False)).signature.members
    assert {"read", "write", "registers", "interrupt"} <= set(members)
    assert not [name for name in members if "axi" in name]


@pytest.mark.parametrize("axi", [True, False])
def test_every_unit_can_be_traced(axi):
    members = Npu(CONFIG.replace(axi=axi)).signature.members
    for unit in Unit:
        for name in ("activity", "tag", "done", "done_tag"):
            assert f"trace_{unit.name.lower()}_{name}" in members


def test_without_axi_nothing_is_paid_for_it():
    def modules(config):
        text = to_verilog(Npu(config), "npu", config)
        return {line.split()[1].split("(")[0] for line in text.splitlines() if line.startswith("module ")}

    with_axi, without = modules(CONFIG), modules(CONFIG.replace(axi=False))
    assert {name for name in with_axi if "master" in name or "slave" in name}
    assert not {name for name in without if "master" in name or "slave" in name}
