"""PnL falls into parts that add up to the last digit, and a day ties or is flagged."""

from dataclasses import dataclass, replace
from decimal import Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from desk.pnl import (
    AccountMoney,
    EquityReading,
    Holding,
    MarketSums,
    PnlParts,
    Readings,
    TieVerdict,
    decompose,
    exposure,
    pnl_of,
    tie,
)
from desk.position import Position, apply_fill, apply_funding
from desk.units import Side

MARKET = MarketId("ocx", "main", "BTC-PERP")
BTC = Instrument(
    venue="ocx",
    symbol="BTC-PERP",
    tick_size=Decimal("0.5"),
    lot_size=Decimal("0.001"),
    multiplier=Decimal(2),
)
EXACT = Context(prec=80)
READINGS = Readings(
    opening=EquityReading(equity=Decimal(1000), at_ms=0),
    closing=EquityReading(equity=Decimal(1010), at_ms=86_400_000),
)

amounts = st.decimals(min_value=-1000, max_value=1000, places=18)
mids = st.integers(1, 10**6)


@dataclass(frozen=True)
class Traded:
    """One event of a period: a fill at a mid (half ticks), funding, or an adjustment at the mid."""

    what: str
    lots: int
    price: int
    mid_x2: int
    money: Decimal


events = st.lists(
    st.builds(
        Traded,
        what=st.sampled_from(["fill", "funding", "adjustment"]),
        lots=st.integers(-(10**6), 10**6).filter(bool),
        price=st.integers(1, 10**6),
        mid_x2=mids,
        money=amounts,
    ),
    max_size=12,
)


def fill(event: Traded) -> Fill:
    return Fill(
        venue="ocx",
        account="main",
        symbol="BTC-PERP",
        trade_id="t",
        side=Side.BUY if event.lots > 0 else Side.SELL,
        price=event.price,
        lots=abs(event.lots),
        liquidity=Liquidity.MAKER,
        fee=event.money,
        fee_estimated=False,
        traded_at_ms=0,
    )


def mid_of(mid_x2: int) -> Decimal:
    return BTC.tick_size * mid_x2 / 2


def times(*factors: Decimal) -> Decimal:
    product = Decimal(1)
    for factor in factors:
        product = EXACT.multiply(product, factor)
    return product


def summed(happened: list[Traded], held: int, first: int, last: int) -> tuple[MarketSums, int]:
    """The sums the ledger keeps, and the lots held afterwards."""
    sums = MarketSums(
        market=MARKET,
        multiplier=BTC.multiplier,
        opening=Holding(quantity=BTC.quantity(held), mid=mid_of(first)),
    )
    for event in happened:
        quantity = BTC.quantity(event.lots)
        if event.what == "funding":
            sums = replace(sums, funding=EXACT.add(sums.funding, event.money))
            continue
        held += event.lots
        worth = times(quantity, mid_of(event.mid_x2), BTC.multiplier)
        if event.what == "adjustment":
            sums = replace(sums, adjusted=EXACT.add(sums.adjusted, worth))
            continue
        paid = times(quantity, BTC.tick_size * event.price, BTC.multiplier)
        sums = replace(
            sums,
            fills=sums.fills + 1,
            cash=EXACT.subtract(sums.cash, paid),
            worth=EXACT.add(sums.worth, worth),
            fees=EXACT.add(sums.fees, event.money),
        )
    return replace(sums, closing=Holding(quantity=BTC.quantity(held), mid=mid_of(last))), held


@given(events, st.integers(-(10**6), 10**6), mids, mids)
def test_the_parts_are_what_the_position_made(
    happened: list[Traded], held: int, first: int, last: int
) -> None:
    """Against the fold that a session keeps: exactly, adjustments at the mid making nothing."""
    position = Position.resumed(BTC, lots=held, cash=Decimal(0), fees=Decimal(0))
    before, jumped = position.pnl(first), Decimal(0)
    for event in happened:
        if event.what == "fill":
            position = apply_fill(position, fill(event), BTC)
        elif event.what == "funding":
            position = apply_funding(position, event.money)
        else:
            now = position.pnl(event.mid_x2)
            position = replace(position, lots=position.lots + event.lots)
            jumped = EXACT.add(jumped, EXACT.subtract(position.pnl(event.mid_x2), now))
    made = EXACT.subtract(EXACT.subtract(position.pnl(last), before), jumped)
    sums, _ = summed(happened, held, first, last)
    parts = decompose(sums)
    assert parts is not None
    assert parts.total == made == pnl_of(sums)


@given(events, events, st.integers(-(10**6), 10**6), mids, mids, mids)
def test_two_periods_make_what_the_whole_makes(
    early: list[Traded], late: list[Traded], held: int, first: int, middle: int, last: int
) -> None:
    one, kept = summed(early, held, first, middle)
    two, _ = summed(late, kept, middle, last)
    whole, _ = summed(early + late, held, first, last)
    parts = [decompose(sums) for sums in (one, two, whole)]
    assert parts[0] is not None
    assert parts[1] is not None
    assert parts[0] + parts[1] == parts[2]


def test_a_round_trip_at_a_mid_that_stands_earns_spread_and_nothing_else() -> None:
    happened = [
        Traded("fill", 1000, 99, 200, Decimal("0.5")),
        Traded("fill", -1000, 101, 200, Decimal("-0.2")),
    ]
    sums, _ = summed(happened, 0, 200, 200)
    parts = decompose(sums)
    # Two ticks of 0.5 on one unit worth two: 2 of spread, and a rebate lowers what was paid.
    assert parts == PnlParts(spread=Decimal(2), fees=Decimal("0.3"))
    assert parts.total == Decimal("1.7")


def test_a_mid_that_moves_against_the_holding_costs_inventory_and_no_spread() -> None:
    sums, _ = summed([Traded("fill", 1000, 100, 200, Decimal(0))], 0, 200, 180)
    assert decompose(sums) == PnlParts(inventory=Decimal(-10))


def test_a_price_nobody_knows_is_said_and_not_guessed() -> None:
    held = MarketSums(market=MARKET, closing=Holding(quantity=Decimal(1)), multiplier=Decimal(1))
    assert decompose(held) is None
    assert pnl_of(held) is None
    assert decompose(replace(held, closing=Holding(), priced=False)) is None
    assert decompose(replace(held, closing=Holding(), multiplier=None)) == PnlParts()


@given(st.decimals(min_value=-50, max_value=50, places=6), amounts, amounts)
def test_a_day_ties_exactly_when_equity_moved_by_pnl_and_transfers(
    residual: Decimal, made: Decimal, paid_in: Decimal
) -> None:
    markets = [MarketSums(market=MARKET, cash=made - 1, fees=Decimal(-1))]
    money = AccountMoney(venue="ocx", account="main", transfers=paid_in, adjustments=Decimal(3))
    closing = EquityReading(equity=1000 + made + paid_in + 3 + residual, at_ms=1)
    found = tie(money, markets, replace(READINGS, closing=closing), Decimal(5))
    assert found.residual == residual
    assert found.pnl == made + 3
    assert found.flagged == (abs(residual) > 5)
    assert found.verdict is (TieVerdict.OFF if found.flagged else TieVerdict.TIES)


def test_a_transfer_is_no_pnl() -> None:
    money = AccountMoney(venue="ocx", account="main", transfers=Decimal(10))
    assert not tie(money, [], READINGS, Decimal(0)).flagged
    assert tie(replace(money, transfers=Decimal(0)), [], READINGS, Decimal(9)).flagged


@pytest.mark.parametrize("paid_in", [0, 10])
def test_a_day_that_not_only_our_markets_made_is_not_judged(paid_in: int) -> None:
    money = AccountMoney(venue="ocx", account="main", transfers=Decimal(paid_in))
    found = tie(money, [], replace(READINGS, foreign=("ETH-PERP", "SOL-PERP")), Decimal(1))
    assert found.verdict is TieVerdict.UNKNOWN
    assert found.reason.startswith("ETH-PERP, SOL-PERP was held here and was never quoted")
    assert found.residual == 10 - paid_in


def test_a_day_without_a_price_is_flagged_by_name() -> None:
    held = MarketSums(market=MARKET, closing=Holding(quantity=Decimal(1)))
    money = AccountMoney(venue="ocx", account="main")
    found = tie(money, [held], READINGS, Decimal(1000))
    assert (found.verdict, found.flagged) == (TieVerdict.UNKNOWN, True)
    assert found.reason == "no price is known of BTC-PERP"


def test_exposure_is_the_larger_end_and_shorts_count() -> None:
    sums = MarketSums(
        market=MARKET,
        multiplier=Decimal(2),
        opening=Holding(quantity=Decimal(-3), mid=Decimal(10)),
        closing=Holding(quantity=Decimal(1), mid=Decimal(11)),
    )
    assert exposure([sums, sums]) == Decimal(120)
    assert exposure([]) == 0


@pytest.mark.parametrize("sign", ["", "-"])
def test_no_digit_is_lost_however_many_there_are(sign: str) -> None:
    tiny = Decimal(f"{sign}0.123456789012345678901234567890123456789")
    huge = Decimal(10) ** 20
    sums = MarketSums(market=MARKET, cash=huge, fees=tiny, funding=huge)
    parts = decompose(sums)
    assert parts is not None
    assert parts.total == pnl_of(sums)
    assert EXACT.add(parts.total, tiny) == 2 * huge
