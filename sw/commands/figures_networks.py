"""What `weft bench` measured of other networks than LeNet-5, the bars they are held to, and the tables made of both."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from weft.rtl.config import Config

from ..cycles.estimate import HALVES, array_latency, drain_latency
from ..report import REST, Row, utilization
from .figures import PREDICTION_CYCLES, PREDICTION_SHARE, Sheet, layer_bar, layers_json


@dataclass(frozen=True)
class Case:
    """A network, and what its array passes take at best with all that the array can do."""

    name: str
    title: str
    bounds: tuple[int, int, int]
    """Cycles on 8x8, 16x8 and 16x16: docs/architecture.md."""
    most: float | None
    """The whole network may take so many times that; None where only its layers have a bar."""


CASES = (
    Case("resnet8_int8", "ResNet-8, CIFAR-10", (200_720, 100_360, 50_180), 1.15),
    Case("kws_dscnn_int8", "DS-CNN, keywords", (54_976, 38_968, 19_484), 1.25),
    Case("ad_autoencoder_int8", "autoencoder", (4_128, 2_072, 1_040), None),
    Case("mobilenet_v1", "MobileNetV1 0.25, 96x96, random weights", (155_840, 102_832, 55_024), 1.15),
)

SETUPS = (("small", 2, 0), ("small", 4, 0), ("medium", 8, 1), ("large", 8, 2))
"""Preset, lanes of the drain, and which of the bounds."""

WEIGHT_TILES, PARAMETER_CHANNELS = 8192, 4096
"""Room for the weights and the parameters of all of them."""

BUSY_SHARE = 0.85
"""Of all multipliers' cycles, in ResNet-50."""


PRODUCT = "fully connected"
"""A layer whose every result depends on all of its input."""

ARRAY_WAITS = "array_wait_"


MOST_CUT = 16
"""Passes that are cut into tiles in every way there is."""


def soonest(passes: int, drain: int, config: Config) -> int:
    """The fewest cycles of a product behind its input, however its passes of one cycle each are cut into tiles: a tile
    waits for a half of the accumulator, and its drain for the tile and for the drain before it."""
    way, back = array_latency(config), drain_latency(config)
    if passes > MOST_CUT or drain % passes:
        return drain + way + back
    found = []
    for ends in range(1 << passes - 1):
        halves = deque([0] * HALVES)
        array, last, tile = 0, -1, 0
        for index in range(passes):
            tile += 1
            if index == passes - 1 or ends >> index & 1:
                array = max(array, halves.popleft()) + tile
                last = max(array + way, last + 1) + tile * drain // passes - 1
                halves.append(last)
                tile = 0
        found.append(last + back)
    return min(found)


def surprising(rows: Sequence[Row]) -> list[Row]:
    """Layers that were predicted badly."""
    return [
        row
        for row in rows
        if abs((row.predicted or 0) - (row.cycles or 0)) > max(PREDICTION_SHARE * (row.cycles or 0), PREDICTION_CYCLES)
    ]


@dataclass(frozen=True)
class Measured:
    """One network on one configuration; `rows` as in weft.sw.report."""

    title: str
    config: Config
    rows: tuple[Row, ...]
    cycles: int
    bound: int
    most: float | None
    drains: tuple[int, ...]
    """Cycles that the drain needs at least, per layer."""

    @property
    def ratio(self) -> float:
        """Cycles by the bound."""
        return self.cycles / self.bound

    @property
    def layers(self) -> list[Row]:
        """Without the result's way to memory."""
        return [row for row in self.rows if row.name != REST]

    def slow(self) -> list[Row]:
        """Layers above their bar."""
        return [row for row in self.layers if (row.cycles or 0) > layer_bar(row, self.config)]

    def reason(self, row: Row) -> str:
        """What bounds a layer that is above its bar."""
        index = self.layers.index(row)
        bars = [layer_bar(one, self.config) for one in self.layers[: index + 1]]
        drain, drains = self.drains[index], sum(self.drains[: index + 1])
        if row.op == PRODUCT and row.passes:
            # It needs all that the layer before it makes, so that nothing of it comes earlier.
            least = soonest(row.passes, drain, self.config)
            if least > bars[-1]:
                return f"{drain:,} cycles of drain: in no tiles does it take less than {least:,}"
        for count, (made, allowed) in enumerate(zip(accumulate(self.drains), accumulate(bars), strict=False), 1):
            if made > allowed and count <= index + 1:
                return (
                    f"the first {count} layers have {made:,} cycles of drain, {made - allowed:,} more than all their "
                    f"bars allow"
                )
        every = list(accumulate(layer_bar(one, self.config) for one in self.layers))
        times = list(accumulate(one.cycles or 0 for one in self.layers))
        for other in range(index + 1, len(times)):
            if drain <= bars[-1] and times[other] <= every[other]:
                return (
                    f"its tiles take turns with those of layers behind it: the first {other + 1} together are "
                    f"{every[other] - times[other]:,} below their bars"
                )
        if drain > bars[-1]:
            return f"{drain:,} cycles of drain, of which too few can come before (all so far: {drains:,})"
        waits = sorted(
            ((cycles, key) for key, cycles in row.stalls.items() if key.startswith(ARRAY_WAITS)), reverse=True
        )
        if not waits:
            return "the array waits for nothing"
        return "the array waits for " + ", ".join(
            f"{key[len(ARRAY_WAITS) :]} ({cycles:,})" for cycles, key in waits[:2]
        )

    def surprising(self) -> list[Row]:
        """Layers that were predicted badly."""
        return surprising(self.layers)

    def missed(self) -> Iterator[str]:
        """A sentence for each bar that was not reached."""
        where = f"{self.title} on {self.config.rows}x{self.config.cols} with {self.config.lanes} lanes"
        if self.most is not None and self.ratio > self.most:
            yield f"{where}: {self.cycles:,} cycles are {self.ratio:.3f} times {self.bound:,}, more than {self.most}"
        for row in self.slow():
            bar = layer_bar(row, self.config)
            yield f"{where}: the {row.cycles:,} cycles of {row.name} are more than {bar:,}: {self.reason(row)}"
        for row in self.surprising():
            yield f"{where}: {row.name} was predicted to take {row.predicted:,} cycles and took {row.cycles:,}"

    def as_json(self) -> dict[str, Any]:
        """All figures, as JSON has them."""
        return {
            "network": self.title,
            "rows": self.config.rows,
            "cols": self.config.cols,
            "lanes": self.config.lanes,
            "bound": self.bound,
            "cycles": self.cycles,
            "layers": layers_json(self.layers, self.config),
        }


def networks_sheet(measured: Sequence[Measured]) -> Sheet:
    """A row per network and configuration."""
    rows = []
    for one in measured:
        count = len(one.layers)
        rows.append(
            (
                one.title,
                f"{one.config.rows}x{one.config.cols}",
                str(one.config.lanes),
                f"{one.bound:,}",
                f"{one.cycles:,}",
                f"{one.ratio:.3f}",
                "" if one.most is None else f"{one.most}",
                f"{sum(row.predicted or 0 for row in one.layers):,}",
                f"{count - len(one.slow())} of {count}",
                f"{count - len(one.surprising())} of {count}",
            )
        )
    heads = ("network", "array", "lanes", "bound", "cycles", "ratio", "bar", "predicted", "within bar", "as predicted")
    return Sheet("Other networks, weights on the chip", heads, rows)


def slow_sheet(measured: Sequence[Measured]) -> Sheet:
    """A row per layer above its bar, and why it is."""
    rows = [
        (
            f"{row.name} of {one.title}",
            f"{one.config.rows}x{one.config.cols}",
            str(one.config.lanes),
            f"{row.passes or 0:,}",
            f"{one.drains[one.layers.index(row)]:,}",
            f"{row.cycles or 0:,}",
            f"{layer_bar(row, one.config):,}",
            one.reason(row),
        )
        for one in measured
        for row in one.slow()
    ]
    heads = ("layer", "array", "lanes", "array passes", "drain", "cycles", "bar", "because")
    return Sheet("Layers of these above their bar of 1.15 times their passes and R + C + 24", heads, rows)


@dataclass(frozen=True)
class Streamed:
    """ResNet-50: neither weights nor activations fit on the chip."""

    config: Config
    latency: int
    bandwidth: int
    macs: int
    cycles: int
    predicted: int
    different: int
    """Results that differ from those of the functional machine."""
    layers: tuple[Row, ...]

    @property
    def share(self) -> float:
        """Of all multipliers' cycles, those used."""
        return utilization(self.macs, self.cycles, self.config) or 0.0

    def missed(self) -> Iterator[str]:
        """A sentence for each bar that was not reached."""
        if self.different:
            yield f"ResNet-50: {self.different:,} results of the RTL differ from those of the functional machine"
        if self.share < BUSY_SHARE:
            yield f"ResNet-50: only {self.share:.1%} of all multipliers' cycles are used, and not {BUSY_SHARE:.0%}"
        if abs(self.predicted - self.cycles) > PREDICTION_SHARE * self.cycles:
            yield f"ResNet-50 was predicted to take {self.predicted:,} cycles and took {self.cycles:,}"
        for row in surprising(self.layers):
            yield f"ResNet-50: {row.name} was predicted to take {row.predicted:,} cycles and took {row.cycles:,}"

    def as_json(self) -> dict[str, Any]:
        """All figures, as JSON has them."""
        return {
            "macs": self.macs,
            "cycles": self.cycles,
            "predicted_cycles": self.predicted,
            "utilization": self.share,
            "different": self.different,
            "layers": layers_json(self.layers, self.config),
        }


def streamed_sheet(streamed: Streamed) -> Sheet:
    """What ResNet-50 took."""
    rows = [
        ("cycles of one inference", f"{streamed.cycles:,}", f"{streamed.predicted:,} predicted"),
        ("multipliers' cycles used", f"{streamed.share:.1%}", f"{BUSY_SHARE:.0%}"),
        (
            "layers as predicted",
            f"{len(streamed.layers) - len(surprising(streamed.layers))}",
            f"{len(streamed.layers)}",
        ),
        ("results that differ from the functional machine's", f"{streamed.different:,}", "0"),
    ]
    size = f"{streamed.config.rows}x{streamed.config.cols}"
    title = (
        f"ResNet-50 at 224x224 with random weights on `large` ({size}), memory of {streamed.bandwidth} bytes a cycle, "
        f"reads and writes together, and {streamed.latency} cycles latency"
    )
    return Sheet(title, ("what", "measured", "bar"), rows)
