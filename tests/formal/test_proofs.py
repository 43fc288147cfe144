"""The proofs that are cheap enough for every run; `make verify` has all of them. And a broken block is refuted."""

import importlib.util
from types import ModuleType

import pytest
from weft.fpga.ecp5 import REGISTERED
from weft.rtl.config import Config

from tests.formal import axi_lite, axi_master, dma, halves, memories, order, queues
from tests.formal.inside import Inside
from tests.formal.proofs import PROOFS, SMALL_BUS, failure
from tests.formal.prove import missing_tool, prove

NEEDED = missing_tool()
proving = pytest.mark.skipif(NEEDED is not None, reason=f"needs {NEEDED}")

OFTEN = [name for name, proof in PROOFS.items() if proof.often]


@proving
@pytest.mark.parametrize("name", OFTEN)
def test_the_property_holds_for_ever(name, tmp_path):
    assert failure(name, "prove", tmp_path) is None


@proving
@pytest.mark.parametrize("name", [name for name in OFTEN if PROOFS[name].covered])
def test_the_property_is_about_something(name, tmp_path):
    assert failure(name, "cover", tmp_path) is None


def broken(module: str, right: str, wrong: str) -> ModuleType:
    """A module of the RTL with one place changed."""
    spec = importlib.util.find_spec(f"weft.rtl.{module}")
    source = spec.loader.get_source(spec.name)
    assert source.count(right) == 1
    changed = importlib.util.module_from_spec(spec)
    exec(compile(source.replace(right, wrong), spec.origin, "exec"), vars(changed))
    return changed


BROKEN = {
    "a burst that reaches into the next 4 KB": (
        axi_master, "axi", None, "last.eq(left <= room)", "last.eq(left <= room + 1)",
        lambda: axi_master.Splits(Config(axi_burst=4)),
    ),
    "WLAST one beat early": (
        axi_master, "axi", None, "last_beat.eq(beat == current.length)", "last_beat.eq(beat + 1 == current.length)",
        lambda: axi_master.Master(SMALL_BUS),
    ),
    "an address that is withdrawn when the core is reset": (
        axi_master, "axi", None, "self.m_axi_arvalid.eq(burst.valid & bursts.w_rdy)",
        "self.m_axi_arvalid.eq(burst.valid & bursts.w_rdy & ~drop)", lambda: axi_master.Master(SMALL_BUS),
    ),
    "a response that does not wait for its taker": (
        axi_lite, "axi", None, "with m.Elif(self.s_axil_bready):\n            m.d.sync += self.s_axil_bvalid",
        "with m.Else():\n            m.d.sync += self.s_axil_bvalid", lambda: axi_lite.Registers(Config()),
    ),
    "a word of an instruction in the place of another": (
        queues, "queue", "InstructionQueue", "word * width : (word + 1) * width",
        "(word ^ 1) * width : ((word ^ 1) + 1) * width", lambda: queues.Instructions(256, 2),
    ),
    "a token that is taken before it is there": (
        order, "tokens", "Tokens", "(count != 0) | given)", "(count != 0) | given | (count == 0))", order.Dependencies,
    ),
    "a queue that says a cycle too late that it is empty": (
        queues, "fifo", "fifo", "self.level != 1", "self.level != 0", lambda: queues.Fifo(8, 3, pipelined=True),
    ),
    "a skid buffer that keeps only one of two words": (
        queues, "skid", "SkidBuffer", "spare_full.eq(spare_full | self.i.valid)", "spare_full.eq(spare_full)",
        lambda: queues.Skid(8),
    ),
    "a gate that offers an instruction twice": (
        order, "tokens", "Gate", "offered.eq(may_pass & ~pass_on)", "offered.eq(may_pass)",
        lambda: order.Dependencies(pipelined=True),
    ),
    "data of a request that goes to the other side": (
        order, "bus", None, "owners.w_data.eq(choice)", "owners.w_data.eq(turn)", lambda: order.Shared(Config()),
    ),
    "two writers of the scratchpad at once": (
        memories, "scratchpad", "Scratchpad", "drained.even & loaded.even | drained.odd", "drained.even",
        lambda: memories.Bytes(Config(scratchpad_bytes=32)),
    ),
    "a half that is drained although it has just been given back": (
        halves, "core", "Core", "full_next != 0 if config.pipelined", "full != 0 if config.pipelined",
        lambda: halves.Halves(halves.CONFIG.replace(**REGISTERED)),
    ),
    "one word more than was requested": (
        dma, "dma", None, "leave.eq((requested | request_now) & (read | (granted & end)))",
        "leave.eq((requested | request_now) & (read | granted))", lambda: dma.Stores(Config()),
    ),
}  # fmt: skip
"""The property's module, the RTL's, the name that is replaced (the whole module if none), what is changed, and what is
to be refuted."""


@proving
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_block_is_refuted(name, tmp_path, monkeypatch):
    property_module, module, attribute, right, wrong, top = BROKEN[name]
    changed = broken(module, right, wrong)
    if attribute is None:
        monkeypatch.setattr(property_module, module, changed)
    else:
        monkeypatch.setattr(property_module, attribute, getattr(changed, attribute))
    said = prove(top(), "prove", 1, tmp_path)
    assert said is not None
    assert "failed assertion" in said


def test_a_name_that_is_not_inside_is_told():
    inside = Inside(queues.fifo(False, width=8, depth=3))
    with pytest.raises(KeyError, match="there is no submodule fifo"):
        inside["fifo"]
    with pytest.raises(KeyError, match="0 signals here are called consumed"):
        inside.signal("consumed")
    with pytest.raises(TypeError, match="this is not a memory"):
        inside.word(inside.signal("level"))
