import random

import pytest
from weft.rtl.link_protocol import ESCAPE, FLAG, MAX_WORDS, Status
from weft.sw.serial.frames import Answer, AnswerReader, read_request, request, stuffed, with_crc, write_request

from tests.rtl.link_host import answer

PAYLOAD = bytes([FLAG, ESCAPE, 0, 255])


def test_frames_on_the_line():
    assert request(1, 2, 3, 0x80000004)[:8].hex(" ") == "01 02 03 00 04 00 00 80"
    assert with_crc(b"123456789")[9:].hex() == "2639f4cb"
    assert read_request(5, 8, 2) == request(1, 5, 2, 8)
    assert write_request(5, 8, PAYLOAD) == request(2, 5, 1, 8) + with_crc(PAYLOAD)
    assert stuffed(PAYLOAD).hex(" ") == "7e 7d 5e 7d 5d 00 ff"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_answers_come_out_however_the_line_is_cut(size):
    answers = [Answer(Status.DONE, 1, PAYLOAD * 5), Answer(Status.DAMAGED, 2, b""), Answer(Status.REFUSED, 255, b"")]
    line = b"noise" + b"".join(stuffed(answer(*one)) for one in answers)
    reader = AnswerReader()
    parts = [line[start : start + size] for start in range(0, len(line), size)]
    assert [one for part in parts for one in reader.feed(part)] == answers


def test_missing_is_never_more_than_what_comes():
    reader = AnswerReader()
    line = stuffed(answer(Status.DONE, 3, PAYLOAD))
    while line:
        count = reader.missing
        assert count <= len(line)
        found = reader.feed(line[:count])
        line = line[count:]
    assert found == [Answer(Status.DONE, 3, PAYLOAD)]


@pytest.mark.parametrize("fault", ["flip", "drop", "double"])
def test_no_wrong_answer_at_any_byte(fault):
    line = stuffed(answer(Status.DONE, 3, PAYLOAD))
    good = Answer(Status.DONE, 3, PAYLOAD)
    for place in range(len(line)):
        middle = {"flip": bytes([line[place] ^ 1 << place % 8]), "drop": b"", "double": line[place : place + 1] * 2}
        broken = line[:place] + middle[fault] + line[place + 1 :]
        reader = AnswerReader()
        found = reader.feed(broken) + reader.feed(line)
        # A FLAG, an ESCAPE or the last byte that comes twice changes nothing.
        harmless = fault == "double" and (line[place] in (FLAG, ESCAPE) or place == len(line) - 1)
        assert found == [good] * (2 if harmless else 1)


def test_an_answer_that_cannot_be_is_dropped_at_once():
    reader = AnswerReader()
    too_long = answer(Status.DONE, 3)[:2] + (MAX_WORDS + 1).to_bytes(2, "little")
    assert reader.feed(stuffed(too_long)) == []
    assert reader.missing == AnswerReader().missing
    assert reader.feed(stuffed(answer(0x11, 3))) == []


def test_random_bytes_are_no_answers():
    assert AnswerReader().feed(random.Random(0).randbytes(20000)) == []
