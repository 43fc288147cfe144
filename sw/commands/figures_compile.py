"""How long the compiler took for some well-known networks, the bars it is held to, and the table made of both."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .figures import Sheet

SECONDS: dict[str, float | None] = {"mobilenet_v2": 30.0, "resnet50": 60.0, "squeezenet": None, "densenet121": None}
"""By network, how long compiling may take on one core."""

TITLES = {
    "mobilenet_v2": "MobileNetV2 1.0, 224x224",
    "resnet50": "ResNet-50, 224x224",
    "squeezenet": "SqueezeNet 1.1, 224x224",
    "densenet121": "DenseNet-121, 224x224",
}

PRESETS = ("small", "large")


@dataclass(frozen=True)
class Compiled:
    """One network for one preset."""

    network: str
    preset: str
    layers: int
    macs: int
    instructions: int
    seconds: float
    """On one core."""

    def missed(self) -> Iterator[str]:
        """A sentence if it took too long."""
        limit = SECONDS[self.network]
        if limit is not None and self.seconds > limit:
            yield f"compiling {TITLES[self.network]} for {self.preset} took {self.seconds:.0f} s, more than {limit:.0f}"

    def as_json(self) -> dict[str, Any]:
        """All figures, as JSON has them."""
        return asdict(self)


def compile_sheet(compiled: Sequence[Compiled]) -> Sheet:
    """A row per network and preset."""
    rows = []
    for one in compiled:
        limit = SECONDS[one.network]
        rows.append(
            (
                TITLES[one.network],
                one.preset,
                f"{one.layers}",
                f"{one.macs:,}",
                f"{one.instructions:,}",
                f"{one.seconds:.1f}",
                "" if limit is None else f"{limit:.0f}",
            )
        )
    heads = ("network, random weights", "preset", "layers", "MACs", "instructions", "seconds", "bar")
    return Sheet("Compiling, on one core", heads, rows)
