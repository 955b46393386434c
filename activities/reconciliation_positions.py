"""What a comparison of positions and of sources leads to: breaks, and the end of one.

The one rule: a source that cannot say now neither contradicts nor agrees.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from activities.reconciliation_messages import ReconcileInput
from activities.reconciliation_side import BreakDesk, Compared
from desk.breaks import BreakKind
from desk.reconciliation import SourceDifference
from desk.sources import SourceView

AGREED: Final = "agreed_runs"
"""Where their side keeps in how many comparisons on end every source agreed."""

_ZERO = Decimal(0)


async def keep_positions(
    desk: BreakDesk,
    compared: Compared,
    symbols: Sequence[str],
    *,
    ours: Mapping[str, Decimal],
    theirs: Mapping[str, Decimal],
    source: str,
    asked_ms: int,
) -> None:
    """A break for each symbol; signed base units, in a reading that began at `asked_ms`."""
    for symbol in symbols:
        booked, told = ours.get(symbol, _ZERO), theirs.get(symbol, _ZERO)
        text = f"our books hold {booked:f} {symbol} and {source} says {told:f}, {told - booked:+f}"
        compared.note(BreakKind.POSITION.value, symbol, text)
        await desk.open(
            desk.found(
                BreakKind.POSITION,
                symbol,
                text,
                ours={"quantity": booked},
                theirs={"quantity": told, "source": source},
                at_ms=asked_ms,
            )
        )


async def keep_sources(
    desk: BreakDesk,
    request: ReconcileInput,
    compared: Compared,
    differences: Sequence[SourceDifference],
    *,
    agreed: int,
    all_told: bool,
    asked_ms: int,
) -> None:
    """Stop the account while its sources contradict each other; let it go on when they agree.

    `agreed` runs on end agreed before this one; `all_told` where every source could say.
    """
    if differences:
        agreed = 0
        text = "; ".join(one.sentence for one in differences)
        compared.note(BreakKind.SOURCES.value, None, text)
        await desk.open(
            desk.found(
                BreakKind.SOURCES,
                None,
                f"two sources of the venue differ: {text}",
                ours={"positions": compared.ours["positions"]},
                theirs={"views": compared.theirs["views"]},
                at_ms=asked_ms,
            )
        )
    elif all_told:
        agreed += 1
    compared.theirs[AGREED] = agreed
    if not (request.auto_resume and agreed >= request.agree_runs):
        return
    for known in await desk.standing(BreakKind.SOURCES):
        await desk.over(known, "sources agree", f"every source agreed in {agreed} comparisons")


def view_side(view: SourceView) -> dict[str, Any]:
    """One source's word as it is kept."""
    return {
        "source": view.source.name,
        "authority": view.source.authority.name.lower(),
        "positions": dict(sorted(view.positions.items())),
        "equity": view.equity,
    }
