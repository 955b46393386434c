"""What a run still leaves to a person: the waiver it was told, cut by the positions of each look.

The rule: it is cut by what was held before the trade under way, or a leg that has not filled yet
would look like lots that a person took away.
"""

from collections.abc import Sequence

from desk.arbitrage.sets import OutcomeSet
from desk.arbitrage.waiving import within
from desk.arbitrage_records import ArbitrageTrade
from desk.identity import MarketId
from desk.units import Lots
from quoting.arbitrage.books import SetBooks, epochs_of
from quoting.arbitrage.owing import AnySet
from quoting.arbitrage.report import RunOrder


def waiver_left(
    order: RunOrder,
    sets: Sequence[AnySet],
    books: SetBooks,
    under_way: Sequence[ArbitrageTrade],
) -> tuple[Lots, ...]:
    """Signed lots in the order of the run's legs; empty when nothing is waived any more.

    `books` must be in step with the venues. Of a triangle no lots are ever waived, but whole
    trades, by their record.
    """
    outcomes = sets[0]
    if not any(order.waived) or not isinstance(outcomes, OutcomeSet):
        return ()
    waived = dict(zip(order.legs, order.waived, strict=True))
    markets = [leg.market for leg in outcomes.legs]
    before = [_before(books, market, under_way) for market in markets]
    left = within(outcomes, before, [waived[market] for market in markets])
    if not any(left):
        return ()
    by_market = dict(zip(markets, left, strict=True))
    return tuple(by_market[market] for market in order.legs)


def _before(books: SetBooks, market: MarketId, under_way: Sequence[ArbitrageTrade]) -> Lots:
    """Held of a leg before trades that are under way moved it."""
    one = books.at(market)
    epochs = {epochs_of(trade).get(market, 0) for trade in under_way}
    moved = sum(one.booked(one.of_epoch(epoch)).lots for epoch in epochs)
    return one.position - moved
