"""Spot pairs: two currencies change hands, nothing is sold that is not there."""

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from desk.instrument import Instrument
from desk.orders import RejectReason
from desk.units import Side
from tests.venues.simulation.exchange import BUY, SELL, HandClock, TimeInForce
from venues.simulation.batch import Refused
from venues.simulation.engine import Engine
from venues.simulation.orders import OrderKind, OrderReport, OrderRequest, OrderSource
from venues.simulation.rules import Backing, MarketRules, MarkRules
from venues.simulation.views import Bucket

BTC, ETH, CROSS = "BTC-USDC", "ETH-USDC", "ETH-BTC"
GRIDS = {BTC: ("1", "0.01"), ETH: ("0.1", "0.1"), CROSS: ("0.0001", "0.1")}
PRICES = {BTC: 60_000, ETH: 30_000, CROSS: 500}
"""What fits together, in ticks."""
START = {"USDC": Decimal(50_000), "BTC": Decimal(1), "ETH": Decimal(20)}
HOUSE = "crowd"


def pair(symbol: str) -> MarketRules:
    base, _, quote = symbol.partition("-")
    tick, lot = GRIDS[symbol]
    instrument = Instrument(
        venue="sim",
        symbol=symbol,
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        maker_fee_bps=Decimal(2),
        taker_fee_bps=Decimal(5),
        base=base,
        quote=quote,
    )
    return MarketRules(
        instrument=instrument,
        index_price=instrument.price(PRICES[symbol]),
        funding_cap_bps=Decimal(0),
        mark=MarkRules(smoothing_ms=0),
        backing=Backing.OWNED,
    )


def engine(clock: HandClock | None = None) -> Engine:
    made = Engine(clock or HandClock())
    for symbol in GRIDS:
        made.add_market(pair(symbol))
    for account in ("ann", "bob"):
        made.open_account(account, Decimal(0))
        for currency, amount in START.items():
            made.assets.deposit(account, currency, amount)
    made.open_account(HOUSE, Decimal(0), house=True)
    return made


def order(
    made: Engine,
    account: str,
    symbol: str,
    side: Side,
    price: int | None,
    lots: int,
    **more: object,
) -> OrderReport:
    kind = OrderKind.MARKET if price is None else OrderKind.LIMIT
    given = {"symbol": symbol, "side": side, "price": price, "lots": lots, "kind": kind, **more}
    return made.submit(account, OrderRequest(**given))  # type: ignore[arg-type]


def owned(made: Engine, account: str) -> dict[str, Decimal]:
    return {one.currency: one.total for one in made.assets.of(account)}


def locked(made: Engine, account: str) -> dict[str, Decimal]:
    return {one.currency: one.locked for one in made.assets.of(account) if one.locked}


def test_a_pair_quoted_in_another_currency_is_paid_in_that_currency() -> None:
    made = engine()
    made.set_levels(HOUSE, CROSS, [(SELL, 500, 100)])
    assert order(made, "ann", CROSS, BUY, 500, 40).filled == 40
    paid = Decimal("0.05") * 4
    assert owned(made, "ann") == {
        "USDC": START["USDC"],
        "BTC": START["BTC"] - paid * (1 + Decimal("0.0005")),
        "ETH": START["ETH"] + 4,
    }
    assert made.assets.fees("BTC") == paid * Decimal("0.0007")
    assert made.balance("ann").equity == 0
    assert made.fees_collected == 0
    assert made.position("ann", CROSS).lots == 40


def test_a_triangle_ends_where_it_began_but_for_edge_and_fees() -> None:
    made = engine()
    made.set_levels(HOUSE, BTC, [(SELL, 60_000, 1_000)])
    made.set_levels(HOUSE, CROSS, [(SELL, 500, 1_000)])
    made.set_levels(HOUSE, ETH, [(BUY, 30_300, 1_000)])
    assert order(made, "ann", BTC, BUY, 60_000, 50).filled == 50
    assert order(made, "ann", CROSS, BUY, 500, 100).filled == 100
    assert order(made, "ann", ETH, SELL, 30_300, 100).filled == 100
    now = owned(made, "ann")
    assert now["ETH"] == START["ETH"]
    assert now["BTC"] == START["BTC"] - Decimal("0.5") * Decimal("0.0005")
    fees = (30_000 + 30_300) * Decimal("0.0005")
    assert now["USDC"] == START["USDC"] + 300 - fees


@pytest.mark.parametrize(
    ("symbol", "side", "most", "currency"),
    [
        (BTC, BUY, 83, "USDC"),
        (BTC, SELL, 100, "BTC"),
        (CROSS, BUY, 199, "BTC"),
        (CROSS, SELL, 200, "ETH"),
    ],
)
def test_an_order_beyond_the_balance_is_refused_with_the_amounts(
    symbol: str, side: Side, most: int, currency: str
) -> None:
    made = engine()
    refused = order(made, "ann", symbol, side, PRICES[symbol], most + 1)
    assert refused.reason is RejectReason.MARGIN
    assert currency in refused.message
    assert Decimal(refused.details["available"]) == START[currency]
    assert order(made, "ann", symbol, side, PRICES[symbol], most).accepted
    assert list(locked(made, "ann")) == [currency]


def test_what_one_pair_has_promised_another_cannot_spend() -> None:
    made = engine()
    assert order(made, "ann", BTC, SELL, 70_000, 60).accepted
    assert order(made, "ann", CROSS, BUY, 400, 101).reason is RejectReason.MARGIN
    assert order(made, "ann", CROSS, BUY, 400, 99).accepted
    made.cancel("ann", symbol=BTC)
    assert order(made, "ann", CROSS, BUY, 400, 101).accepted
    made.cancel("ann")
    assert locked(made, "ann") == {}


def test_a_new_ladder_may_promise_what_the_old_one_did() -> None:
    made = engine()
    old = OrderRequest(symbol=BTC, side=SELL, price=70_000, lots=100, source=OrderSource.QUOTE)
    new = OrderRequest(symbol=BTC, side=SELL, price=65_000, lots=100, source=OrderSource.QUOTE)
    assert made.replace("ann", BTC, [old]).accepted
    assert made.replace("ann", BTC, [new]).accepted
    assert [one.price for one in made.open_orders("ann")] == [65_000]


def test_an_order_that_only_reduces_is_trimmed_to_what_was_bought_and_must_be_there() -> None:
    made = engine()
    made.set_levels(HOUSE, CROSS, [(SELL, 500, 100), (BUY, 490, 100)])
    assert order(made, "ann", CROSS, SELL, 490, 9, reduce_only=True).reason is (
        RejectReason.REDUCE_ONLY
    )
    order(made, "ann", CROSS, BUY, 500, 40)
    assert order(made, "ann", ETH, SELL, 31_000, 240).accepted
    assert order(made, "ann", CROSS, SELL, 490, 9, reduce_only=True).reason is RejectReason.MARGIN
    made.cancel("ann")
    back = order(made, "ann", CROSS, SELL, 490, 90, reduce_only=True)
    assert (back.filled, made.position("ann", CROSS).lots) == (40, 0)


def test_a_batch_that_is_refused_half_way_has_moved_nothing() -> None:
    made = engine()
    made.set_levels(HOUSE, CROSS, [(SELL, 500, 100)])
    before = owned(made, "ann")
    fills = OrderRequest(symbol=CROSS, side=BUY, price=500, lots=40)
    beyond = OrderRequest(symbol=BTC, side=SELL, price=PRICES[BTC], lots=90)
    refused = made.batches.run("ann", [fills, beyond])
    assert isinstance(refused, Refused)
    assert (refused.index, refused.reason) == (1, RejectReason.MARGIN)
    assert owned(made, "ann") == before
    assert made.assets.fees("BTC") == 0


def test_only_what_is_free_can_leave_the_spot_bucket() -> None:
    made = engine()
    order(made, "ann", BTC, BUY, 40_000, 100)
    move = made.treasury.move
    assert move("ann", Bucket.SPOT, Bucket.WALLET, Decimal(10_000)) is RejectReason.MARGIN
    assert move("ann", Bucket.SPOT, Bucket.WALLET, Decimal(9_000)) is None
    assert owned(made, "ann")["USDC"] == START["USDC"] - 9_000


def test_spot_assets_back_no_margin_and_pay_no_funding() -> None:
    clock = HandClock()
    made = engine(clock)
    made.set_levels(HOUSE, BTC, [(SELL, 60_000, 100)])
    order(made, "ann", BTC, BUY, 60_000, 10)
    made.set_index(BTC, Decimal(100))
    clock.pass_s(600)
    made.tick()
    made.treasury.pay_funding(BTC, Decimal("0.01"))
    balance = made.balance("ann")
    assert {balance.equity, balance.initial_margin, balance.unrealized_pnl} == {Decimal(0)}
    assert made.treasury.payments("ann") == []
    assert made.position("ann", BTC).lots == 10


class AnyPairs(RuleBasedStateMachine):
    """Any sequence of calls by two accounts and a crowd in three pairs of three currencies."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = engine()
        self.there = self.total()

    def total(self) -> dict[str, Decimal]:
        found = {}
        for currency in START:
            held = [
                owned(self.engine, name).get(currency, Decimal(0)) for name in ("ann", "bob", HOUSE)
            ]
            found[currency] = sum(held, self.engine.assets.fees(currency))
        return found

    @rule(
        name=st.sampled_from(["ann", "bob"]),
        symbol=st.sampled_from(sorted(GRIDS)),
        side=st.sampled_from(Side),
        away=st.integers(-3, 3) | st.none(),
        lots=st.integers(1, 150),
        ioc=st.booleans(),
        reduce_only=st.booleans(),
    )
    def submit(
        self,
        *,
        name: str,
        symbol: str,
        side: Side,
        away: int | None,
        lots: int,
        ioc: bool,
        reduce_only: bool,
    ) -> None:
        price = None if away is None else PRICES[symbol] + away
        limit = TimeInForce.IOC if ioc else TimeInForce.GTC
        more = {"time_in_force": limit, "reduce_only": reduce_only}
        order(self.engine, name, symbol, side, price, lots, **more)

    @rule(
        name=st.sampled_from(["ann", "bob"]),
        symbol=st.sampled_from(sorted(GRIDS)),
        lots=st.integers(1, 150),
        away=st.integers(-3, 3),
    )
    def replace(self, name: str, symbol: str, lots: int, away: int) -> None:
        price = PRICES[symbol] + away
        quotes = [
            OrderRequest(symbol=symbol, side=side, price=at, lots=lots, source=OrderSource.QUOTE)
            for side, at in ((BUY, price - 1), (SELL, price + 1), (SELL, price + 2))
        ]
        self.engine.replace(name, symbol, quotes)

    @rule(name=st.sampled_from(["ann", "bob"]), symbol=st.sampled_from(sorted(GRIDS)))
    def cancel(self, name: str, symbol: str) -> None:
        self.engine.cancel(name, symbol=symbol)

    @rule(
        symbol=st.sampled_from(sorted(GRIDS)),
        side=st.sampled_from(Side),
        away=st.integers(-3, 3),
        lots=st.integers(0, 200),
    )
    def crowd(self, symbol: str, side: Side, away: int, lots: int) -> None:
        self.engine.set_levels(HOUSE, symbol, [(side, PRICES[symbol] + away, lots)])

    @invariant()
    def nobody_owes_anything(self) -> None:
        for name in ("ann", "bob"):
            for one in self.engine.assets.of(name):
                assert 0 <= one.locked <= one.total

    @invariant()
    def no_currency_is_made_or_lost(self) -> None:
        assert self.total() == self.there
        assert {self.engine.balance(name).collateral for name in ("ann", "bob", HOUSE)} == {0}

    @invariant()
    def the_fills_explain_what_is_owned(self) -> None:
        for name in ("ann", "bob"):
            said = dict(START)
            for one in self.engine.trades(name):
                rules = self.engine.market_rules(one.symbol).instrument
                said[rules.base] += one.side.sign * rules.quantity(one.lots)
                said[rules.quote] -= one.side.sign * rules.notional(one.price, one.lots) + one.fee
            assert owned(self.engine, name) == said


_SETTINGS = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestAnyPairs = AnyPairs.TestCase
TestAnyPairs.settings = _SETTINGS
