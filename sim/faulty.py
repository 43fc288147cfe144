"""The RTL in simulation with a memory that misbehaves, for campaigns: faults, fences, resets at any cycle."""

import ctypes
from enum import IntEnum
from pathlib import Path

from weft.rtl.config import Config
from weft.rtl.registers import Control
from weft.sim.verilated import MEMORY_BYTES, MemoryModel, VerilatedNpu
from weft.sw.transport import soft_reset


class Channel(IntEnum):
    """The channels of AXI4, in the order of the harness."""

    AR = 0
    R = 1
    AW = 2
    W = 3
    B = 4


class Response(IntEnum):
    """What a fault makes of a transfer."""

    SLVERR = 2
    DECERR = 3
    NONE = 4
    """It does not take place, and no later one of its channel."""


NO_CHANNEL = len(Channel)


class FaultyNpu(VerilatedNpu):
    """A VerilatedNpu that is reset as a board is: over its registers, so that its bus must stay in order.

    What the master may address is checked at the bus by `fence`, whatever the NPU's own fences are.
    """

    def __init__(
        self,
        config: Config,
        memory_bytes: int = MEMORY_BYTES,
        model: MemoryModel | None = None,
        library: Path | None = None,
    ):
        super().__init__(config, memory_bytes, model, library)
        self.disconnected = 0
        """How many resets had to give the memory up."""

    def inject(self, channel: Channel, number: int, response: Response) -> None:
        """Let one transfer fail, the one with that number from now on: a read beat (R), the burst that a write beat
        belongs to (W), or with NONE any transfer of any channel and all later ones."""
        self._library.weft_inject(self._sim, channel, number, response)

    def behave(self) -> None:
        """No fault any more; transfers are counted from here."""
        self._library.weft_inject(self._sim, NO_CHANNEL, 0, 0)

    def transfers(self, channel: Channel) -> int:
        """Transfers of a channel since the last `inject` or `behave`: of R and B, those that were answered."""
        return int(self._library.weft_transfers(self._sim, channel))

    @property
    def injected_at(self) -> int | None:
        """The address of the transfer that the last fault hit (of a write the burst's), None if it hit none."""
        address = int(self._library.weft_injected_at(self._sim))
        return None if address == (1 << 64) - 1 else address

    def stall(self, chance: float) -> None:
        """The chance per channel and cycle of a stall, from here on."""
        self._library.weft_stall(self._sim, round(256 * chance))

    def idle(self, cycles: int) -> None:
        """Let cycles pass."""
        self._library.weft_idle(self._sim, cycles)

    def fence(self, read: tuple[int, int], write: tuple[int, int]) -> None:
        """The first and the last byte that may be read and written; what is outside is counted as stray."""
        for which, (first, last) in enumerate((read, write)):
            self._library.weft_window(self._sim, which, first, last)

    @property
    def strays(self) -> tuple[int, int]:
        """Bursts outside the fence since it was set, and the address of the first."""
        address = ctypes.c_uint64()
        return int(self._library.weft_strays(self._sim, ctypes.byref(address))), address.value

    @property
    def misuse(self) -> str:
        """The first rule of the bus that the NPU broke, empty if none."""
        return str(self._library.weft_fault(self._sim).decode())

    def memories(self) -> list[tuple[int, int]]:
        """Words and bits of the on-chip memories, with `Config.protection`; the order is the same for a library."""
        bits = ctypes.c_uint64()
        found: list[tuple[int, int]] = []
        while words := int(self._library.weft_memory(self._sim, len(found), ctypes.byref(bits))):
            found.append((words, bits.value))
        return found

    def flip(self, memory: int, word: int, bit: int, delay: int = 0) -> None:
        """Change one stored bit of one of `memories`, after so many cycles; the last call counts."""
        self._library.weft_flip(self._sim, memory, word, bit, delay)

    def power_cycle(self) -> None:
        """The reset pin, of NPU and memory."""
        super().reset()

    def reset(self) -> None:
        """A reset over the registers. A memory that does not answer any more is reset itself, and disconnected."""
        if not soft_reset(self):
            self.disconnected += 1
            self.behave()
            self.write_register("CONTROL", 1 << Control.RESET | 1 << Control.DISCONNECT)
            self._library.weft_forget(self._sim)
