"""A loop in the imbalance style: it weighs the book of others, and pulls when that is unfit."""

from dataclasses import replace
from decimal import Decimal

from desk.market import BookSnapshot
from desk.orders import Batch
from desk.quoting.parameters import QuoteParameters, QuoteStyle
from desk.units import NS_PER_S, Level, Side
from quoting.actions import ClearAll
from quoting.inbox import Cleared
from quoting.loop import MarketLoop
from quoting.progress import LatencySamples
from tests.quoting.builders import accepted, account, make_loop, sent

MID = 600_000
PARAMETERS = QuoteParameters(
    style=QuoteStyle.IMBALANCE,
    level_notional=Decimal(600),
    min_spread_bps=Decimal(15),
    max_spread_bps=Decimal(125),
)


def others(bid_lots: int, ask_lots: int, levels: int = 5) -> tuple[list[Level], list[Level]]:
    bids = [(MID - 5_000 - level, bid_lots) for level in range(levels)]
    asks = [(MID + 5_000 + level, ask_lots) for level in range(levels)]
    return bids, asks


def shown(
    now_ns: int, sides: tuple[list[Level], list[Level]], ours: Batch | None = None
) -> BookSnapshot:
    """A book as the venue shows it: with our own orders in it."""
    mine = ours.orders if ours else ()
    both = [
        [*((order.price, order.lots) for order in mine if order.side is side), *levels]
        for side, levels in zip(Side, sides, strict=True)
    ]
    return BookSnapshot(
        bids=sorted(both[0], reverse=True),
        asks=sorted(both[1]),
        sequence=None,
        received_ns=now_ns,
    )


def quoting(sides: tuple[list[Level], list[Level]]) -> tuple[MarketLoop, Batch]:
    loop = make_loop(parameters=PARAMETERS)
    loop.apply(account(NS_PER_S))
    loop.apply(shown(NS_PER_S, sides))
    batch = sent(loop.decide(NS_PER_S))
    loop.apply(accepted(batch))
    return loop, batch


def width(batch: Batch) -> int:
    bids = [order.price for order in batch.orders if order.side is Side.BUY]
    asks = [order.price for order in batch.orders if order.side is Side.SELL]
    return min(asks) - max(bids)


def test_a_lopsided_book_is_quoted_wider() -> None:
    _, even = quoting(others(20, 20))
    _, lopsided = quoting(others(10, 30))
    assert (width(even), width(lopsided)) == (900, 4_200)


def test_our_own_orders_do_not_count_towards_the_imbalance() -> None:
    # With ours among them, the best five a side would be 50 against 90 lots: 46.4 bps, not 70.
    sides = others(10, 30)
    loop, batch = quoting(sides)
    assert {order.lots for order in batch.orders} <= {9, 10}
    loop.apply(shown(3 * NS_PER_S, sides, batch))
    assert loop.decide(3 * NS_PER_S) == []


def test_a_book_that_turns_lopsided_widens_what_rests() -> None:
    loop, batch = quoting(others(20, 20))
    loop.apply(shown(3 * NS_PER_S, others(10, 30), batch))
    assert width(sent(loop.decide(3 * NS_PER_S))) == 4_200


def test_a_book_too_thin_pulls_everything_until_it_is_deep_again() -> None:
    loop, batch = quoting(others(20, 20))
    thin = replace(shown(3 * NS_PER_S, others(20, 20)), bids=[(MID - 5_000, 20)])
    loop.apply(thin)
    reason = "book: 1 bid levels of others, under min_book_levels 2"
    assert loop.decide(3 * NS_PER_S) == [ClearAll(reason)]
    loop.apply(Cleared(verified=True, attempts=1, message="", at_ns=3 * NS_PER_S))
    assert loop.decide(3 * NS_PER_S) == []
    assert loop.progress(LatencySamples()).reason == reason
    loop.apply(shown(4 * NS_PER_S, others(20, 20)))
    again = sent(loop.decide(4 * NS_PER_S))
    assert [order.price for order in again.orders] == [order.price for order in batch.orders]
    assert loop.progress(LatencySamples()).reason == ""


def test_our_own_depth_does_not_make_a_thin_book_deep() -> None:
    loop, batch = quoting(others(20, 20))
    loop.apply(shown(3 * NS_PER_S, others(20, 20, levels=1), batch))
    assert [type(action) for action in loop.decide(3 * NS_PER_S)] == [ClearAll]
