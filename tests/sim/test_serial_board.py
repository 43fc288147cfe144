"""A board in simulation, from its serial pins; LeNet on it through a pseudo-terminal, with the driver that drives
boards."""

import numpy as np
from weft.sim.golden_graph import run_graph
from weft.sw.commands.shared import LENET
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.loading import load_model
from weft.sw.serial.frames import AnswerReader, read_request, stuffed
from weft.sw.serial.link import SerialLink
from weft.sw.serial.transport import SerialTransport, open_port

from tests.boards import CLOCK_HZ, CONFIG, MEMORY_BYTES, board


def test_lenet_through_a_pseudo_terminal_equals_golden():
    model = load_model(LENET)
    network = compile_model(model, CONFIG)
    assert len(network.programs[0].image) > MEMORY_BYTES  # no room for a second copy of the weights
    tensor = network.tensors[network.inputs[0]]
    images = np.random.default_rng(0).random((4, *tensor.shape[1:])).astype(tensor.dtype)
    (golden,) = run_graph(model, [images])
    with board().terminal() as name, open_port(name) as port:
        transport = SerialTransport(SerialLink(port, name), CONFIG)
        assert (transport.memory_bytes, transport.clock_hz) == (MEMORY_BYTES, CLOCK_HZ)
        result = Device(transport, chunk=3).run(network, images)
        assert (result.outputs[network.outputs[0]] == golden).all()
        assert result.report.counters["CYCLES"] == result.report.cycles[-1]
        # Another session on the same board.
        again = Device(SerialTransport(SerialLink(port, name), CONFIG)).run(network, images[:1])
        assert (again.outputs[network.outputs[0]] == golden[:1]).all()
        assert (again.report.cycles == result.report.cycles[0]).all()


def test_a_board_answers_only_what_it_was_asked():
    line = board()
    assert line.read(10) == b""
    line.write(b"\x00 no frame at all")
    assert line.read(10) == b""
    line.write(stuffed(read_request(9, 1 << 31, 1)))
    (answer,) = AnswerReader().feed(line.read(100))
    assert (answer.sequence, answer.payload) == (9, b"WEFT")


def test_the_clock_stands_still_while_nothing_happens():
    some = board()
    with some.terminal() as name, open_port(name) as port:
        link = SerialLink(port, name)
        link.read(0, 4)
        cycle = some.cycle
        for _ in range(3):
            link.read(0, 4)
        assert some.cycle - cycle < 100_000
