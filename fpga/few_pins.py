"""A component with many ports behind three pins, to be placed and timed alone."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import Component, In, Out


class FewPins(Component):  # type: ignore[misc]
    """A component whose inputs come out of one shift register, and whose outputs are folded into one bit.

    All its ports have registers at their other ends, so that a path between pins is never the longest. Nothing that the
    component does is without effect on `o`, so that nothing of it is optimized away.

    Parameters
    ----------
    inner : Component

    Members
    -------
    i, o : one bit in, one bit out per cycle.
    """

    def __init__(self, inner: Component) -> None:
        self.inner = inner
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.inner = self.inner
        inputs: list[Value] = []
        outputs: list[Value] = []
        for _, member, port in self.inner.signature.flatten(self.inner):
            (inputs if member.flow is In else outputs).append(Value.cast(port))
        chain = Signal(len(Cat(inputs)))
        seen = Signal(len(Cat(outputs)))
        fold = Signal(len(seen))
        m.d.sync += [chain.eq(Cat(self.i, chain)), seen.eq(Cat(outputs)), fold.eq(Cat(self.i, fold) ^ seen)]
        m.d.comb += [Cat(inputs).eq(chain), self.o.eq(fold[-1])]
        return m
