"""A small ECP5: its bitstream, and LeNet on the netlist that synthesis makes of it, in cells of Yosys' and our own
models, through a pseudo-terminal, with the driver that drives boards."""

import numpy as np
from weft.fpga import flow
from weft.fpga.board_build import board_design
from weft.fpga.emulation import netlist_board
from weft.fpga.pll import MHZ
from weft.sim.golden_graph import run_graph
from weft.sw.commands.shared import LENET
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.loading import load_model
from weft.sw.serial.link import SerialLink
from weft.sw.serial.transport import SerialTransport, open_port

from tests.boards import REGISTERED_BOARD as BOARD


def test_lenet_on_the_netlist_equals_golden():
    model = load_model(LENET)
    network = compile_model(model, BOARD.config)
    tensor = network.tensors[network.inputs[0]]
    images = np.random.default_rng(0).random((1, *tensor.shape[1:])).astype(tensor.dtype)
    (golden,) = run_graph(model, [images])
    with netlist_board(BOARD).terminal() as name, open_port(name) as port:
        transport = SerialTransport(SerialLink(port, name), BOARD.config)
        assert (transport.memory_bytes, transport.clock_hz) == (BOARD.memory_bytes, BOARD.clock_hz)
        result = Device(transport).run(network, images)
    assert (result.outputs[network.outputs[0]] == golden).all()


def test_bitstream_of_a_whole_board():
    build = flow.build(board_design(BOARD), BOARD.device, frequency=BOARD.clock_hz / MHZ)
    assert build.bitstream is not None
    assert build.report.met
    assert build.report.used("DSP").used == BOARD.config.macs_per_cycle + 4  # and those of the requantizer
