"""A session obeys its day: lost, it leaves before the first order; at the soft limit it reduces."""

from decimal import Decimal

import pytest

from desk.daily_loss import DayFacts, DayLimits, MarketDay, scopes
from desk.lifecycle import SessionReason
from desk.permit import Permit
from desk.records import KillEffect
from desk.risk.limits import RiskLimits
from desk.trading_day import TradingDay
from desk.units import NS_PER_S
from quoting.actions import Action, Leave, SendBatch
from quoting.loop import MarketLoop
from quoting.setup import LoopSetup
from tests.quoting.builders import (
    CAPABILITIES,
    EMPTY,
    INSTRUMENT,
    MARKET,
    PARAMETERS,
    account,
    book,
    permit,
)

DAY = TradingDay(begins_ms=1_763_683_200_000, ends_ms=1_763_769_600_000)
NEXT = TradingDay(begins_ms=DAY.ends_ms, ends_ms=DAY.ends_ms + 86_400_000)


def losing_loop(lost: str, **limits: Decimal) -> tuple[MarketLoop, MarketDay, Permit]:
    """A loop whose market, flat and with no PnL at all, began the day with so much more."""
    facts = DayFacts(scope=scopes(MARKET)[0], day=DAY, start=Decimal(lost), peak=Decimal(lost))
    day, given = MarketDay(MARKET, DayLimits(**limits), DAY, facts), permit()
    setup = LoopSetup(
        market=MARKET,
        instrument=INSTRUMENT,
        epoch=1,
        parameters=PARAMETERS,
        limits=RiskLimits(max_drawdown=Decimal(100_000)),
        capabilities=CAPABILITIES,
        facts=EMPTY,
        known_since_ms=0,
        known=frozenset(),
        day=day,
    )
    return MarketLoop(setup, given), day, given


def first_step(loop: MarketLoop, at_s: int = 1) -> list[Action]:
    loop.apply(account(at_s * NS_PER_S))
    loop.apply(book(at_s * NS_PER_S))
    return loop.decide(at_s * NS_PER_S)


def test_a_lost_day_is_left_before_the_first_order() -> None:
    loop, _, _ = losing_loop("30", hard=Decimal(20))
    (leave,) = first_step(loop)
    assert isinstance(leave, Leave)
    assert leave.reason is SessionReason.DAILY_LOSS
    assert "lost 30.00 since the start of the day" in leave.message
    assert loop.decide(2 * NS_PER_S) == []


@pytest.mark.parametrize("limits", [{}, {"hard": Decimal(30)}, {"soft": Decimal(30)}])
def test_a_loss_within_the_limit_changes_nothing(limits: dict[str, Decimal]) -> None:
    loop, _, given = losing_loop("30", **limits)
    assert any(isinstance(action, SendBatch) for action in first_step(loop))
    assert given.reduce_only is None


def test_a_soft_loss_forbids_new_risk_in_the_same_step_until_the_next_day() -> None:
    loop, day, given = losing_loop("30", soft=Decimal(20))
    assert not any(isinstance(action, SendBatch) for action in first_step(loop))
    assert given.reduce_only is not None
    assert given.reduce_only.effect is KillEffect.REDUCE
    assert "soft_daily_loss 20" in given.reduce_only.reason
    day.begin(NEXT, None)
    assert any(isinstance(action, SendBatch) for action in first_step(loop, 2))
