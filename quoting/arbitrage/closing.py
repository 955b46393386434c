"""What is put on record once nothing is owed: trades balanced, sold early, or paid out in the end.

The rule: the record first, then the claims, which follow it; repeating any of it changes nothing.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from desk.arbitrage.obligation import exposure_by_currency
from desk.arbitrage.sets import OutcomeSet, Triangle
from desk.arbitrage.values import decimal, values_in_start
from desk.arbitrage_ports import ClaimStage
from desk.arbitrage_records import UNDER_WAY, ArbitrageTrade, TradeStage
from quoting.arbitrage.books import LegBooks, SetBooks, epochs_of
from quoting.arbitrage.owing import AnySet, round_of
from quoting.arbitrage.ports import SetPorts
from quoting.arbitrage.report import RunOrder
from quoting.arbitrage.settling import FILLS, tell_outcomes

LOOKED_AT: Final = 1_000
"""Newest trades that a look goes through; nothing is added up over them."""
_FILLS_BACK_MS: Final = 7_200_000
"""A round's fills are read from so long before it was fired; venues' clocks differ from ours."""
_A_PERSONS: Final = "a person has what is left of it"
_ZERO: Final = Decimal(0)


async def trades_of(order: RunOrder, ports: SetPorts) -> tuple[ArbitrageTrade, ...]:
    """The newest trades of the set on record, oldest first. Raises Unavailable."""
    return tuple(reversed(await ports.trades.recent(LOOKED_AT, order.name)))


async def close_trades(
    order: RunOrder, sets: Sequence[AnySet], books: SetBooks, ports: SetPorts, reason: str
) -> None:
    """Record that trades under way are balanced, and what fills since then brought the others.

    Raises Unavailable.
    """
    first = sets[0]
    if isinstance(first, OutcomeSet):
        await tell_outcomes(order, first, books, ports, reason)
        return
    for trade in await ports.trades.unsettled(order.name):
        why = _A_PERSONS if trade.stage is TradeStage.HANDED_OVER else reason
        await _close_round(round_of(sets, trade), books, trade, ports, why)
    for trade in await trades_of(order, ports):
        # Of one that came late and was worked off again, by now or by a person.
        if trade.stage is TradeStage.SETTLED and _count(trade, books) > trade.fills:
            await _retell_round(round_of(sets, trade), books, trade, ports)


async def tidy_claims(order: RunOrder, epoch: int, ports: SetPorts) -> None:
    """Make what is claimed for the set what the record says; nothing of it may be owed now.

    A claim of this run that came to no trade is given up. One of an earlier run is not: whether its
    orders left is not known to anybody, so it is put on record first (`adoption`). Where another
    trade of its run is on record, that is all that left. Raises Unavailable.
    """
    claims = [one for one in await ports.claims.open() if one.key.set_name == order.name]
    if not claims:
        return
    trades = {trade.fired.key: trade for trade in await trades_of(order, ports)}
    runs = {epoch, *(key.epoch for key in trades)}
    for claim in claims:
        trade = trades.get(claim.key)
        if trade is None:
            if claim.key.epoch in runs and claim.stage is not ClaimStage.HELD:
                await ports.claims.release(claim.key)
        elif trade.stage not in UNDER_WAY:
            if not trade.locked:
                await ports.claims.release(claim.key)
            elif claim.stage is not ClaimStage.HELD or claim.capital != trade.locked:
                await ports.claims.settle(claim.key, claim.owner, trade.locked)


async def _close_round(
    triangle: Triangle, books: SetBooks, trade: ArbitrageTrade, ports: SetPorts, reason: str
) -> None:
    """Nothing is held of a round any more: it is done, or a person has what is left."""
    whole = await _with_fills_of(trade, books, ports)
    key, edge, fills = trade.fired.key, _edge(triangle, whole, trade), _count(trade, whole)
    await ports.trades.balanced(
        key, locked=(), payout_expected=_ZERO, edge=edge, by=FILLS, reason=reason, fills=fills
    )
    await ports.trades.settled(key, payout=_ZERO, edge=edge, by=FILLS, reason=reason, fills=fills)


async def _retell_round(
    triangle: Triangle, books: SetBooks, trade: ArbitrageTrade, ports: SetPorts
) -> None:
    whole = await _with_fills_of(trade, books, ports)
    await ports.trades.retold(
        trade.fired.key,
        locked=(),
        payout=_ZERO,
        edge=_edge(triangle, whole, trade),
        fills=_count(trade, whole),
    )


def _edge(triangle: Triangle, books: SetBooks, trade: ArbitrageTrade) -> Decimal:
    """What its fills brought, in the start currency; what they left is valued by the books."""
    epochs = epochs_of(trade)
    booked = []
    for leg in triangle.legs:
        one = books.at(leg.market)
        booked.append(one.booked(one.of_epoch(epochs[leg.market])))
    seen = [books.at(leg.market).leg.seen for leg in triangle.legs]
    worths = values_in_start(triangle, seen)
    edge = _ZERO
    for currency, amount in exposure_by_currency(triangle, booked).items():
        if amount and currency in worths:
            edge += amount * decimal(worths[currency].middle)
    return edge


def _count(trade: ArbitrageTrade, books: SetBooks) -> int:
    """Fills of a round that were read."""
    epochs = epochs_of(trade)
    return sum(len(one.of_epoch(epochs.get(one.leg.market, 0))) for one in books.legs)


async def _with_fills_of(trade: ArbitrageTrade, books: SetBooks, ports: SetPorts) -> SetBooks:
    since_ms = max(0, trade.fired.fired_at_ms - _FILLS_BACK_MS)
    legs = []
    for one in books.legs:
        fills = await ports.ledger.fills(one.leg.market, since_ms)
        legs.append(LegBooks.of(one.leg, one.position, fills))
    return SetBooks(legs=tuple(legs), difference=books.difference)
