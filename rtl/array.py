"""The systolic array: rows x cols processing elements, weight-stationary."""

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from . import pe
from .config import Config
from .delay import delay_line

SHARED_COLUMNS = 3
"""Columns with one line of registers that say which way activations take: as many as fpga.ecp5 lays side by side."""


def latency(config: Config) -> int:
    """Cycles from activations to sums[0]: R - 1 of skew, and the processing element's."""
    return config.rows - 1 + pe.latency(config.multiply_latency)


def column_skew(config: Config) -> int:
    """Cycles from a column to its eastern neighbour; none with `compact`, where a row's activation goes to all of
    its elements at once."""
    return 0 if config.compact else pe.ACTIVATION_LATENCY


class Array(wiring.Component):
    """Weight-stationary array: one matrix-vector product per cycle, no stall, no valid.

        sums[c] = sum over r of activations[r] * tile[r][c]

    The activations of one pixel enter together; row r is delayed by r cycles inside. `first` marks the first pixel of
    a pass. When it enters at cycle t, row r = bank * S + step takes its weight for column c, tile[r][c], from
    weights[bank][c] at cycle t + r + c; so passes may follow each other after S cycles (S = config.weight_steps).

    With config.compact columns have no skew: + c is left out above and below.

    With config.depthwise there is a second way in, from the north. While `columns` is set, column c takes element c of
    `north` instead, delayed by c cycles inside; it moves down at half the speed of the partial sums, two registers
    a row:

        sums[c] = sum over r of (north[c] of r cycles before) * tile[r][c]

    so a stream along an image's row is convolved with the taps in the rows, the last tap first. `columns` changes with
    `first`; the sums of the first R - 1 cycles after a change mix what was there before, where their weights are not 0.

    Parameters
    ----------
    config : Config

    Attributes
    ----------
    activations : In, R x signed(8)
        One pixel's elements of the reduction.
    first : In, 1
        This pixel and those that follow use new weights.
    north : In, C x signed(8), and columns : In, 1; only with config.depthwise
        One position's channels, and whether they or `activations` are used.
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
                **(
                    {"north": In(data.ArrayLayout(signed(8), config.cols)), "columns": In(1)}
                    if config.depthwise
                    else {}
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, cols = self.config.rows, self.config.cols
        skew = column_skew(self.config)
        # Element (r, c) sees `first` r + c cycles late: one line of registers serves all elements on a diagonal.
        first = delay_line(m, "first", self.first, rows - 1 + skew * (cols - 1), reset_less=True)
        if self.config.depthwise:
            columns = self._column_lines(m)
            north = [
                delay_line(m, f"north_skew_{col}", self.north[col], col, reset_less=True)[-1] for col in range(cols)
            ]
        psums: list[Value] = [Const(0, signed(1))] * cols
        for row in range(rows):
            weights = self.weights[row // self.config.weight_steps]
            activation = delay_line(m, f"skew_{row}", self.activations[row], row, reset_less=True)[-1]
            width = pe.sum_width(row + 1)
            for col in range(cols):
                if self.config.depthwise:
                    west = activation
                    activation = Signal(signed(8), name=f"activation_in_{row}_{col}")
                    m.d.comb += activation.eq(Mux(columns[col][row + col], north[col], west))
                east, psums[col] = pe.processing_element(
                    m,
                    platform,
                    f"{row}_{col}",
                    activation=activation,
                    first=first[row + skew * col],
                    weight=weights[col],
                    psum=psums[col],
                    psum_width=width,
                    multiply_latency=self.config.multiply_latency,
                )
                if skew:
                    activation = east
                if self.config.depthwise:
                    # The operand's register is the first of the two on the way down.
                    north[col] = Signal(signed(8), name=f"south_{row}_{col}", reset_less=True)
                    m.d.sync += north[col].eq(activation)
        m.d.comb += [self.sums[col].eq(psums[col]) for col in range(cols)]
        return m

    def _column_lines(self, m: Module) -> list[list[Value]]:
        """For each column, `columns` of 0, 1, 2 ... cycles before. One line of registers serves all columns, or
        pipelined a few: it decides about eight bits in every element on its diagonal, all over the array."""
        rows, cols = self.config.rows, self.config.cols
        together = SHARED_COLUMNS if self.config.pipelined else cols
        lines: list[list[Value]] = []
        for col in range(cols):
            if col % together:
                lines.append(lines[-1])
                continue
            line: list[Value] = [self.columns]
            for step in range(rows + cols - 2):
                # Registers of the same start in all lines would be made one by synthesis.
                start = (col // together) >> step & 1
                line.append(Signal(name=f"columns_{col}_{step + 1}", reset_less=True, init=start))
                m.d.sync += line[-1].eq(line[-2])
            lines.append(line)
        return lines
