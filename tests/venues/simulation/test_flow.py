from decimal import Decimal
from random import Random

import pytest

from tests.venues.simulation.exchange import BUY, SELL, SYMBOL, Exchange, TimeInForce, exchange
from venues.simulation.flow import SyntheticFlow, crowd_account
from venues.simulation.regimes import Regime


def staged(regime: Regime = Regime.CALM, seed: int = 7) -> tuple[Exchange, SyntheticFlow]:
    x = exchange(index_price=Decimal(60_000), collateral=100_000_000)
    flow = SyntheticFlow(x.engine, SYMBOL, Random(seed), regime)
    flow.step(x.clock())
    return x, flow


def run(x: Exchange, flow: SyntheticFlow, seconds: int) -> None:
    for _ in range(seconds * 20):
        x.clock.pass_s(0.05)
        flow.step(x.clock())
        x.engine.tick()


def quote_inside(x: Exchange) -> None:
    bids, asks = x.engine.book(SYMBOL, 1)
    x.engine.cancel("ann")
    x.order("ann", BUY, bids[0][0] + 1, 20, post_only=True)
    x.order("ann", SELL, asks[0][0] - 1, 20, post_only=True)


@pytest.mark.parametrize("regime", Regime)
def test_a_maker_at_the_front_trades_on_both_sides(regime: Regime) -> None:
    x, flow = staged(regime)
    for _ in range(60):
        quote_inside(x)
        run(x, flow, 1)
        bids, asks = x.engine.book(SYMBOL, 1)
        assert bids[0][0] < asks[0][0]
    assert {trade.side for trade in x.engine.trades("ann")} == {BUY, SELL}


def test_the_same_seed_gives_the_same_market() -> None:
    books = []
    for _ in range(2):
        x, flow = staged(Regime.JUMP, seed=3)
        run(x, flow, 10)
        books.append((x.engine.book(SYMBOL), x.engine.public_trades(SYMBOL, 1_000)))
    assert books[0] == books[1]
    assert books[0][1]


@pytest.mark.parametrize("direction", [1, -1])
def test_a_shock_pushes_the_price_and_stale_quotes_are_taken(direction: int) -> None:
    x, flow = staged()
    mark = x.engine.mark(SYMBOL)
    assert mark is not None
    stale = SELL if direction > 0 else BUY
    price = int(mark * 10) + 5 * direction
    x.order("ann", stale, price, 500, post_only=True)
    flow.shock(20, direction, 10)
    run(x, flow, 10)
    moved = x.engine.mark(SYMBOL)
    assert moved is not None
    assert (moved / mark - 1) * 10_000 * direction > 150
    assert x.engine.position("ann", SYMBOL).lots == -stale.opposite.sign * 500
    run(x, flow, 60)


def test_the_crowd_is_not_told_in_events_and_money_still_sums_to_zero() -> None:
    x, flow = staged()
    quote_inside(x)
    run(x, flow, 30)
    for each in x.engine.events():
        assert "ann" in {each.get("account"), each.get("maker"), each.get("taker")}
    accounts = ("ann", "bob", "cat", crowd_account(SYMBOL), f"takers:{SYMBOL}")
    assert sum(x.engine.position(name, SYMBOL).lots for name in accounts) == 0


def test_time_that_stands_still_changes_nothing_and_a_halt_stops_the_crowd() -> None:
    x, flow = staged()
    before = x.engine.book_sequence(SYMBOL)
    flow.step(x.clock())
    assert x.engine.book_sequence(SYMBOL) == before
    x.engine.halt(SYMBOL, halted=True)
    run(x, flow, 2)
    assert x.engine.book_sequence(SYMBOL) == before


def test_set_levels_keeps_everybodys_place_in_the_queue() -> None:
    x = exchange()
    x.engine.open_account("crowd", Decimal(0), house=True)
    x.engine.set_levels("crowd", SYMBOL, [(SELL, 1000, 5)])
    x.order("ann", SELL, 1000, 2)
    x.engine.set_levels("crowd", SYMBOL, [(SELL, 1000, 9)])
    assert x.engine.book(SYMBOL)[1] == [(1000, 11)]
    x.order("bob", BUY, 1000, 5)
    assert x.engine.position("ann", SYMBOL).lots == 0
    x.order("bob", BUY, 1000, 2)
    assert x.engine.position("ann", SYMBOL).lots == -2
    x.engine.set_levels("crowd", SYMBOL, [(SELL, 1000, 0)])
    assert x.engine.book(SYMBOL) == ([], [])


def test_a_crowd_level_across_our_order_trades_with_it_and_not_with_the_crowd() -> None:
    x = exchange()
    x.engine.open_account("crowd", Decimal(0), house=True)
    x.engine.set_levels("crowd", SYMBOL, [(SELL, 1000, 5)])
    x.order("ann", SELL, 1001, 2)
    x.engine.set_levels("crowd", SYMBOL, [(BUY, 1001, 6)])
    assert x.engine.position("ann", SYMBOL).lots == -2
    assert x.engine.position("crowd", SYMBOL).lots == 2
    assert x.engine.book(SYMBOL) == ([(1001, 4)], [])
    with pytest.raises(ValueError, match="not a house account"):
        x.engine.set_levels("ann", SYMBOL, [(BUY, 1, 1)])
    x.order("ann", SELL, 1001, 4, time_in_force=TimeInForce.FOK)
    assert x.engine.book(SYMBOL) == ([], [])
