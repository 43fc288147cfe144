import pytest
from weft.sim import cosim
from weft.sim.cosim import CosimError, compiled, missing_tool, run_tests

INVERTER = "module inverter(input i, output o); assign o = ~i; endmodule\n"
CONSTANT = """\
module inverter(input i, output reg o);
  reg state = 1'b0;
  always_comb begin
    o = ~state;
  end
endmodule
"""
MODULE = "tests.sim.bench_cosim"


@pytest.fixture(autouse=True)
def icarus(tmp_path, monkeypatch):
    if tool := missing_tool("icarus"):
        pytest.skip(f"needs {tool}")
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))


def run(tmp_path, tests, verilog=INVERTER):
    return run_tests(verilog, "inverter", MODULE, "icarus", tmp_path, tests=tests, environment={"WEFT_TEST": "given"})


def test_the_tests_that_ran_are_returned(tmp_path):
    assert run(tmp_path, "inverts|environment") == ["inverts", "finds_its_environment"]


def test_a_failing_test_is_an_error_with_the_end_of_the_log(tmp_path):
    with pytest.raises(CosimError, match=r"(?s)^fails failed on icarus:\n.*this test fails"):
        run(tmp_path, "fails|inverts")


def test_no_test_at_all_is_an_error(tmp_path):
    with pytest.raises(CosimError, match=r"^no test came to its end on icarus:\n"):
        run(tmp_path, "absent")


def test_what_cannot_be_compiled_is_an_error_and_not_kept(tmp_path):
    with pytest.raises(CosimError, match=r"(?s)^icarus could not compile inverter:\n.*syntax error"):
        compiled("module inverter(; endmodule", "inverter", "icarus")
    assert list((tmp_path / "cache").iterdir()) == []


def test_blocks_run_at_time_0_though_nothing_moves(tmp_path):
    assert run(tmp_path, "settled", CONSTANT) == ["is_settled_at_time_0"]


def test_blocks_do_not_share_icarus_event_of_time_0(tmp_path):
    folder = compiled(CONSTANT, "inverter", "icarus")
    assert "E_0x0;" not in (folder / "sim.vvp").read_text()


def test_a_simulation_is_compiled_once_and_only_its_product_is_kept(tmp_path, monkeypatch):
    folder = compiled(INVERTER, "inverter", "icarus")
    assert [path.name for path in folder.iterdir()] == ["sim.vvp"]
    monkeypatch.setattr(cosim, "cached", lambda key, build: key)
    assert compiled(INVERTER, "inverter", "icarus") == folder.name
    assert compiled(INVERTER + "\n", "inverter", "icarus") != folder.name


def test_a_simulator_is_one_of_two():
    with pytest.raises(ValueError, match=r"^the simulator must be one of verilator, icarus, not 'vcs'$"):
        missing_tool("vcs")


def test_a_missing_tool_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert missing_tool("icarus") == "iverilog"
    assert "g++" in missing_tool("verilator")
