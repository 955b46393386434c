"""Markets paid in full: what is bound, what cannot be lost, and how they end."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from desk.instrument import Instrument, Settlement
from desk.orders import Liquidity, RejectReason
from desk.units import Side
from tests.venues.simulation.exchange import BUY, SELL, HandClock, TimeInForce
from venues.simulation.engine import Engine
from venues.simulation.offers import Offers
from venues.simulation.orders import OrderKind, OrderReport, OrderRequest, OrderSource
from venues.simulation.paid import most_lost
from venues.simulation.rules import Backing, EngineRules, MarketRules, MarkRules

WHOLE = 100
PERP = "BTC-PERP"
HOUSE = "crowd"


def outcome(name: str, outcomes: int = 2, **more: object) -> MarketRules:
    settlement = Settlement(event="CUP", outcome=name, outcomes=outcomes)
    instrument = Instrument(
        venue="sim",
        symbol=name,
        tick_size=Decimal("0.01"),
        lot_size=Decimal(1),
        band_low=1,
        band_high=WHOLE - 1,
        settlement=settlement,
    )
    return MarketRules(
        instrument=replace(instrument, **more),  # type: ignore[arg-type]
        index_price=Decimal("0.4"),
        funding_cap_bps=Decimal(0),
        mark=MarkRules(smoothing_ms=0),
        backing=Backing.PAID,
    )


def engine(collateral: int = 10, clock: HandClock | None = None, **rules: object) -> Engine:
    made = Engine(clock or HandClock(), EngineRules(**rules))  # type: ignore[arg-type]
    for name in ("A", "B"):
        made.add_market(outcome(name))
    for account in ("ann", "bob"):
        made.open_account(account, Decimal(collateral))
    made.open_account(HOUSE, Decimal(0), house=True)
    return made


def order(
    made: Engine, account: str, side: Side, price: int | None, lots: int, **more: object
) -> OrderReport:
    kind = OrderKind.MARKET if price is None else OrderKind.LIMIT
    given = {"symbol": "A", "side": side, "price": price, "lots": lots, "kind": kind, **more}
    return made.submit(account, OrderRequest(**given))  # type: ignore[arg-type]


@pytest.mark.parametrize(("side", "price", "most"), [(BUY, 40, 25), (SELL, 40, 16), (BUY, 80, 12)])
def test_a_long_binds_its_price_and_a_short_what_is_missing_to_one(
    side: Side, price: int, most: int
) -> None:
    made = engine(collateral=10)
    assert order(made, "ann", side, price, most + 1).reason is RejectReason.MARGIN
    assert order(made, "ann", side, price, most).accepted
    unit = price if side is BUY else WHOLE - price
    assert made.balance("ann").initial_margin == Decimal(unit * most) / WHOLE


def test_what_is_free_does_not_depend_on_the_mark() -> None:
    made = engine()
    order(made, "bob", SELL, 40, 10)
    assert order(made, "ann", BUY, 40, 10).filled == 10
    for index in ("0.05", "0.4", "0.95"):
        made.set_index("A", Decimal(index))
        assert made.balance("ann").available == 6
        assert made.balance("bob").available == 4
    assert made.balance("ann").equity == 10 + (Decimal("0.95") - Decimal("0.4")) * 10


def test_a_sale_of_what_is_held_binds_nothing_more() -> None:
    made = engine(collateral=4)
    order(made, "bob", SELL, 40, 5)
    assert order(made, "ann", BUY, 40, 5).filled == 5
    before = made.balance("ann").available
    assert order(made, "ann", SELL, 60, 5).accepted
    assert made.balance("ann").available == before
    assert order(made, "ann", SELL, 60, 13).reason is RejectReason.MARGIN
    assert order(made, "ann", SELL, 60, 12).accepted


def test_an_exit_is_refused_where_what_it_sells_stands_behind_another_order() -> None:
    made = engine(collateral=4)
    order(made, "bob", SELL, 40, 5)
    assert order(made, "ann", BUY, 40, 5).filled == 5
    assert order(made, "ann", SELL, 60, 17).accepted
    refused = order(made, "ann", SELL, 10, 5, reduce_only=True)
    assert refused.reason is RejectReason.MARGIN
    made.cancel("ann")
    assert order(made, "ann", SELL, 10, 5, reduce_only=True).accepted


def test_a_new_ladder_may_use_what_the_old_one_bound() -> None:
    made = engine(collateral=4)
    quote = OrderRequest(
        symbol="A", side=BUY, price=40, lots=10, source=OrderSource.QUOTE, client_order_id=None
    )
    assert made.replace("ann", "A", [quote]).accepted
    assert made.replace("ann", "A", [replace(quote, price=20, lots=20)]).accepted
    assert not made.replace("ann", "A", [replace(quote, lots=11)]).accepted
    assert [one.price for one in made.open_orders("ann")] == [20]


def test_a_market_order_binds_what_it_would_reach() -> None:
    made = engine(collateral=10)
    made.set_levels(HOUSE, "A", [(SELL, 50, 10), (SELL, 90, 10)])
    assert order(made, "ann", BUY, None, 12).reason is RejectReason.MARGIN
    assert order(made, "ann", BUY, None, 11).filled == 11


def test_what_is_paid_for_is_never_liquidated_but_a_perpetual_beside_it_is() -> None:
    clock = HandClock()
    made = engine(collateral=10, clock=clock)
    perp = Instrument(venue="sim", symbol=PERP, tick_size=Decimal(1), lot_size=Decimal("0.01"))
    mark = MarkRules(smoothing_ms=0, max_spread_bps=Decimal(0))
    made.add_market(MarketRules(instrument=perp, index_price=Decimal(100), mark=mark))
    made.set_levels(HOUSE, "A", [(SELL, 90, 10), (BUY, 1, 500)])
    made.set_levels(HOUSE, PERP, [(SELL, 100, 50), (BUY, 98, 500)])
    assert order(made, "ann", BUY, 90, 10).filled == 10
    assert order(made, "ann", BUY, 100, 9, symbol=PERP).filled == 9
    made.set_index("A", Decimal("0.01"))
    made.tick()
    assert made.position("ann", PERP).lots == 9
    made.set_index(PERP, Decimal(90))
    made.tick()
    assert made.position("ann", PERP).lots == 0
    assert made.position("ann", "A").lots == 10


# --- the end ------------------------------------------------------------------------------------


def test_the_winner_pays_one_the_loser_nothing_and_both_are_told_as_executions() -> None:
    made = engine(collateral=20)
    for symbol in ("A", "B"):
        order(made, "bob", SELL, 45, 10, symbol=symbol)
        order(made, "ann", BUY, 45, 10, symbol=symbol)
        order(made, "ann", BUY, 10, 3, symbol=symbol)
    before = len(made.events())
    made.settlements.at({"A": WHOLE, "B": 0})
    assert made.balance("ann").collateral == 20 + Decimal("5.5") - Decimal("4.5")
    assert made.balance("bob").collateral == 40 - made.balance("ann").collateral
    assert made.open_orders("ann") == []
    told = [one for one in made.trades("ann") if one.tag == "settlement"]
    assert [(one.symbol, one.side, one.price, one.lots) for one in told] == [
        ("A", SELL, WHOLE, 10),
        ("B", SELL, 0, 10),
    ]
    assert {(one.fee, one.client_order_id, one.liquidity) for one in told} == {
        (Decimal(0), None, Liquidity.TAKER)
    }
    new = made.events()[before:]
    paid = {
        (one["account"], one["symbol"]): one["paid"] for one in new if one["event"] == "Settled"
    }
    assert {key: Decimal(value) for key, value in paid.items()} == {
        ("ann", "A"): Decimal(10),
        ("bob", "A"): Decimal(-10),
        ("ann", "B"): Decimal(0),
        ("bob", "B"): Decimal(0),
    }
    assert [one["reason"] for one in new if one["event"] == "OrderCancelled"] == ["expired"] * 2
    assert order(made, "ann", BUY, 45, 1).reason is RejectReason.HALTED


def test_what_has_ended_does_not_end_again() -> None:
    made = engine()
    order(made, "bob", SELL, 45, 10)
    order(made, "ann", BUY, 45, 10)
    made.settlements.at({"A": WHOLE})
    events = made.events()
    made.settlements.at({"A": 0})
    made.settlements.at_mark("A")
    made.expire("A")
    assert made.events() == events
    assert made.settlements.ended("A")
    assert not made.settlements.ended("B")


def test_trade_ids_of_the_end_are_unlike_all_others() -> None:
    made = engine()
    for _ in range(3):
        order(made, "bob", SELL, 45, 1)
        order(made, "ann", BUY, 45, 1)
    made.settlements.at({"A": 0})
    ids = [one.trade_id for name in ("ann", "bob") for one in made.trades(name)]
    assert len(set(ids)) == len(ids) == 8


# --- what always holds --------------------------------------------------------------------------


@given(
    lots=st.integers(-50, 50),
    entry=st.integers(1, WHOLE - 1),
    bids=st.lists(st.tuples(st.integers(1, WHOLE - 1), st.integers(1, 20)), max_size=3),
    asks=st.lists(st.tuples(st.integers(1, WHOLE - 1), st.integers(1, 20)), max_size=3),
)
def test_what_is_bound_is_the_worst_of_all_that_can_come(
    lots: int, entry: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]
) -> None:
    offers, fills = Offers(), []
    for side, levels in ((BUY, bids), (SELL, asks)):
        for price, size in levels:
            offers.add(side, price, size)
            fills.append((side.sign * size, price))
    losses = [0]
    for mask in range(2 ** len(fills)):
        filled = [fill for at, fill in enumerate(fills) if mask >> at & 1]
        held = [(lots, entry), *filled]
        losses += [sum(size * (price - end) for size, price in held) for end in (0, WHOLE)]
    assert most_lost(lots, lots * entry, offers, WHOLE) == max(losses)


class AnyOutcomes(RuleBasedStateMachine):
    """Any sequence of calls by two accounts and a crowd in two outcomes of one event."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.engine = engine(collateral=20, clock=self.clock)
        self.wealth = self.total()

    def total(self) -> Decimal:
        return sum((self.engine.balance(name).equity for name in ("ann", "bob", HOUSE)), Decimal(0))

    @rule(
        name=st.sampled_from(["ann", "bob"]),
        symbol=st.sampled_from(["A", "B"]),
        side=st.sampled_from(Side),
        price=st.integers(1, WHOLE - 1) | st.none(),
        lots=st.integers(1, 60),
        ioc=st.booleans(),
        reduce_only=st.booleans(),
    )
    def submit(
        self,
        *,
        name: str,
        symbol: str,
        side: Side,
        price: int | None,
        lots: int,
        ioc: bool,
        reduce_only: bool,
    ) -> None:
        limit = TimeInForce.IOC if ioc else TimeInForce.GTC
        more = {"symbol": symbol, "time_in_force": limit, "reduce_only": reduce_only}
        order(self.engine, name, side, price, lots, **more)

    @rule(name=st.sampled_from(["ann", "bob"]), symbol=st.sampled_from(["A", "B"]))
    def cancel(self, name: str, symbol: str) -> None:
        self.engine.cancel(name, symbol=symbol)

    @rule(
        symbol=st.sampled_from(["A", "B"]),
        side=st.sampled_from(Side),
        price=st.integers(1, WHOLE - 1),
        lots=st.integers(0, 80),
    )
    def crowd(self, symbol: str, side: Side, price: int, lots: int) -> None:
        self.engine.set_levels(HOUSE, symbol, [(side, price, lots)])

    @rule(index=st.integers(1, WHOLE - 1), seconds=st.integers(0, 400))
    def time(self, index: int, seconds: int) -> None:
        self.engine.set_index("A", Decimal(index) / WHOLE)
        self.clock.pass_s(seconds)
        self.engine.tick()

    @invariant()
    def nobody_can_end_with_less_than_nothing(self) -> None:
        """Not even if all that rests were filled first: every order is paid for."""
        for name in ("ann", "bob"):
            money = self.engine.balance(name).collateral
            for symbol in ("A", "B"):
                lots = self.engine.position(name, symbol).lots
                entry = self.engine.position(name, symbol).entry_price or Decimal(0)
                rests = Offers()
                for one in self.engine.open_orders(name, symbol):
                    rests.add(one.side, one.price, one.remaining)
                cost = int((entry * WHOLE * lots).to_integral_value())
                money -= Decimal(most_lost(lots, cost, rests, WHOLE)) / WHOLE
            assert money >= 0

    @invariant()
    def no_money_is_made_and_nobody_is_liquidated(self) -> None:
        assert self.total() == self.wealth
        assert not any(one["event"] == "Liquidated" for one in self.engine.events())


_SETTINGS = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnyOutcomes = AnyOutcomes.TestCase
TestAnyOutcomes.settings = _SETTINGS
