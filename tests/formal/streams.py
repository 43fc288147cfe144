"""The rules of every stream, as assertions for what a block gives and assumptions for what it is given."""

from amaranth.hdl import Assert, Assume, Cat, Module, Signal, Value


def waits(m: Module, name: str, valid: Value, ready: Value, *payload: Value, unless: Value | int = 0) -> Value:
    """What valid and ready must keep: what was offered and not taken is still offered, with the same payload; but not
    when `unless` was set."""
    offered = Signal(name=f"{name}_offered")
    carried = Cat(payload)
    before = Signal(len(carried), name=f"{name}_before")
    kept = Signal(name=f"{name}_kept")
    m.d.sync += [offered.eq(valid & ~ready & ~Value.cast(unless)), before.eq(carried)]
    m.d.comb += kept.eq(~offered | (valid & (carried == before)))
    return kept


def gives(m: Module, name: str, valid: Value, ready: Value, *payload: Value) -> None:
    """Assert that a stream waits for its taker."""
    m.d.comb += Assert(waits(m, name, valid, ready, *payload))


def given(m: Module, name: str, valid: Value, ready: Value, *payload: Value, unless: Value | int = 0) -> None:
    """Assume that a stream waits for the block."""
    m.d.comb += Assume(waits(m, name, valid, ready, *payload, unless=unless))
