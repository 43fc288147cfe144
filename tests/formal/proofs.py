"""What is proven of the RTL, how, and to which depth: the one table that tests, `make verify` and the docs use."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from amaranth.hdl import Elaboratable
from weft.fpga.ecp5 import REGISTERED
from weft.rtl.config import Config
from weft.sim.verification import Row
from weft.sw.commands.figures import Sheet

from . import axi_lite, axi_master, dma, halves, memories, order, queues
from .prove import prove

SMALL_BUS = Config(address_width=16, axi_width=64, axi_burst=4, axi_outstanding=2)
WIDE_BUS = Config(memory_width=64, axi_width=256, axi_burst=256, axi_outstanding=3)
DEPTHWISE = halves.CONFIG.replace(rows=2, cols=3, depthwise=True)
LARGE_SCRATCHPAD = Config(rows=16, cols=8, lanes=4, scratchpad_bytes=1024)

ALL_REGISTERS = Config(**REGISTERED)


class Proof(NamedTuple):
    """One property of one block.

    `steps` of k-induction prove it for ever. `covered` is the number of cycles in which all its Covers are reached
    from reset: its assumptions do not forbid what it is about. `often`: cheap enough for `make test`.
    """

    what: str
    top: Callable[[], Elaboratable]
    steps: int
    covered: int
    often: bool = True


PROOFS = {
    "fifo": Proof(
        "a FIFO never loses, duplicates or reorders a word",
        lambda: queues.Fifo(8, 3), 1, 6,
    ),
    "fifo-deep": Proof(
        "the same, 16 words of 37 bits",
        lambda: queues.Fifo(37, 16), 1, 6, False,
    ),
    "fifo-registered": Proof(
        "the same, with flags out of registers",
        lambda: queues.Fifo(8, 3, pipelined=True), 1, 6,
    ),
    "skid": Proof(
        "a skid buffer never loses, duplicates or reorders a word, and what it offers stands",
        lambda: queues.Skid(8), 1, 6,
    ),
    "instructions": Proof(
        "an instruction queue never loses, duplicates or reorders a word",
        lambda: queues.Instructions(256, 2), 1, 8,
    ),
    "instructions-narrow": Proof(
        "the same, 16 words an instruction",
        lambda: queues.Instructions(32, 1), 1, 38, False,
    ),
    "instructions-registered": Proof(
        "the same pipelined, and there is none in the cycle after one was taken",
        lambda: queues.Instructions(256, 2, pipelined=True), 1, 8,
    ),
    "split": Proof(
        "bursts are a request's words, in order, and none crosses 4 KB",
        lambda: axi_master.Splits(Config(axi_burst=3)), 1, 6,
    ),
    "split-wide": Proof(
        "the same, 4 words a beat and up to 256 beats",
        lambda: axi_master.Splits(Config(axi_width=128, axi_burst=256)), 1, 6, False,
    ),
    "axi4": Proof(
        "AXI4 master: valid and payload stand until ready, lengths, WLAST, 4 KB, no response unasked; any abandon",
        lambda: axi_master.Master(SMALL_BUS), 1, 14,
    ),
    "axi4-wide": Proof(
        "the same, 4 words a beat and up to 256 beats",
        lambda: axi_master.Master(WIDE_BUS), 1, 22, False,
    ),
    "axi4-lite": Proof(
        "AXI4-Lite registers: one response per access, none unasked; what was written is read",
        lambda: axi_lite.Registers(Config()), 1, 8,
    ),
    "load": Proof(
        "load unit: requests stand until taken, data is taken for a request only",
        lambda: dma.Loads(Config()), 1, 8,
    ),
    "store": Proof(
        "store unit: requests and words stand until taken, as many words as requested",
        lambda: dma.Stores(Config()), 1, 12,
    ),
    "load-registered": Proof(
        "the same pipelined, when memory gives nothing unasked; words stand until taken, too",
        lambda: dma.Loads(ALL_REGISTERS), 1, 8,
    ),
    "store-registered": Proof(
        "the same pipelined",
        lambda: dma.Stores(ALL_REGISTERS), 1, 14,
    ),
    "read-port": Proof(
        "read arbiter: no request lost or doubled, data goes to the side that asked",
        lambda: order.Shared(Config()), 1, 5,
    ),
    "read-port-registered": Proof(
        "the same pipelined",
        lambda: order.Shared(ALL_REGISTERS), 1, 6,
    ),
    "tokens": Proof(
        "dependency tokens never underflow, and are counted exactly",
        order.Dependencies, 1, 6,
    ),
    "tokens-registered": Proof(
        "the same pipelined, when the counters hear of all a cycle later",
        lambda: order.Dependencies(pipelined=True), 1, 8,
    ),
    "scratchpad": Proof(
        "scratchpad: a bank has one writer at a time, a byte is what was written last, who was granted gets the read",
        lambda: memories.Bytes(Config(scratchpad_bytes=32)), 1, 6,
    ),
    "scratchpad-large": Proof(
        "the same, words of 16 bytes and four lanes",
        lambda: memories.Bytes(LARGE_SCRATCHPAD), 1, 6, False,
    ),
    "halves": Proof(
        "accumulator: array and drain never meet in one half, in the whole core",
        lambda: halves.Halves(halves.CONFIG), 1, 0,
    ),
    "halves-registered": Proof(
        "the same pipelined, when both hear a cycle later of what the other did",
        lambda: halves.Halves(halves.CONFIG.replace(**REGISTERED)), 1, 0,
    ),
    "halves-depthwise": Proof(
        "the same, 2x3 elements and depthwise passes",
        lambda: halves.Halves(DEPTHWISE), 1, 0, False,
    ),
    "halves-depthwise-registered": Proof(
        "the same pipelined",
        lambda: halves.Halves(DEPTHWISE.replace(**REGISTERED)), 1, 0, False,
    ),
    "halves-reached": Proof(
        "the same, a wide memory port, and a run that drains a half",
        lambda: halves.Halves(halves.WIDE), 1, 22, False,
    ),
}  # fmt: skip
"""By name."""


def sheet() -> Sheet:
    """The table of all proofs."""
    rows = [
        (name, proof.what, f"{proof.steps}", f"{proof.covered or ''}", "yes" if proof.often else "")
        for name, proof in PROOFS.items()
    ]
    heads = ("name", "property", "steps of induction", "cycles until reached", "in `make test`")
    return Sheet("Proven for ever", heads, rows)


SECONDS = 1200
"""After which a proof has failed."""


def failure(name: str, mode: str, folder: Path) -> str | None:
    """What is wrong with a property (`prove`) or with its assumptions (`cover`); None if nothing is."""
    proof = PROOFS[name]
    return prove(proof.top(), mode, proof.steps if mode == "prove" else proof.covered, folder, SECONDS)


def campaign() -> Iterator[Row]:
    """All proofs, and all covers."""
    for what, mode, names in (
        ("formal properties proven for ever, by induction over one step", "prove", list(PROOFS)),
        ("formal properties whose subject is reached", "cover", [name for name in PROOFS if PROOFS[name].covered]),
    ):
        failures, start = [], perf_counter()
        for name in names:
            with TemporaryDirectory() as folder:
                if said := failure(name, mode, Path(folder)):
                    failures.append(f"{name}: {said.splitlines()[-1]}")
        yield Row(what, len(names), failures, len(names), perf_counter() - start, "none")
