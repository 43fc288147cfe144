"""What `weft bench` measured of other networks than LeNet-5, the bars they are held to, and the tables made of both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from weft.rtl.config import Config

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

SETUPS = (("small", 2, 0), ("small", 4, 0), ("medium", 4, 1), ("large", 8, 2))
"""Preset, lanes of the drain, and which of the bounds."""

WEIGHT_TILES = 8192
"""Room for the weights of all of them."""

BUSY_SHARE = 0.85
"""Of all multipliers' cycles, in ResNet-50."""


@dataclass(frozen=True)
class Measured:
    """One network on one configuration; `rows` as in weft.sw.report."""

    title: str
    config: Config
    rows: tuple[Row, ...]
    cycles: int
    bound: int
    most: float | None

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

    def surprising(self) -> list[Row]:
        """Layers that were predicted badly."""
        return [
            row
            for row in self.layers
            if abs((row.predicted or 0) - (row.cycles or 0))
            > max(PREDICTION_SHARE * (row.cycles or 0), PREDICTION_CYCLES)
        ]

    def missed(self) -> Iterator[str]:
        """A sentence for each bar that was not reached."""
        where = f"{self.title} on {self.config.rows}x{self.config.cols} with {self.config.lanes} lanes"
        if self.most is not None and self.ratio > self.most:
            yield f"{where}: {self.cycles:,} cycles are {self.ratio:.3f} times {self.bound:,}, more than {self.most}"
        for row in self.slow():
            yield f"{where}: the {row.cycles:,} cycles of {row.name} are more than {layer_bar(row, self.config):,}"
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

    def as_json(self) -> dict[str, Any]:
        """All figures, as JSON has them."""
        return {
            "macs": self.macs,
            "cycles": self.cycles,
            "predicted_cycles": self.predicted,
            "utilization": self.share,
            "different": self.different,
        }


def streamed_sheet(streamed: Streamed) -> Sheet:
    """What ResNet-50 took."""
    rows = [
        ("cycles of one inference", f"{streamed.cycles:,}", f"{streamed.predicted:,} predicted"),
        ("multipliers' cycles used", f"{streamed.share:.1%}", f"{BUSY_SHARE:.0%}"),
        ("results that differ from the functional machine's", f"{streamed.different:,}", "0"),
    ]
    size = f"{streamed.config.rows}x{streamed.config.cols}"
    title = (
        f"ResNet-50 at 224x224 with random weights on `large` ({size}), memory of {streamed.bandwidth} bytes a cycle, "
        f"reads and writes together, and {streamed.latency} cycles latency"
    )
    return Sheet(title, ("what", "measured", "bar"), rows)
