"""The simulator half of test_cosim."""

import os

import cocotb
from cocotb.triggers import Timer


@cocotb.test()
async def inverts(dut):
    for value in (0, 1):
        dut.i.value = value
        await Timer(1, "ns")
        assert dut.o.value == 1 - value


@cocotb.test()
async def finds_its_environment(dut):
    assert os.environ["WEFT_TEST"] == "given"


@cocotb.test()
async def fails(dut):
    raise AssertionError("this test fails")


@cocotb.test()
async def is_settled_at_time_0(dut):
    await Timer(1, "ns")
    assert dut.o.value == 1
