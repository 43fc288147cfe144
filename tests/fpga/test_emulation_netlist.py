"""LeNet on the netlist that synthesis makes of the iCEBreaker, in Yosys' own models of its cells, through a
pseudo-terminal, with the driver that drives boards."""

import numpy as np
from weft.fpga.boards import BOARDS
from weft.fpga.emulation import netlist_board
from weft.sim.golden_graph import run_graph
from weft.sw.commands.shared import LENET
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.loading import load_model
from weft.sw.serial.link import SerialLink
from weft.sw.serial.transport import SerialTransport, open_port

BOARD = BOARDS["icebreaker"]


def test_lenet_on_the_icebreaker_equals_golden():
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
    assert result.report.cycles[0] <= 60_000
