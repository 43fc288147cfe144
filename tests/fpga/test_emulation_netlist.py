"""LeNet on the netlists that synthesis makes of boards, through a pseudo-terminal, with the driver that drives boards:
the iCEBreaker's in Yosys' own models of its cells, the Tang Primer's also in those of fpga/gowin_cells.py."""

import numpy as np
import pytest
from weft.fpga.boards import BOARDS
from weft.fpga.emulation import netlist_board
from weft.sim.golden_graph import run_graph
from weft.sw.commands.shared import LENET
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.loading import load_model
from weft.sw.serial.link import SerialLink
from weft.sw.serial.transport import SerialTransport, open_port


@pytest.mark.parametrize("name", ["icebreaker", "tang-primer-20k"])
def test_lenet_on_a_netlist_equals_golden(name):
    board = BOARDS[name]
    model = load_model(LENET)
    network = compile_model(model, board.config)
    tensor = network.tensors[network.inputs[0]]
    images = np.random.default_rng(0).random((1, *tensor.shape[1:])).astype(tensor.dtype)
    (golden,) = run_graph(model, [images])
    with netlist_board(board).terminal() as line, open_port(line) as port:
        transport = SerialTransport(SerialLink(port, line), board.config)
        assert (transport.memory_bytes, transport.clock_hz) == (board.memory_bytes, board.clock_hz)
        result = Device(transport).run(network, images)
    assert (result.outputs[network.outputs[0]] == golden).all()
    assert result.report.cycles[0] <= 60_000
