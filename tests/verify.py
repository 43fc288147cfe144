"""`make verify`: all campaigns, the table of their figures, and docs/verification.md.

    python -m tests.verify [--list] [NAME ...]
    python -m tests.verify --docs FILE.md [--list]

The first runs the campaigns of these names, or all; exit status 1 if a bar is missed. The second puts tables between
the marks of the file: those of all campaigns, or with --list those alone that need no run.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from weft.gen.presets import PRESETS
from weft.sim import covering, killing
from weft.sim.campaigns import contents, endurance, faults, hostile, resets, soak
from weft.sim.coverage import bits_sheet
from weft.sim.coverage import sheet as unreached
from weft.sim.verification import Campaign, Row, run_campaigns, sheet
from weft.sw.commands.figures import Sheet, insert
from weft.sw.commands.progress import standard_output
from weft.sw.commands.shared import processors
from weft.sw.errors import UserError
from weft.sw.files import replace_file

from tests import crosses
from tests.configurations import CONFIGURATIONS
from tests.cosim import stalls
from tests.formal import proofs
from tests.link_campaign import link_faults

CAMPAIGNS: dict[str, Campaign] = {
    "stalls 1": partial(stalls.campaign, "verilator", 1),
    "stalls 2": partial(stalls.campaign, "icarus", 1),
    **{f"crosses {name}": partial(crosses.campaign, [name]) for name in CONFIGURATIONS},
    "coverage": covering.campaign,
    "mutants 1": partial(killing.campaign, 0, 2),
    "mutants 2": partial(killing.campaign, 1, 2),
    "formal": proofs.campaign,
    **{f"faults {part + 1}": partial(faults.campaign, part, 4) for part in range(4)},
    **{f"endurance {part + 1}": partial(endurance.campaign, 5 * part, 5) for part in range(2)},
    **{f"fuzz {name}": partial(soak.campaign, PRESETS[name], 0, 2000) for name in ("small", "tiny", "large")},
    "resets": partial(resets.campaign, 0, 1000),
    "hostile": partial(hostile.campaign, 0, 200),
    "contents": partial(contents.campaign, 0, 1000),
    "link": link_faults,
}
"""By name, the longest first: what is begun last should be short. "faults 1" and "faults 2" are two parts of one, and
are both meant by the name "faults"."""

MARKS = ("<!-- verify:begin -->", "<!-- verify:end -->")

STATIC: dict[str, Callable[[], Sheet]] = {"proofs": proofs.sheet, "unreached": unreached, "unmoved": bits_sheet}
"""Tables of the page that say what is done, not what came out; by the name of their marks."""


def page(text: str, where: str) -> str:
    """The page with all tables of STATIC."""
    for name, table in STATIC.items():
        text = insert(text, [table()], where, (f"<!-- {name}:begin -->", f"<!-- {name}:end -->"))
    return text


def chosen(names: Sequence[str]) -> dict[str, Campaign]:
    """The campaigns of these names, or all.

    Raises
    ------
    UserError
        For a name that there is not.
    """
    known = dict.fromkeys(name.split()[0] for name in CAMPAIGNS)
    for name in names:
        if name not in known:
            raise UserError(f"{name} is not a campaign; the campaigns are {', '.join(known)}")
    return {name: campaign for name, campaign in CAMPAIGNS.items() if not names or name.split()[0] in names}


def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Of campaigns; all by default.")] = None,
    docs: Annotated[Path | None, typer.Option(metavar="FILE.md", help="Gets the table between its marks.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Name the campaigns, and run none.")] = False,
) -> None:
    """Run verification campaigns; exit status 1 if a bar is missed."""
    try:
        missed = _verify(names or [], docs, show)
    except UserError as error:
        typer.echo(f"weft: {error}", err=True)
        raise typer.Exit(2) from None
    if missed:
        raise typer.Exit(1)


def _text(docs: Path) -> str:
    """The page, with all but the table of figures; one that cannot take them is told before the work."""
    try:
        text = docs.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{docs}: the file cannot be read: {error.strerror}") from None
    insert(text, (), str(docs), MARKS)
    return page(text, str(docs))


def _verify(names: Sequence[str], docs: Path | None, show: bool) -> list[str]:
    campaigns = chosen(names)
    if names and docs is not None:
        raise UserError("--docs takes all campaigns, or --list")
    text = "" if docs is None else _text(docs)
    if show:
        typer.echo("\n".join(campaigns))
        if docs is not None:
            replace_file(docs, text.encode())
        return []
    console = standard_output()
    start = perf_counter()

    def progress(name: str, rows: Sequence[Row]) -> None:
        bad = sum(not row.reached for row in rows if row.failures)
        state = f"[red]{bad} of {len(rows)} rows with failures" if bad else f"[green]{len(rows)} rows without failures"
        console.print(f"[dim]{perf_counter() - start:7.0f} s[/] {name}: {state}[/]", highlight=False)

    console.print(f"{len(campaigns)} campaigns on {processors()} processors", highlight=False)
    rows = run_campaigns(campaigns, processors(), progress)
    table = sheet(rows)
    console.print(table.terminal())
    missed = [sentence for row in rows for sentence in row.missed()]
    for sentence in missed:
        typer.echo(f"weft: {sentence}", err=True)
    if docs is not None:
        replace_file(docs, insert(text, [table], str(docs), MARKS).encode())
    return missed


if __name__ == "__main__":
    typer.run(verify)
