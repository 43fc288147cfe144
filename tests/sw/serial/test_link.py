"""The host's end of the link: its manners on a script, and the whole of it against the RTL on a line with faults."""

import random

import pytest
from weft.rtl.link_protocol import MAX_WORDS, REQUEST, Status
from weft.rtl.registers import BY_NAME
from weft.sw.serial.frames import stuffed
from weft.sw.serial.link import LinkError, SerialLink
from weft.sw.transport import DeviceError

from tests.boards import MEMORY_BYTES, board
from tests.rtl.link_host import answer, register, unstuffed
from tests.sw.serial.lines import Faulty, Script

WORD = b"\x01\x02\x03\x04"


def header(line):
    return REQUEST.from_bits(int.from_bytes(unstuffed(line)[:8], "little"))


def replies(*statuses):
    """One after the other; None is silence, a status comes with what a READ asks for."""
    left = iter(statuses)

    def reply(line):
        status, request = next(left), header(line)
        if status is None:
            return b""
        words = request.words if request.operation == 1 and status == Status.DONE else 0
        return stuffed(answer(status, request.sequence, WORD * words))

    return reply


def test_long_transfers_go_in_blocks_with_numbers_of_their_own():
    line = Script(replies(*[Status.DONE] * 4))
    link = SerialLink(line)
    assert link.read(64, 4 * (MAX_WORDS + 3)) == WORD * (MAX_WORDS + 3)
    link.write(0, bytes(4 * MAX_WORDS + 8))
    headers = [header(written) for written in line.written]
    assert [(one.address, one.words) for one in headers] == [
        (64, MAX_WORDS),
        (64 + 4 * MAX_WORDS, 3),
        (0, MAX_WORDS),
        (4 * MAX_WORDS, 2),
    ]
    assert [(one.sequence - headers[0].sequence) % 256 for one in headers] == [0, 1, 2, 3]
    assert link.resent == 0


def test_sent_again_with_the_same_number_after_silence_and_damage():
    line = Script(replies(None, Status.DAMAGED, None, Status.DONE))
    link = SerialLink(line, seconds=0.5)
    link.write(8, WORD)
    assert len(set(line.written)) == 1
    assert len(line.written) == 4
    assert link.resent == 3
    assert line.timeouts == [0.5, 1.0, 2.0]  # damage is no reason to wait longer


def test_a_long_request_is_halved_when_it_does_not_get_through():
    line = Script(lambda written: replies(Status.DAMAGED if header(written).words > 32 else Status.DONE)(written))
    link = SerialLink(line)
    content = bytes(range(256)) * 2
    link.write(0, content)
    done = [header(written) for written in line.written if header(written).words <= 32]
    assert [(one.address, one.words) for one in done] == [(0, 32), (128, 32), (256, 32), (384, 32)]
    assert [header(written).words for written in line.written[:6]] == [128] * 3 + [64] * 3


def test_an_answer_to_an_earlier_request_is_dropped_and_teaches_patience():
    late = []

    def reply(line):
        request = header(line)
        late.append(stuffed(answer(Status.DONE, request.sequence, WORD)))
        return b"" if len(late) == 1 else late[0] + late[-1]

    line = Script(reply)
    link = SerialLink(line, seconds=0.25)
    assert link.read(0, 4) == WORD
    line.answers = lambda written: late[0] + stuffed(answer(Status.DONE, header(written).sequence, b"next"))
    assert link.read(0, 4) == b"next"
    assert link.seconds > 0.25


@pytest.mark.parametrize("pace, most", [(0.002, SerialLink.LONGEST), (0.02, SerialLink.SLOWEST)])
def test_a_slow_board_gets_as_much_time_as_it_needs(monkeypatch, pace, most):
    clock = [0.0]
    monkeypatch.setattr("weft.sw.serial.link.time.monotonic", lambda: clock[0])

    def reply(line):
        clock[0] += pace * len(line)
        return replies(Status.DONE)(line)

    line = Script(reply)
    link = SerialLink(line, seconds=0.25)
    for words in (1, 40, 200):
        link.write(0, WORD * words)
    needed = [pace * len(written) for written in line.written]
    assert line.timeouts[0] == 0.25
    assert needed[1] > 0.25
    assert needed[1] < line.timeouts[1] < line.timeouts[2] <= most
    assert needed[2] < line.timeouts[2]
    pace = 0.0
    link.write(0, WORD)
    link.write(0, WORD)
    assert line.timeouts[-1] == 0.25


@pytest.mark.parametrize(
    "reply, sentence",
    [
        (lambda line: b"", "the board does not answer: 5 requests in a row went unheard"),
        (replies(*[Status.DAMAGED] * 20), "the board gave no good answer to a request that was sent 20 times"),
        (lambda line: b"hello, this is a modem", "the board gave no good answer to a request that was sent 20 times"),
        (replies(Status.REFUSED), "the board refused a request: it has another version of the link"),
        (
            lambda line: stuffed(answer(Status.DONE, header(line).sequence, WORD * 2)),
            "the board answered a request for 1 words with 8 bytes",
        ),
    ],
)
def test_errors_are_sentences(reply, sentence):
    with pytest.raises(LinkError) as caught:
        SerialLink(Script(reply)).read(0, 4)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, DeviceError)


def test_a_line_that_is_pulled():
    def reply(line):
        raise OSError(5, "Input/output error")

    with pytest.raises(LinkError) as caught:
        SerialLink(Script(reply), "the board at ttyUSB0").read(0, 4)
    assert str(caught.value) == "the board at ttyUSB0 is gone: [Errno 5] Input/output error"


def campaign(frames, rate, seed):
    """Random accesses over a line with faults; what was wrong, the faults, and how often the link gave up.

    A model of the board's memory and of one register says what each read must return. What was being written when the
    link gave up is unknown until it is written again, as the error says.
    """
    rng = random.Random(seed)
    line = Faulty(board(), rate, seed)
    link = SerialLink(line)
    memory, base = {}, None
    wrong, given_up = [], 0
    for number in range(frames):
        address, words = 4 * rng.randrange(MEMORY_BYTES // 4 - 32), rng.choice((1, 2, 8, 32))
        places = range(address, address + 4 * words, 4)
        content = rng.randbytes(4 * words)
        kind = rng.choice(("write", "read", "set", "get"))
        try:
            if kind == "write":
                for place in places:
                    memory.pop(place, None)
                link.write(address, content)
                memory |= {place: content[place - address :][:4] for place in places}
            elif kind == "read":
                got = link.read(address, 4 * words)
                for place in places:
                    if memory.setdefault(place, got[place - address :][:4]) != got[place - address :][:4]:
                        wrong.append(f"frame {number}: memory at {place:#x}")
            elif kind == "set":
                base = None
                link.write(register(BY_NAME["BASE_2"].offset), content[:4])
                base = content[:4]
            else:
                got = link.read(register(BY_NAME["BASE_2"].offset), 4)
                if base not in (None, got):
                    wrong.append(f"frame {number}: the register")
        except LinkError:
            given_up += 1
    return wrong, line.faults, given_up, link.resent


@pytest.mark.parametrize("rate, frames, seed", [(0.0, 100, 0), (1e-3, 300, 1), (1e-2, 150, 2)])
def test_faults_on_the_line(rate, frames, seed):
    """The long campaign is a part of `make verify`."""
    wrong, faults, given_up, resent = campaign(frames, rate, seed)
    assert wrong == []
    # At one fault in a hundred bytes some accesses run out of tries, which the link says; most get through.
    assert given_up <= (frames // 2 if rate > 1e-3 else 0)
    assert all(faults.values()) == (rate > 0)
    assert (resent > 0) == (rate > 0)
