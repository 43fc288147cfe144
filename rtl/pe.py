"""The processing element of the weight-stationary array."""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

LATENCY = 2
"""Cycles from an activation to the partial sum that contains its product; the operands' registers and the sum's."""

ACTIVATION_LATENCY = 1
"""Cycles from an activation to the same activation at the eastern neighbour."""


def sum_width(products: int) -> int:
    """Bits of a signed number that holds any sum of so many products of two int8."""
    return (products * 128 * 128).bit_length() + 1


def multiply(
    m: Module, platform: object, name: str, activation: Value, weight: Value, first: Value
) -> tuple[Value, Value]:
    """Registers for the operands of one multiplier, and their product.

    A platform with a method `multiply(m, name, activation, weight, first)` builds its device's own primitive, with the
    operands' registers inside if it has them; it returns what this function returns.

    Parameters
    ----------
    activation : Value, signed(8)
        Loaded into its register every cycle.
    weight : Value, signed(8)
        Loaded into its register in cycles with `first`.

    Returns
    -------
    tuple of Value
        The registered activation, for the eastern neighbour, and the product of the two registers, signed(16).
    """
    if hasattr(platform, "multiply"):
        return platform.multiply(m, name, activation, weight, first)
    activation_register = Signal(signed(8), name=f"activation_{name}", reset_less=True)
    weight_register = Signal(signed(8), name=f"weight_{name}", reset_less=True)
    product = Signal(signed(16), name=f"product_{name}")
    m.d.sync += [
        activation_register.eq(activation),
        weight_register.eq(Mux(first, weight, weight_register)),
    ]
    m.d.comb += product.eq(activation_register * weight_register)
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
) -> tuple[Value, Value]:
    """Add one processing element to a module: a function, since a component per element takes 5 ms to elaborate.

    `first` comes with the first activation of a pass and takes over the weight that is present with it. `psum` must
    arrive one cycle after its activation.

    Returns
    -------
    tuple of Value
        The activation for the eastern neighbour, `ACTIVATION_LATENCY` later, and the partial sum for the southern
        neighbour, signed(psum_width), `LATENCY` after its activation.
    """
    east, product = multiply(m, platform, name, activation, weight, first)
    south = Signal(signed(psum_width), name=f"psum_{name}", reset_less=True)
    m.d.sync += south.eq(psum + product)
    return east, south


class ProcessingElement(wiring.Component):
    """One processing element with ports: psum_out = psum_in + activation * weight, all numbers signed.

    The ports are those of `processing_element`, with partial sums of 32 bits that wrap.
    """

    LATENCY = LATENCY

    activation_in: In(signed(8))
    first: In(1)
    weight: In(signed(8))
    psum_in: In(signed(32))
    activation_out: Out(signed(8))
    psum_out: Out(signed(32))

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
        )
        m.d.comb += [self.activation_out.eq(east), self.psum_out.eq(south)]
        return m
