"""Lots of each leg go first in, first out between trades, and what they brought goes with them."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from desk.arbitrage.obligation import Booked
from desk.arbitrage_records import ArbitrageTrade, TradeFired, TradeKey, TradeStage
from desk.identity import MarketId
from quoting.arbitrage.accounts import Account, accounts_of

A, B = MARKETS = (MarketId("ocx", "main", "A"), MarketId("zo", "main", "B"))
NOBODY: Mapping[MarketId, tuple[Booked, ...]] = {A: (), B: ()}


def money(*amounts: str | int) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, amounts))


def booked(lots: int, cash: str | Decimal) -> Booked:
    return Booked(lots=lots, cash=Decimal(cash))


def trade(
    epoch: int, *legs: Booked, number: int = 1, stage: TradeStage = TradeStage.BALANCED
) -> Account:
    fired = TradeFired(
        key=TradeKey("set", epoch, number),
        quote="USDC",
        units=Decimal(1),
        legs=(),
        capital=(),
        edge_expected=Decimal(0),
        payout_expected=Decimal(0),
        by="test",
        fired_at_ms=1_000 - epoch,
    )
    record = ArbitrageTrade(
        fired=fired,
        stage=stage,
        rounds=0,
        progress=(),
        locked=(),
        payout=None,
        edge=None,
        steps=(),
    )
    return Account(
        trade=record,
        unit=Fraction(1),
        steps=dict.fromkeys(MARKETS, 1),
        booked=dict(zip(MARKETS, legs, strict=True)),
    )


def whole(epoch: int, lots: int, cash: str) -> Account:
    return trade(epoch, *(booked(lots, Decimal(cash) / 2) for _ in MARKETS))


def test_whoever_bought_first_has_what_a_sale_brought_until_all_of_it_is_gone() -> None:
    first, second, sale = whole(1, 4, "-3.8"), whole(2, 6, "-5.6"), whole(3, -7, "7.7")
    accounts = accounts_of([sale, second, first], NOBODY)
    assert accounts.trades == (first, second, sale), "by their keys, not as they were read"
    assert tuple(one.units for one in accounts.trades) == money(0, 3, 0)
    assert tuple(one.payout for one in accounts.trades) == money("4.4", "3.3", 0)
    edges = tuple(one.edge(Decimal(1)) for one in accounts.trades)
    assert edges == money("0.6", "0.7", 0)


def test_locked_is_the_cost_of_what_is_left_by_account() -> None:
    held, _ = accounts_of([whole(1, 10, "-9.4"), whole(2, -4, "4")], NOBODY).trades
    assert {(part.venue, part.amount) for part in held.locked()} == {
        ("ocx", Decimal("2.82")),
        ("zo", Decimal("2.82")),
    }
    assert held.edge(Decimal(1)) == 4 + 6 - Decimal("9.4")


def test_what_is_all_gone_locks_nothing() -> None:
    held, _ = accounts_of([whole(1, 3, "-2"), whole(2, -3, "4")], NOBODY).trades
    assert (held.units, held.payout) == money(0, 4)
    assert (held.locked(), held.holds) == ((), False)


def test_a_sale_of_what_a_later_trade_bought_pays_that_one() -> None:
    sale, bought = whole(1, -10, "10.4"), whole(2, 10, "-9.4")
    accounts_of([sale, bought], NOBODY)
    assert (sale.payout, sale.edge(Decimal(1))) == money(0, 0)
    assert (bought.units, bought.payout, bought.edge(Decimal(1))) == money(0, "10.4", 1)


def test_a_sale_of_more_than_was_bought_keeps_the_rest() -> None:
    bought, sale = whole(1, 5, "-4.7"), whole(2, -10, "10.4")
    accounts_of([bought, sale], NOBODY)
    assert (bought.payout, bought.units) == money("5.2", 0)
    assert (sale.payout, sale.edge(Decimal(1))) == (Decimal("5.2"), Decimal("5.2"))


def test_lots_that_a_person_bought_are_the_first_to_be_traded_back() -> None:
    held = whole(1, 10, "-9.4")
    back = trade(2, booked(-5, "0.8"), booked(0, "0"))
    found = accounts_of([held, back], {A: (booked(5, "-0.9"),), B: ()})
    assert (held.units, held.payout) == money(10, 0)
    assert (back.payout, found.loose) == money("0.8", "-0.9")


def test_what_a_person_bought_and_sold_again_is_no_trades() -> None:
    held = whole(1, 10, "-9.4")
    executed = {A: (booked(5, "-0.9"), booked(-5, "0.8")), B: ()}
    found = accounts_of([held], executed)
    assert (held.units, held.payout, found.loose) == money(10, 0, "-0.1")


def test_a_payout_goes_to_whoever_has_lots_of_the_leg_complete_or_not() -> None:
    kept = trade(1, booked(10, "-6.6"), booked(0, "0"))
    held = whole(2, 4, "-3.8")
    executed = {A: (booked(-14, "14"),), B: (booked(-4, "0"),)}
    found = accounts_of([kept, held], executed, paid_out=True)
    assert (kept.payout, kept.edge(Decimal(0))) == money(10, "3.4")
    assert (held.payout, held.edge(Decimal(0))) == money(4, "0.2")
    assert found.loose == 0


def test_a_payout_of_more_than_trades_hold_is_theirs_to_the_last_cent() -> None:
    one, two = whole(1, 4, "-3.8"), whole(2, 6, "-5.6")
    executed = {A: (booked(5, "-1"), booked(-15, "15")), B: (booked(-10, "0"),)}
    found = accounts_of([one, two], executed, paid_out=True)
    assert (one.payout, two.payout, found.loose) == money(6, 9, -1)


def test_a_payout_that_no_trade_explains_is_told() -> None:
    held = trade(1, booked(0, "-0.4"), booked(3, "-1"))
    found = accounts_of([held], {A: (booked(-2, "2"),), B: (booked(-3, "0"),)}, paid_out=True)
    assert (held.payout, found.loose) == money(0, 2)
