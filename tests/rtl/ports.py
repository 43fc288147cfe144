"""Models of what stands at a block's ports: stream ends, memory, AXI. One cycle-based bench runs them all."""

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from amaranth.hdl import Elaboratable

from .common import simulate

Item = dict[str, int]
Stall = Callable[[], bool]

STALLS = ("flowing", "half", "scarce")


def stall(pattern: str, seed: int) -> Stall:
    """Whether to pause in this cycle: never, in half of the cycles, or mostly, with runs of both kinds."""
    rng = random.Random(seed)
    if pattern == "flowing":
        return lambda: False
    if pattern == "half":
        return lambda: rng.random() < 0.5
    remaining = [0, False]

    def scarce() -> bool:
        if remaining[0] == 0:
            remaining[1] = not remaining[1]
            remaining[0] = rng.randint(1, 12) if remaining[1] else rng.randint(1, 4)
        remaining[0] -= 1
        return bool(remaining[1])

    return scarce


class Channel:
    """The signals of one handshake: valid, ready, and the payload's parts by name."""

    def __init__(self, valid: Any, ready: Any, fields: dict[str, Any]) -> None:
        self.valid = valid
        self.ready = ready
        self.fields = fields

    @classmethod
    def of(cls, stream: Any, *names: str) -> "Channel":
        """A stream; with names, the parts of its payload, else the payload as a whole."""
        fields = {name: getattr(stream.payload, name) for name in names} or {"payload": stream.payload}
        return cls(stream.valid, stream.ready, fields)

    @classmethod
    def axi(cls, dut: Any, prefix: str, *names: str) -> "Channel":
        """An AXI channel, by the prefix of its ports' names."""
        return cls(
            getattr(dut, f"{prefix}valid"),
            getattr(dut, f"{prefix}ready"),
            {name: getattr(dut, prefix + name) for name in names},
        )


class Source:
    """Offers items, each not before its due cycle; what is offered stays until it is taken."""

    def __init__(self, channel: Channel, pause: Stall = lambda: False) -> None:
        self.channel = channel
        self.pause = pause
        self.items: deque[tuple[int, Item]] = deque()
        self.offered = False
        self.taken: list[int] = []  # the cycles
        self.signals = [channel.ready]

    def put(self, item: Item, due: int = 0) -> None:
        self.items.append((due, item))

    def drive(self, ctx: Any, cycle: int) -> None:
        if not self.offered and self.items and self.items[0][0] <= cycle and not self.pause():
            self.offered = True
            for name, value in self.items[0][1].items():
                ctx.set(self.channel.fields[name], value)
        ctx.set(self.channel.valid, self.offered)

    def observe(self, cycle: int, ready: int) -> None:
        if self.offered and ready:
            self.offered = False
            self.items.popleft()
            self.taken.append(cycle)


class Sink:
    """Takes items and checks that an offered item neither goes away nor changes."""

    def __init__(
        self,
        channel: Channel,
        pause: Stall = lambda: False,
        take: Callable[[Item, int], None] = lambda item, cycle: None,
    ) -> None:
        self.channel = channel
        self.pause = pause
        self.take = take
        self.waiting: Item | None = None
        self.ready = False
        self.first_offer: int | None = None
        self.taken: list[int] = []
        self.signals = [channel.valid, *channel.fields.values()]

    def drive(self, ctx: Any, cycle: int) -> None:
        self.ready = not self.pause()
        ctx.set(self.channel.ready, self.ready)

    def observe(self, cycle: int, valid: int, *values: int) -> None:
        item = {
            name: int(getattr(value, "value", value)) for name, value in zip(self.channel.fields, values, strict=True)
        }
        if self.waiting is not None:
            assert valid, f"an offer was withdrawn in cycle {cycle}"
            assert item == self.waiting, f"an offer changed in cycle {cycle}"
        if valid and self.first_offer is None:
            self.first_offer = cycle
        self.waiting = item if valid and not self.ready else None
        if valid and self.ready:
            self.taken.append(cycle)
            self.take(item, cycle)


class Probe:
    """Calls a function with the values of some signals in every cycle."""

    def __init__(self, function: Callable[..., None], *signals: Any) -> None:
        self.function = function
        self.signals = list(signals)

    def drive(self, ctx: Any, cycle: int) -> None:
        pass

    def observe(self, cycle: int, *values: Any) -> None:
        self.function(cycle, *values)


def run(dut: Elaboratable, models: Iterable[Any], until: Callable[[], bool], cycles: int, extra: int = 20) -> None:
    """Run the models until a condition holds, and some cycles more, so that what comes too often is seen.

    Raises
    ------
    TimeoutError
        When the condition does not hold within `cycles` cycles.
    """
    models = list(models)
    signals = [signal for model in models for signal in model.signals]

    async def bench(ctx: Any) -> None:
        cycle = 0
        remaining = extra
        while remaining:
            if until():
                remaining -= 1
            for model in models:
                model.drive(ctx, cycle)
            _, _, *values = await ctx.tick().sample(*signals)
            for model in models:
                model.observe(cycle, *values[: len(model.signals)])
                del values[: len(model.signals)]
            cycle += 1

    simulate(dut, bench, cycles=cycles + extra)


class MemoryReader:
    """Behind a bus.memory_read port: bytes of an image (addresses modulo its size), `latency` cycles after
    the request; words at an address in `faults` carry an error."""

    def __init__(
        self,
        port: Any,
        image: bytes,
        word: int,
        latency: int = 1,
        pauses: tuple[Stall, Stall] = (lambda: False, lambda: False),
        faults: Iterable[int] = (),
    ) -> None:
        self.image, self.word, self.latency, self.faults = image, word, latency, set(faults)
        self.requests: list[tuple[int, int]] = []
        self.request = Sink(Channel.of(port.request, "address", "words"), pauses[0], self._take)
        self.data = Source(Channel.of(port.data, "data", "last", "error"), pauses[1])
        self.models = [self.request, self.data]

    def _take(self, item: Item, cycle: int) -> None:
        self.requests.append((item["address"], item["words"]))
        assert item["address"] % self.word == 0
        assert item["words"] > 0
        for index in range(item["words"]):
            address = (item["address"] + index * self.word) % len(self.image)
            word = int.from_bytes(self.image[address : address + self.word], "little")
            last = index == item["words"] - 1
            self.data.put({"data": word, "last": last, "error": address in self.faults}, cycle + self.latency)


class MemoryWriter:
    """Behind a bus.memory_write port: writes into `image` and answers each request `latency` cycles after its
    last word, with an error for requests in `faults` (by their address)."""

    def __init__(
        self,
        port: Any,
        image: bytearray,
        word: int,
        latency: int = 1,
        pauses: tuple[Stall, Stall, Stall] = (lambda: False, lambda: False, lambda: False),
        faults: Iterable[int] = (),
    ) -> None:
        self.image, self.word, self.latency, self.faults = image, word, latency, set(faults)
        self.requests: deque[tuple[int, int]] = deque()
        self.words: deque[tuple[int, int]] = deque()
        self.request = Sink(Channel.of(port.request, "address", "words"), pauses[0], self._request)
        self.data = Sink(Channel.of(port.data, "data", "strobe"), pauses[1], self._data)
        self.response = Source(Channel.of(port.response, "error"), pauses[2])
        self.models = [self.request, self.data, self.response]

    def _request(self, item: Item, cycle: int) -> None:
        assert item["address"] % self.word == 0
        assert item["words"] > 0
        self.requests.append((item["address"], item["words"]))
        self._finish(cycle)

    def _data(self, item: Item, cycle: int) -> None:
        self.words.append((item["data"], item["strobe"]))
        self._finish(cycle)

    def _finish(self, cycle: int) -> None:
        while self.requests and len(self.words) >= self.requests[0][1]:
            address, words = self.requests.popleft()
            for index in range(words):
                data, strobe = self.words.popleft()
                write(self.image, address + index * self.word, data, strobe, self.word)
            self.response.put({"error": address in self.faults}, cycle + self.latency)


def write(image: bytearray, address: int, data: int, strobe: int, word: int) -> None:
    """Put the bytes whose strobe bit is set at `address` and behind, modulo the image's size."""
    for byte in range(word):
        if strobe >> byte & 1:
            image[(address + byte) % len(image)] = data >> 8 * byte & 0xFF
