"""Requantization: from an int32 sum to an int8 activation, for one lane of the drain."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from .delay import delay_line, delayed
from .isa import FACTOR_BITS, Rounding
from .parameters import RECORD

SETTINGS = data.StructLayout(
    {"rounding": Rounding, "zero_point": signed(8), "minimum": signed(8), "maximum": signed(8)}
)
"""What an instruction says about all its values."""

FACTORS = data.StructLayout({"multiply": 1, "a": signed(FACTOR_BITS), "b": signed(FACTOR_BITS)})
"""In place of a value and its bias: the product of `a` and `b`, if `multiply`."""

MULTIPLY_LATENCY = 2
"""Cycles from the operands to `partial_products`: the operands' registers and the products'."""


def partial_products(m: Module, platform: object, x: Value, multiplier: Value) -> tuple[Value, ...]:
    """The products of the halves of `x`, signed(32), and of `multiplier`, unsigned(31).

    They are high * high, high * low, low * high, low * low, MULTIPLY_LATENCY cycles later; each fits a signed
    multiplier of 17 x 17 bits.
    A platform with a method `partial_products(m, x, multiplier)` builds them of its device's own primitives,
    with the registers inside; it returns what this function returns.
    """
    if hasattr(platform, "partial_products"):
        return platform.partial_products(m, x, multiplier)
    x_register = Signal(signed(32), reset_less=True)
    multiplier_register = Signal(31, reset_less=True)
    m.d.sync += [x_register.eq(x), multiplier_register.eq(multiplier)]
    x_low, x_high = x_register[:16], x_register[16:].as_signed()
    low, high = multiplier_register[:16], multiplier_register[16:]
    products = []
    for name, a, b, shape in (
        ("high_high", x_high, high, signed(31)),
        ("high_low", x_high, low, signed(32)),
        ("low_high", x_low, high, unsigned(31)),
        ("low_low", x_low, low, unsigned(32)),
    ):
        product = Signal(shape, name=name, reset_less=True)
        m.d.sync += product.eq(a * b)
        products.append(product)
    return tuple(products)


def product(m: Module, platform: object, a: Value, b: Value, latency: int) -> Value:
    """a * b, `latency` (0 or 2) cycles later.

    A platform with a method `product(m, a, b, latency)` builds it of its device's primitive.
    """
    if hasattr(platform, "product"):
        return platform.product(m, a, b, latency)
    value = Signal((a * b).shape(), name="product")
    m.d.comb += value.eq(
        delay_line(m, "factor_a", a, latency // 2)[-1] * delay_line(m, "factor_b", b, latency // 2)[-1]
    )
    return delay_line(m, "product", value, latency // 2, reset_less=True)[-1]


def add_with_carry(a: Value, b: Value, carry: Value) -> Value:
    """`a` + `b` + `carry`, `a` and `b` signed, with one carry chain."""
    return (Cat(1, a).as_signed() + Cat(carry, b).as_signed())[1:].as_signed()


ADD = 1
SUM_PRODUCTS = 1
ROUND = 1
CLAMP = 1
PIPELINED_ADD, PIPELINED_PRODUCTS = 3, 1
"""Further registers if pipelined: behind the bias, where the product of two factors is waited for, behind the choice
between both, and behind the shift to the left; and behind the multipliers."""


def requantize_latency(pipelined: bool) -> int:
    """Cycles from a value to its result: pipelined, the shift to the right has a register in its middle, too."""
    more = PIPELINED_ADD + PIPELINED_PRODUCTS + 1 if pipelined else 0
    return ADD + MULTIPLY_LATENCY + SUM_PRODUCTS + ROUND + CLAMP + more


class Requantize(Component):
    """One value per cycle, without stall:

        x = (value + bias) * 2^max(shift, 0)                    # wraps modulo 2^32
        e = max(-shift, 0)
        r = x * multiplier / 2^(31 + e), rounded
        result = min(max(r + zero_point, minimum), maximum)

    Rounding.DOUBLE rounds twice: the quotient by 2^31 to nearest, ties up, then that by 2^e to nearest, ties
    away from zero. That is TFLite's reference: gemmlowp's SaturatingRoundingDoublingHighMul and
    RoundingDivideByPOT. NEAREST_EVEN and HALF_AWAY round the exact quotient once. multiplier < 2^31, so
    nothing saturates before the clamp; -31 <= shift <= 31; minimum <= maximum.

    Members
    -------
    value : signed(32)
    factors : FACTORS, only with `products`.
    parameters : RECORD, of the value's channel.
    settings : SETTINGS
    result : signed(8), `latency` cycles later.
    """

    def __init__(self, products: bool = False, pipelined: bool = False) -> None:
        self.products = products
        self.pipelined = pipelined
        self.latency = requantize_latency(pipelined)
        super().__init__(
            {
                "value": In(signed(32)),
                **({"factors": In(FACTORS)} if products else {}),
                "parameters": In(RECORD),
                "settings": In(SETTINGS),
                "result": Out(signed(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        # Add the bias; then shift to the left, on the way into the multiplier's registers.
        add = ADD + PIPELINED_ADD * self.pipelined
        biased = Signal(signed(32), reset_less=True)
        m.d.sync += biased.eq(self.value + self.parameters.bias)
        if self.products:
            # The factors come from registers, and the product has a cycle for itself, or two of the multiplier's own.
            factors = self.factors
            latency = ADD + 1 if self.pipelined else 0
            value = product(m, platform, factors.a, factors.b, latency)
            if self.pipelined:
                multiply = delayed(m, "multiply_delay", factors.multiply, latency)
                biased = Mux(multiply, value, delayed(m, "biased_delay", biased, 1))
                chosen = Signal(signed(32), reset_less=True)
                m.d.sync += chosen.eq(biased)
                biased = chosen
            else:
                with m.If(factors.multiply):
                    m.d.sync += biased.eq(value)
        elif self.pipelined:
            biased = delayed(m, "biased_delay", biased, 2)
        shift = self.parameters.shift
        multiplier = delayed(m, "multiplier_delay", self.parameters.multiplier, add)
        left, right = Signal(5, reset_less=True), Signal(5, reset_less=True)
        m.d.sync += [left.eq(Mux(shift < 0, 0, shift)), right.eq(Mux(shift < 0, -shift, 0))]
        x = Signal(signed(32))
        if self.pipelined:
            m.d.sync += x.eq(biased << delayed(m, "left_delay", left, 2))
        else:
            m.d.comb += x.eq(biased << left)

        # Multiply, and sum the partial products, with half of 2^31 where the high multiply rounds by itself.
        # The lowest 16 bits are final; all that counts of them is whether they are zero.
        high_high, high_low, low_high, low_low = partial_products(m, platform, x, multiplier[:31])
        multiply = MULTIPLY_LATENCY
        if self.pipelined:
            multiply += PIPELINED_PRODUCTS
            high_high, high_low, low_high, low_low = (
                delay_line(m, f"product_{index}", value, PIPELINED_PRODUCTS, reset_less=True)[-1]
                for index, value in enumerate((high_high, high_low, low_high, low_low))
            )
        settings = delayed(m, "settings_delay_sum", self.settings, add + multiply)
        half = Signal()
        m.d.comb += half.eq(settings.rounding == Rounding.DOUBLE)
        upper = Signal(signed(63 - 16), reset_less=True)
        lowest = Signal(reset_less=True)
        m.d.sync += [
            upper.eq(Cat(low_low[16:], high_high).as_signed() + high_low + low_high + (half << 30 - 16)),
            lowest.eq(low_low[:16].any()),
        ]

        # Shift to the right. A high multiply that has rounded leaves nothing below 2^31.
        settings = delayed(m, "settings_delay_round", settings, SUM_PRODUCTS)
        right = delayed(m, "right_delay", right, add - ADD + multiply + SUM_PRODUCTS)
        exact = Signal()
        scaled = Signal(signed(33))
        below = Signal()
        m.d.comb += [
            exact.eq(settings.rounding != Rounding.DOUBLE),
            scaled.eq(Cat(upper[14] & exact, upper[15:]).as_signed()),
            below.eq((lowest | upper[:14].any()) & exact),
        ]
        if self.pipelined:
            # By the upper bits of the distance, and then by the lower ones.
            coarse = Signal(5)
            m.d.comb += coarse.eq(right & 0b11000)
            scaled, below = self._shifted(m, "coarse", scaled, below, coarse, registered=True)
            settings = delayed(m, "settings_delay_coarse", settings, 1)
            right = delayed(m, "right_delay_coarse", right[:3], 1)
        shifted, below = self._shifted(m, "fine", scaled, below, right, registered=False)
        quotient = Signal(signed(32), reset_less=True)
        half_bit = Signal(reset_less=True)
        rest = Signal(reset_less=True)
        m.d.sync += [quotient.eq(shifted[1:].as_signed()), half_bit.eq(shifted[0]), rest.eq(below)]

        # Round, add the zero point and clamp. How far the clamp's limits are away is known beforehand, so that both
        # comparisons and the sum are additions side by side. They need nine bits of the quotient: with a quotient
        # that does not fit, its sign decides, whatever the zero point.
        above_minimum, above_maximum = (
            Signal(signed(9), name=name, reset_less=True) for name in ("above_minimum", "above_maximum")
        )
        m.d.sync += [
            above_minimum.eq(settings.zero_point - settings.minimum),
            above_maximum.eq(settings.zero_point - settings.maximum - 1),
        ]
        settings = delayed(m, "settings_delay_clamp", settings, ROUND)
        negative, fits, tie_up, up = (Signal(name=name) for name in ("negative", "fits", "tie_up", "up"))
        shown, to_minimum, to_maximum = (
            Signal(signed(10), name=name) for name in ("shown", "to_minimum", "to_maximum")
        )
        result = Signal(signed(8), reset_less=True)
        m.d.comb += [
            negative.eq(quotient[-1]),
            fits.eq(quotient[8:] == negative.replicate(24)),
            tie_up.eq(Mux(settings.rounding == Rounding.NEAREST_EVEN, quotient[0], ~negative)),
            up.eq(half_bit & (rest | tie_up)),
            shown.eq(add_with_carry(quotient[:9], settings.zero_point, up)),
            to_minimum.eq(add_with_carry(quotient[:9], above_minimum, up)),
            to_maximum.eq(add_with_carry(quotient[:9], above_maximum, up)),
            self.result.eq(result),
        ]
        m.d.sync += result.eq(shown)
        with m.If(Mux(fits, to_minimum < 0, negative)):
            m.d.sync += result.eq(settings.minimum)
        with m.Elif(Mux(fits, to_maximum >= 0, ~negative)):
            m.d.sync += result.eq(settings.maximum)
        return m

    def _shifted(
        self, m: Module, name: str, value: Value, below: Value, distance: Value, *, registered: bool
    ) -> tuple[Value, Value]:
        """`value` >> `distance`, and whether there is anything but zeros below it, or was before."""
        shifted = Signal(value.shape(), name=f"{name}_shifted", reset_less=True)
        rest = Signal(name=f"{name}_rest", reset_less=True)
        fraction = Signal((1 << len(distance)) - 1, name=f"{name}_fraction")
        m.d.comb += fraction.eq(value & Cat(distance > bit for bit in range(len(fraction))))
        m.d["sync" if registered else "comb"] += [shifted.eq(value >> distance), rest.eq(fraction.any() | below)]
        return shifted, rest
