"""What the account endpoint says: the engine's word, unless a fault makes the two differ.

Streams never pass through here, so `endpoint_differs` sets the endpoint against them.
"""

from collections.abc import Iterator
from dataclasses import replace

from venues.simulation.accounts import ZERO
from venues.simulation.faults import Fault, FaultKind, Site
from venues.simulation.stage import Stage
from venues.simulation.views import BalanceView, PositionView


def told_positions(stage: Stage, account: str, site: Site) -> list[PositionView]:
    """Positions that are not flat, as a read at this place of the protocol shows them.

    A fault that names a market shifts that market's position; one that does not, all those held.
    """
    found = {view.symbol: view for view in stage.engine.positions(account)}
    for symbol, fault in _differences(stage, account, site):
        if symbol in found or fault.market is not None:
            view = found.get(symbol) or stage.engine.position(account, symbol)
            found[symbol] = _shifted(stage, view, fault)
    return [view for view in found.values() if view.lots]


def told_balance(stage: Stage, account: str, site: Site) -> BalanceView:
    """Buckets, equity and margins, as a read at this place of the protocol shows them."""
    view = stage.engine.balance(account)
    # A fault without a market is met at every symbol, and counts once.
    amount = sum(
        {id(fault): fault.amount for _, fault in _differences(stage, account, site)}.values()
    )
    return replace(
        view,
        collateral=view.collateral + amount,
        equity=view.equity + amount,
        available=max(ZERO, view.available + amount),
    )


def _differences(stage: Stage, account: str, site: Site) -> Iterator[tuple[str, Fault]]:
    for symbol in stage.listed():
        here = replace(site, account=account, market=symbol)
        fault = stage.faults.active(FaultKind.ENDPOINT_DIFFERS, here)
        if fault is not None:
            yield symbol, fault


def _shifted(stage: Stage, view: PositionView, fault: Fault) -> PositionView:
    entry = view.entry_price
    return replace(
        view,
        position_id=view.position_id or f"p-{view.account}-{view.symbol}-told",
        lots=view.lots + fault.lots,
        entry_price=stage.engine.mark(view.symbol) if entry is None else entry,
    )
