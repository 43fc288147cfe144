"""The processing element of the weight-stationary array."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

SUM_LATENCY = 1
"""Cycles from a product to the partial sum that contains it."""

ACTIVATION_LATENCY = 1
"""Cycles from an activation to the same activation at the eastern neighbour."""


def latency(multiply_latency: int) -> int:
    """Cycles from an activation to the partial sum that contains its product."""
    return multiply_latency + SUM_LATENCY


def sum_width(products: int) -> int:
    """Bits of a signed number that holds any sum of so many products of two int8."""
    return (products * 128 * 128).bit_length() + 1


def multiply(
    m: Module, platform: object, name: str, activation: Value, weight: Value, first: Value, latency: int
) -> tuple[Value, Value]:
    """Registers for the operands of one multiplier, and their product.

    A platform with a method `multiply(m, name, activation, weight, first, latency)` builds its device's own primitive,
    with the registers inside if it has them; it returns what this function returns.

    Parameters
    ----------
    activation : Value, signed(8)
        Loaded into its register every cycle.
    weight : Value, signed(8)
        Loaded into its register in cycles with `first`.
    latency : int
        Cycles from an activation to its product: 1 for the operands' registers, 2 with the product's.

    Returns
    -------
    tuple of Value
        The registered activation, for the eastern neighbour, and the product, signed(16).
    """
    if hasattr(platform, "multiply"):
        return platform.multiply(m, name, activation, weight, first, latency)
    activation_register = Signal(signed(8), name=f"activation_{name}", reset_less=True)
    weight_register = Signal(signed(8), name=f"weight_{name}", reset_less=True)
    product = Signal(signed(16), name=f"product_{name}")
    m.d.sync += [
        activation_register.eq(activation),
        weight_register.eq(Mux(first, weight, weight_register)),
    ]
    m.d.comb += product.eq(activation_register * weight_register)
    if latency == 2:
        product_register = Signal(signed(16), name=f"product_register_{name}", reset_less=True)
        m.d.sync += product_register.eq(product)
        product = product_register
    return activation_register, product


def processing_element(
    m: Module,
    platform: object,
    name: str,
    *,
    activation: Value,
    first: Value,
    weight: Value,
    psum: Value,
    psum_width: int,
    multiply_latency: int = 1,
) -> tuple[Value, Value]:
    """Add one processing element to a module: a function, since a component per element takes 5 ms to elaborate.

    `first` comes with the first activation of a pass and takes over the weight that is present with it. `psum` must
    arrive `multiply_latency` cycles after its activation.

    A platform with a method `multiply_add(m, name, activation, weight, first, psum, psum_width, latency)` builds all of
    it from its device's own primitive; it returns what this function returns.

    Returns
    -------
    tuple of Value
        The activation for the eastern neighbour, `ACTIVATION_LATENCY` later, and the partial sum for the southern
        neighbour, signed(psum_width), `latency(multiply_latency)` after its activation.
    """
    if hasattr(platform, "multiply_add"):
        return platform.multiply_add(m, name, activation, weight, first, psum, psum_width, multiply_latency)
    east, product = multiply(m, platform, name, activation, weight, first, multiply_latency)
    south = Signal(signed(psum_width), name=f"psum_{name}", reset_less=True)
    m.d.sync += south.eq(psum + product)
    return east, south


class ProcessingElement(wiring.Component):
    """One processing element with ports: psum_out = psum_in + activation * weight, all numbers signed.

    The ports are those of `processing_element`, with partial sums of 32 bits that wrap.
    """

    activation_in: In(signed(8))
    first: In(1)
    weight: In(signed(8))
    psum_in: In(signed(32))
    activation_out: Out(signed(8))
    psum_out: Out(signed(32))

    def __init__(self, multiply_latency: int = 1) -> None:
        self.multiply_latency = multiply_latency
        self.LATENCY = latency(multiply_latency)
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        east, south = processing_element(
            m,
            platform,
            "0",
            activation=self.activation_in,
            first=self.first,
            weight=self.weight,
            psum=self.psum_in,
            psum_width=32,
            multiply_latency=self.multiply_latency,
        )
        m.d.comb += [self.activation_out.eq(east), self.psum_out.eq(south)]
        return m
