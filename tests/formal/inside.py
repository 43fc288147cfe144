"""Look into a component that is to be proven: its inner signals, and the words of its memories.

The RTL holds nothing for proofs. A property's module elaborates the component itself, finds what it needs by name, and
adds the result as its submodule.
"""

from collections.abc import Iterator, Sequence

from amaranth.hdl import Const, Elaboratable, Fragment, MemoryInstance, Signal


class Inside:
    """An elaborated component, or a submodule of one; `fragment` is what goes into a module.

    Raises
    ------
    KeyError
        For a submodule or signal that it does not have, or has twice.
    """

    def __init__(self, component: Elaboratable | Fragment) -> None:
        self.fragment: Fragment = Fragment.get(component, None)

    def __getitem__(self, name: str) -> "Inside":
        """The submodule of this name."""
        for fragment, found, *_ in self.fragment.subfragments:
            if found == name:
                return Inside(fragment)
        raise KeyError(f"there is no submodule {name}")

    def signal(self, name: str, *domains: str) -> Signal:
        """The signal of this name that is driven here, in one of these domains if any are named."""
        found = {id(one): one for one in self._driven(domains) if one.name == name}
        if len(found) != 1:
            raise KeyError(f"{len(found)} signals here are called {name}")
        return next(iter(found.values()))

    def _driven(self, domains: Sequence[str]) -> Iterator[Signal]:
        for domain, statements in self.fragment.statements.items():
            for statement in statements if not domains or domain in domains else ():
                yield from statement._lhs_signals()

    def word(self, address: Signal) -> Signal:
        """The word at an address, in this cycle, of the memory that this is.

        Raises
        ------
        TypeError
            If this is none.
        """
        if not isinstance(self.fragment, MemoryInstance):
            raise TypeError("this is not a memory")
        data = Signal(self.fragment._data.shape, name="peeked")
        self.fragment.read_port(domain="comb", addr=address, data=data, en=Const(1), transparent_for=())
        return data
