"""The serial link's bit patterns: what hardware, driver and docs/link.md agree on.

A frame is FLAG and then bytes as in HDLC (RFC 1662, octet-stuffed framing): FLAG and ESCAPE inside a frame are sent as
ESCAPE and the byte with FLIP's bit changed, so that a FLAG always begins a frame, whatever was lost before it. All
numbers are little endian. CRC is CRC-32 (IEEE 802.3, RFC 1662's 32-bit FCS, zlib.crc32) in four bytes, over the bytes
before stuffing.

    request  FLAG  REQUEST  CRC of it  [payload  CRC of it]
    answer   FLAG  ANSWER  payload  CRC of both

The host sends one request at a time and sends it again, with the same sequence number, when no good answer comes. A
write that was already done under its sequence number is answered and not done again.
"""

from enum import IntEnum

from amaranth.hdl import unsigned
from amaranth.lib import data

LINK_IDENTITY = 0x314B4C57
"""The bytes "WLK1", little endian; the last one counts the versions of the protocol."""

FLAG, ESCAPE, FLIP = 0x7E, 0x7D, 0x20

CRC_POLYNOMIAL = 0xEDB88320
CRC_INIT = 0xFFFFFFFF
CRC_RESIDUE = 0xDEBB20E3
"""The polynomial, lowest bit first; what the register starts from; and what it holds after bytes and their CRC."""
CRC_BYTES = 4

WORD_BYTES = 4
MAX_WORDS = 255
"""The longest payload, in words of 32 bits."""


class Operation(IntEnum):
    """What a request asks for."""

    READ = 1
    """`words` words from `address` on."""
    WRITE = 2
    """The payload's words go to `address` and behind; the last one is written when the payload's CRC is right, so that
    a request of one word does all or nothing."""


class Status(IntEnum):
    """The first byte of an answer."""

    DONE = 0xA5
    DAMAGED = 0x5A
    """The header was good and the payload was not, or came too fast: send it again."""
    REFUSED = 0x3C
    """No such operation, or not 1 to MAX_WORDS words."""


REQUEST = data.StructLayout(
    {"operation": unsigned(8), "sequence": unsigned(8), "words": unsigned(16), "address": unsigned(32)}
)
"""`address` is in bytes and a multiple of 4; its highest bit selects the registers."""

ANSWER = data.StructLayout({"status": unsigned(8), "sequence": unsigned(8), "words": unsigned(16)})
"""`sequence` is the request's; `words` is the number of words that were read."""

REGISTERS_BIT = 31
"""The bit of an address that selects registers instead of memory."""

OWN_REGISTERS = 0x800
"""From this offset on registers are the link's and not the NPU's."""


class LinkRegister(IntEnum):
    """Offsets of the link's own registers."""

    IDENTITY = OWN_REGISTERS
    """LINK_IDENTITY."""
    MEMORY_BYTES = OWN_REGISTERS + 4
    """Size of the memory."""
    CLOCK_HZ = OWN_REGISTERS + 8
    """Frequency of the NPU's clock; 0 if unknown."""
    DIVISOR = OWN_REGISTERS + 12
    """Clock cycles of one bit, MIN_DIVISOR at least; can be written. The answer to the write has the new rate."""


DIVISOR_BITS = 10
MIN_DIVISOR = 4
DEFAULT_BAUD = 1_000_000
