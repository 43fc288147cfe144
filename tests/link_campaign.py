"""The long campaign of faults on the serial link: `python -m tests.link_campaign`."""

import sys
from time import process_time

from tests.sw.serial.test_link import campaign

FRAMES, RATE = 10_000, 1e-3


def main() -> int:
    start = process_time()
    wrong, faults, given_up, resent = campaign(FRAMES, RATE, seed=0)
    counts = ", ".join(f"{count} {kind}" for kind, count in faults.items())
    print(
        f"{FRAMES} accesses, each fault at {RATE:g} a byte: {counts}; {resent} sent again, {given_up} given up with an"
    )
    print(f"error, {len(wrong)} wrong; {process_time() - start:.0f} s")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
