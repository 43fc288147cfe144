"""Compiling the RTL, and what a user meets when that fails."""

import sys
from pathlib import Path

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out, Signature
from weft.rtl.config import Config
from weft.sim import library
from weft.sim.library import compile_library, npu_library, npu_verilog, simulation_verilog, wrapper
from weft.sw.errors import UserError

from tests.sim.copier import Copier

CONFIG = Config(axi_width=32)


def test_a_library_is_compiled_once_for_the_same_verilog(monkeypatch):
    verilog = simulation_verilog(Copier(CONFIG), CONFIG)
    path = compile_library(verilog)
    monkeypatch.setattr(library, "verilator_environment", None)
    assert compile_library(verilog) == path
    with pytest.raises(TypeError):
        compile_library(verilog + "// changed")


def test_the_verilog_is_written_once_for_the_same_configuration(monkeypatch):
    verilog = npu_verilog(CONFIG)
    assert f"Configuration {CONFIG.digest}" in verilog
    monkeypatch.setattr(library.npu, "Npu", None)
    assert npu_verilog(CONFIG) == verilog
    with pytest.raises(TypeError):
        npu_verilog(CONFIG.replace(queue_depth=3))


class Small(Component):
    a: In(3)
    b: Out(2)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.b.eq(self.a)
        return m


def test_the_wrapper_has_a_register_at_each_input():
    assert wrapper(Signature({"a": In(3), "b": Out(2)})).splitlines() == [
        "module simulation(input clk",
        ", input [0:0] rst",
        ", input [2:0] a",
        ", output [1:0] b",
        ");",
        "npu npu(.clk(clk)",
        ", .rst(rst_q)",
        ", .a(a_q)",
        ", .b(b)",
        ");",
        "reg [0:0] rst_q = 0; always @(posedge clk) rst_q <= rst;",
        "reg [2:0] a_q = 0; always @(posedge clk) a_q <= a;",
        "endmodule",
    ]


def test_a_failed_compilation_names_its_log(monkeypatch, tmp_path):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="the compilers' messages are in ") as error:
        compile_library(simulation_verilog(Small()))
    log = str(error.value).rsplit(" ", 1)[1]
    assert "m_axi" in Path(log).read_text()
    assert list(tmp_path.iterdir()) == [Path(log)]


@pytest.mark.parametrize("tool", ["g++", "make", "perl"])
def test_a_missing_tool_is_named(monkeypatch, tool):
    which = library.shutil.which
    monkeypatch.setattr(
        library.shutil, "which", lambda name, path=None: None if name == tool else which(name, path=path)
    )
    with pytest.raises(UserError) as error:
        library.verilator_environment()
    assert str(error.value) == f"simulating the RTL needs {tool}, which is not on the PATH"


def test_a_missing_verilator_is_named(monkeypatch):
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs the Python package verilator, which is not installed"):
        library.verilator_environment()


def test_the_environment_of_this_process_stays_as_it_is(monkeypatch):
    monkeypatch.delenv("VERILATOR_ROOT", raising=False)
    before = dict(library.os.environ)
    command, environment = library.verilator_environment()
    assert dict(library.os.environ) == before
    assert command.startswith(environment["VERILATOR_ROOT"])
    assert f"PYTHON3={sys.executable}" in environment["MAKEFLAGS"].split()


def test_a_configuration_without_axi_is_refused():
    with pytest.raises(UserError, match="takes a configuration with axi = true"):
        npu_library(Config(axi=False))
