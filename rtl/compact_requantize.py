"""Requantization without a multiplier: some bits of the channel's multiplier per cycle."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import stream
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import Component, In, Out

from .isa import Rounding
from .parameters import RECORD
from .requantize import SETTINGS

OPERANDS = StructLayout({"value": signed(32), "parameters": RECORD})

BITS = 4
"""Bits of the multiplier per cycle: adders in a row."""

MULTIPLIER_BITS = 31


class CompactRequantize(Component):
    """As Requantize, one value after the other, in CYCLES cycles and more for shifts beyond USUAL_SHIFT or above 0.

    The product is summed from its lowest bit on: a sum takes the operand where the multiplier's bit is set, loses its
    lowest bit, and meets the next bit. After 31 + e bits what is left is the quotient by 2^(31 + e), and of the bits
    lost the last is the half and all before only matter together. For Rounding.DOUBLE the sum starts with half of 2^31,
    and the 31 lowest bits do not matter.

    So that 31 + e bits are a whole number of steps, the first step begins with `pad` bits of zero.

    Members
    -------
    i : stream of value and parameters, taken together. settings : stay until `valid`.
    valid : `result` is that of the value taken before. It may take the next one in this cycle.
    """

    USUAL_SHIFT = 13
    STEPS = (MULTIPLIER_BITS + USUAL_SHIFT + BITS - 1) // BITS
    CYCLES = 1 + STEPS + 1
    """Add the bias; multiply; add the zero point."""

    i: In(stream.Signature(OPERANDS))
    settings: In(SETTINGS)
    valid: Out(1)
    result: Out(signed(8))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parameters = self.i.payload.parameters
        double = Signal()
        m.d.comb += double.eq(self.settings.rounding == Rounding.DOUBLE)

        x = Signal(signed(32))
        left = Signal(5)  # shifts of x to the left
        multiplier = Signal(MULTIPLIER_BITS + BITS - 1)  # bits not used yet, and the BITS - 1 before them
        total = Signal(signed(MULTIPLIER_BITS + BITS))
        pad = Signal(2)
        step = Signal(5)
        steps = Signal(5)  # that change the sum
        half, rest = Signal(), Signal()
        running, adding = Signal(), Signal()

        # e = -shift where that is positive.
        e, new_pad = Signal(5), Signal(2)
        m.d.comb += [
            e.eq(Mux(parameters.shift < 0, -parameters.shift, 0)),
            new_pad.eq(1 - e),
            self.i.ready.eq(~running & ~adding),
        ]
        # What a step would do, whether it is one or not: conditions would lengthen the longest path.
        digit = Signal(BITS)  # the multiplier's bits of this step
        lost = []
        value = total
        for index in range(BITS):
            added = Signal(signed(total.shape().width + 1), name=f"added_{index}")
            m.d.comb += added.eq(Mux(digit[index], value + x, value))
            lost.append(added[0])
            value = added[1:].as_signed()
        # Bit number BITS * step + index - pad of the product counts from 31 on if rounding is DOUBLE.
        counts = Signal(BITS)
        with m.If(~double | (step > 8)):
            m.d.comb += counts.eq(-1)
        with m.Elif(step == 8):
            m.d.comb += counts.eq(Cat(index + 1 >= pad for index in range(BITS)))
        with m.Elif(step == 7):
            m.d.comb += counts[BITS - 1].eq(pad == 0)
        relevant = Cat(lost) & counts

        last = Signal()
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                x.eq(self.i.payload.value + parameters.bias),
                left.eq(Mux(parameters.shift < 0, 0, parameters.shift)),
                multiplier.eq(parameters.multiplier[:MULTIPLIER_BITS] << BITS - 1),
                digit.eq((parameters.multiplier << new_pad)[:BITS]),
                total.eq(double << Cat(Const(30, 5) + new_pad)),
                pad.eq(new_pad),
                steps.eq((e + (MULTIPLIER_BITS + BITS - 1)) >> 2),
                step.eq(0),
                half.eq(0),
                rest.eq(0),
                running.eq(1),
            ]
        with m.Elif(left != 0):
            m.d.sync += [x.eq(x << 1), left.eq(left - 1)]
        with m.Elif(running):
            with m.If(step < steps):
                m.d.sync += [
                    total.eq(value),
                    multiplier.eq(multiplier >> BITS),
                    digit.eq((multiplier >> BITS >> ~pad)[:BITS]),
                    half.eq(relevant[-1]),
                    rest.eq(rest | half | relevant[:-1].any()),
                ]
            m.d.sync += step.eq(step + 1)
            m.d.comb += last.eq((step >= self.STEPS - 1) & (step + 1 >= steps))
            with m.If(last):
                m.d.sync += running.eq(0)

        # Round and add the zero point: nine bits of the quotient are enough, or its sign decides.
        negative, tie_up, up = Signal(), Signal(), Signal()
        fits = Signal()
        shown = Signal(signed(11))
        valid = Signal()
        high, low = Signal(), Signal()
        quotient = total
        m.d.comb += [
            negative.eq(quotient[-1]),
            tie_up.eq(Mux(self.settings.rounding == Rounding.NEAREST_EVEN, quotient[0], ~negative)),
            up.eq(half & (rest | tie_up)),
            fits.eq(quotient[8:] == negative.replicate(len(quotient) - 8)),
        ]
        m.d.sync += [valid.eq(adding), adding.eq(last)]
        with m.If(adding):
            m.d.sync += [
                shown.eq(quotient[:9].as_signed() + self.settings.zero_point + up),
                low.eq(~fits & negative),
                high.eq(~fits & ~negative),
            ]
        m.d.comb += [self.valid.eq(valid), self.result.eq(shown[:8].as_signed())]
        with m.If(low | (~high & (shown < self.settings.minimum))):
            m.d.comb += self.result.eq(self.settings.minimum)
        with m.Elif(high | (shown > self.settings.maximum)):
            m.d.comb += self.result.eq(self.settings.maximum)
        return m
