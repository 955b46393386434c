"""Quotes stay within what the account can carry, and what reduces is always shown in full."""

from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from desk.identity import Slot
from desk.orders import Balance
from desk.quoting.decide import QuoteTarget
from desk.quoting.ladder import TargetLevel
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_S, Side
from quoting.actions import ClearAll
from quoting.funds import AccountFunds
from quoting.headroom import Headroom
from quoting.inbox import FundsSeen
from tests.quoting.builders import INSTRUMENT, account, book, make_loop, sent

_MID_X2 = 1_200_000  # 60,000: one lot of 0.001 is worth 60
_LOT = Decimal(60)
_TIGHT = RiskLimits(shrink_below_margin=Decimal("0.4"), reduce_below_margin=Decimal("0.2"))


def seen(equity: Decimal | int, exposure: Decimal | int | None, asked_ns: int = 0) -> FundsSeen:
    told = None if exposure is None else Decimal(exposure)
    funds = Balance(equity=Decimal(equity), available=Decimal(0), exposure=told)
    return FundsSeen(funds=funds, asked_ns=asked_ns)


def ladder(*lots: int) -> QuoteTarget:
    return QuoteTarget(
        levels=tuple(
            TargetLevel(slot=Slot(side, level), price=600_000 - side.sign * (1 + level), lots=size)
            for side in Side
            for level, size in enumerate(lots)
        ),
        spread_bps=Decimal(0),
        skew_bps=Decimal(0),
        reason="",
    )


def shown(target: QuoteTarget, side: Side) -> list[int]:
    return [level.lots for level in target.levels if level.slot.side is side]


def within(
    funds: FundsSeen | None, *, inventory: int = 0, held: int = 0, limits: RiskLimits = _TIGHT
) -> QuoteTarget:
    headroom = Headroom(INSTRUMENT, limits)
    if funds is not None:
        headroom.hear(funds, held)
    return headroom.within(ladder(10, 10, 20), inventory, _MID_X2, NS_PER_S)


def test_an_account_far_from_its_limits_quotes_in_full() -> None:
    assert within(seen(100_000, 0)) == ladder(10, 10, 20)
    assert within(None, limits=RiskLimits()) == ladder(10, 10, 20), "off by default"


def test_the_side_that_adds_shrinks_and_the_other_does_not() -> None:
    exposure = 100 * _LOT
    found = within(seen(exposure * Decimal("0.3"), exposure), inventory=100, held=100)
    assert (shown(found, Side.BUY), shown(found, Side.SELL)) == ([5, 5, 10], [10, 10, 20])
    assert "sizes at 50%" in found.reason
    assert "0.300" in found.reason


def test_at_the_limit_only_what_closes_the_position_is_shown() -> None:
    exposure = 15 * _LOT
    found = within(seen(exposure * Decimal("0.2"), exposure), inventory=-15, held=-15)
    assert (shown(found, Side.BUY), shown(found, Side.SELL)) == ([10, 5], [])
    assert "only reducing" in found.reason


def test_without_a_figure_or_with_an_old_one_nothing_is_added() -> None:
    old = seen(100_000, 0, asked_ns=-20 * NS_PER_S)
    for funds in (None, old, seen(100_000, None)):
        found = within(funds, inventory=10, held=10)
        assert (shown(found, Side.BUY), shown(found, Side.SELL)) == ([], [10]), funds
        assert "only reducing" in found.reason


def test_fills_since_the_last_figure_count_at_once() -> None:
    exposure = 20 * _LOT
    figure = seen(exposure * Decimal("0.4"), exposure)
    assert shown(within(figure, inventory=20, held=20), Side.BUY) == [10, 10]
    assert shown(within(figure, inventory=40, held=20), Side.BUY) == []


@given(
    equity=st.integers(-10_000, 500_000),
    others=st.integers(0, 1_000),
    inventory=st.integers(-300, 300),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=5),
)
def test_no_fill_of_a_whole_side_takes_the_account_below_the_limit(
    equity: int, others: int, inventory: int, sizes: list[int]
) -> None:
    headroom = Headroom(INSTRUMENT, _TIGHT)
    exposure = (others + abs(inventory)) * _LOT
    headroom.hear(seen(equity, exposure), inventory)
    wanted = ladder(*sizes)
    found = headroom.within(wanted, inventory, _MID_X2, NS_PER_S)
    for side in Side:
        after = inventory + side.sign * sum(shown(found, side))
        if abs(after) > abs(inventory):
            held = (others + abs(after)) * _LOT
            assert equity >= held * Decimal("0.2"), (side, found)
        closing = min(sum(sizes), max(0, -inventory * side.sign))
        assert sum(shown(found, side)) >= closing, "what reduces was made smaller"
        assert sum(shown(found, side)) <= sum(sizes)


def test_a_running_session_takes_its_bids_away_and_shows_them_again() -> None:
    loop = make_loop(limits=replace(_TIGHT, max_funds_age_ms=60_000))
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    assert not [one for one in loop.decide(NS_PER_S) if not isinstance(one, ClearAll)]
    loop.apply(seen(100_000, 0, asked_ns=NS_PER_S))
    assert len(sent(loop.decide(NS_PER_S + 1)).orders) == 6


def test_markets_of_one_account_share_its_room() -> None:
    limits = RiskLimits(shrink_below_margin=Decimal("0.2"), reduce_below_margin=Decimal("0.2"))
    account_funds = AccountFunds()
    markets = [Headroom(INSTRUMENT, limits) for _ in range(5)]
    with ExitStack() as quoting:
        for market in markets:
            quoting.enter_context(account_funds.shared(partial(market.hear, position=0)))
        # Equity of 1,200 carries 6,000: there is room for 1,200, which is 20 lots.
        account_funds.last = seen(1_200, 4_800)
        with account_funds.shared(lambda told: markets[0].hear(told, 0)):
            found = [one.within(ladder(10, 10, 20), 0, _MID_X2, NS_PER_S) for one in markets]
        assert sum(sum(shown(one, Side.BUY)) for one in found) == 5 * (20 // 6)
        # What one of them filled since comes off its own part alone.
        assert shown(markets[1].within(ladder(10, 10, 20), 3, _MID_X2, NS_PER_S), Side.BUY) == []
        assert shown(markets[2].within(ladder(10, 10, 20), 0, _MID_X2, NS_PER_S), Side.BUY) == [3]


@given(
    equity=st.integers(0, 5_000),
    exposure=st.integers(0, 10_000),
    added=st.lists(st.integers(0, 60), min_size=1, max_size=6),
)
def test_sharers_never_add_more_than_there_is_room_for(
    equity: int, exposure: int, added: list[int]
) -> None:
    limits = RiskLimits(shrink_below_margin=Decimal("0.2"), reduce_below_margin=Decimal("0.2"))
    told, filled = replace(seen(equity, exposure), sharers=len(added)), 0
    for lots in added:
        market, mine = Headroom(INSTRUMENT, limits), 0
        market.hear(told, 0)
        # Everything shown is filled, as long as anything is shown, all on the same figure.
        while shows := sum(
            shown(market.within(ladder(lots or 1), mine, _MID_X2, NS_PER_S), Side.BUY)
        ):
            mine += shows
        filled += mine
    assert filled * _LOT <= max(Decimal(0), 5 * Decimal(equity) - exposure)
