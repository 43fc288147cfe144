"""The long campaign of faults on the serial link, a part of `make verify`."""

from collections.abc import Iterator
from time import process_time

from weft.sim.verification import Row

from tests.sw.serial.test_link import campaign

RATE = 1e-3
"""Of each kind of fault, per byte and direction."""

DELIVERED = 0.999
"""The share that must get through, in the end; the others end with an error."""


def link_faults(frames: int = 10_000, seed: int = 0) -> Iterator[Row]:
    """Accesses between the driver and the RTL of a board, bytes dropped, doubled, flipped and delayed."""
    start = process_time()
    wrong, faults, given_up, resent = campaign(frames, RATE, seed)
    seconds = process_time() - start
    yield Row("accesses over a serial line with faults", frames, wrong, frames, seconds, str(seed))
    yield Row("of them delivered", frames - given_up, [], DELIVERED * frames, 0.0, str(seed))
    yield Row("faults on the line", sum(faults.values()), [], 2 * RATE * frames, 0.0, str(seed))
    yield Row("requests that were sent again", resent, [], RATE * frames, 0.0, str(seed))
