"""The systolic array: rows x cols processing elements, weight-stationary."""

from amaranth.hdl import Const, Module, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import pe
from .config import Config
from .delay import delay_line


def latency(config: Config) -> int:
    """Cycles from activations to sums[0]: R - 1 of skew, and the processing element's."""
    return config.rows - 1 + pe.LATENCY


class Array(wiring.Component):
    """Weight-stationary array: one matrix-vector product per cycle, no stall, no valid.

        sums[c] = sum over r of activations[r] * tile[r][c]

    The activations of one pixel enter together; row r is delayed by r cycles inside. `first` marks the first pixel of
    a pass. When it enters at cycle t, row r = bank * S + step takes its weight for column c, tile[r][c], from
    weights[bank][c] at cycle t + r + c; so passes may follow each other after S cycles (S = config.weight_steps).

    Parameters
    ----------
    config : Config

    Attributes
    ----------
    activations : In, R x signed(8)
        One pixel's elements of the reduction.
    first : In, 1
        This pixel and those that follow use new weights.
    weights : In, W x C x signed(8)
        Skewed by row and column as said above.
    sums : Out, C x signed(32)
        sums[c] of the pixel that entered at cycle t is valid at t + `latency` + c.
    latency : int
        `latency(config)`.
    """

    def __init__(self, config: Config):
        self.config = config
        self.latency = latency(config)
        super().__init__(
            {
                "activations": In(data.ArrayLayout(signed(8), config.rows)),
                "first": In(1),
                "weights": In(data.ArrayLayout(data.ArrayLayout(signed(8), config.cols), config.weight_rows)),
                "sums": Out(data.ArrayLayout(signed(32), config.cols)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols = self.config.rows, self.config.cols
        # Element (r, c) sees `first` r + c cycles late: one line of registers serves all elements on a diagonal.
        first = delay_line(m, "first", self.first, rows + cols - 2, reset_less=True)
        psums: list[Value] = [Const(0, signed(1))] * cols
        for row in range(rows):
            weights = self.weights[row // self.config.weight_steps]
            activation = delay_line(m, f"skew_{row}", self.activations[row], row, reset_less=True)[-1]
            width = pe.sum_width(row + 1)
            for col in range(cols):
                activation, psums[col] = pe.processing_element(
                    m,
                    platform,
                    f"{row}_{col}",
                    activation=activation,
                    first=first[row + col],
                    weight=weights[col],
                    psum=psums[col],
                    psum_width=width,
                )
        m.d.comb += [self.sums[col].eq(psums[col]) for col in range(cols)]
        return m
