"""A price decides over a day or a drawdown only when it stood; one thin book decides nothing."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.daily_loss import DayFacts, DayLimits, MarketDay, scopes
from desk.lifecycle import SessionReason
from desk.market import BookSnapshot
from desk.risk.limits import RiskLimits
from desk.trading_day import TradingDay
from desk.units import NS_PER_S
from quoting.actions import Action, ClearAll, Leave, SendBatch
from quoting.inbox import Cleared
from quoting.loop import MarketLoop
from quoting.setup import LoopSetup
from quoting.steady import SteadyMid
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
TICK_NS = NS_PER_S // 10
# Bought 0.1 at 60000, so a thousand in the price is a hundred.
LONG = replace(EMPTY, fills=1, position=100, cash=Decimal(-6_000), peak_pnl=Decimal(0))


def holding_loop(limits: RiskLimits, **day_limits: Decimal) -> tuple[MarketLoop, MarketDay]:
    """A loop that holds 100 lots, bought at the mid, on a day that began with nothing."""
    facts = DayFacts(scope=scopes(MARKET)[0], day=DAY, start=Decimal(0), peak=Decimal(0))
    day = MarketDay(MARKET, DayLimits(**day_limits), DAY, facts)
    setup = LoopSetup(
        market=MARKET,
        instrument=INSTRUMENT,
        epoch=1,
        parameters=PARAMETERS,
        limits=limits,
        capabilities=CAPABILITIES,
        facts=LONG,
        known_since_ms=0,
        known=frozenset(),
        day=day,
    )
    return MarketLoop(setup, permit()), day


def thin(now_ns: int, bid: int, ask: int) -> BookSnapshot:
    """What is left when everybody else is gone for one update."""
    return BookSnapshot(bids=[(bid, 1)], asks=[(ask, 1)], sequence=None, received_ns=now_ns)


def step(loop: MarketLoop, event: BookSnapshot) -> list[Action]:
    loop.apply(account(event.received_ns, 100))
    loop.apply(event)
    return loop.decide(event.received_ns)


def stand(loop: MarketLoop, since: int, until: int, mid: int = 600_000) -> list[Action]:
    """The book at one price from one tenth of a second to another; everything that was done."""
    done = []
    for tenth in range(since, until):
        done += step(loop, book(tenth * TICK_NS, mid))
    return done


def leaves(actions: list[Action]) -> list[SessionReason]:
    return [action.reason for action in actions if isinstance(action, Leave)]


DAILY = (RiskLimits(max_drawdown=Decimal(100_000)), {"hard": Decimal(500)})
DRAWN: tuple[RiskLimits, dict[str, Decimal]] = (RiskLimits(max_drawdown=Decimal(500)), {})


@pytest.mark.parametrize(("limits", "day_limits"), [DAILY, DRAWN])
@pytest.mark.parametrize(("bid", "ask"), [(300_000, 600_001), (599_999, 900_000)])
def test_one_thin_book_ends_nothing_and_makes_no_peak(
    limits: RiskLimits, day_limits: dict[str, Decimal], bid: int, ask: int
) -> None:
    loop, day = holding_loop(limits, **day_limits)
    stand(loop, 10, 40)
    done = step(loop, thin(40 * TICK_NS, bid, ask))
    assert not any(isinstance(action, SendBatch) for action in done if bid < 500_000)
    done += stand(loop, 41, 80)
    assert leaves(done) == []
    equity = loop.equity()
    assert equity is not None
    assert equity.pnl == equity.peak == 0
    assert day.facts is not None
    assert day.facts.peak == 0


@pytest.mark.parametrize(
    ("given_limits", "reason"), [(DAILY, SessionReason.DAILY_LOSS), (DRAWN, SessionReason.DRAWDOWN)]
)
def test_a_price_that_stands_ends_the_session_and_nothing_rests_meanwhile(
    given_limits: tuple[RiskLimits, dict[str, Decimal]], reason: SessionReason
) -> None:
    limits, day_limits = given_limits
    loop, _ = holding_loop(limits, **day_limits)
    stand(loop, 10, 40)
    first = step(loop, book(40 * TICK_NS, mid=540_000))
    assert [type(action) for action in first] in ([ClearAll], [])
    later = stand(loop, 41, 65, mid=540_000)
    assert leaves(later) == [reason]
    assert not any(isinstance(action, SendBatch) for action in later)


def test_a_lost_day_with_a_position_shows_nothing_until_its_price_stood() -> None:
    loop, _ = holding_loop(DAILY[0], hard=Decimal(500))
    done = stand(loop, 10, 40, mid=540_000)
    assert leaves(done) == [SessionReason.DAILY_LOSS]
    assert not any(isinstance(action, SendBatch) for action in done)


def test_what_stood_before_is_seen_before_a_clearing_that_failed_is_told() -> None:
    """Else the day's loss would be forgotten while its orders cannot be taken away."""
    loop, _ = holding_loop(DAILY[0], hard=Decimal(500))
    stand(loop, 10, 40)
    assert leaves(stand(loop, 40, 50, mid=540_000)) == []
    loop.apply(Cleared(verified=False, attempts=9, message="no line", at_ns=50 * TICK_NS))
    assert leaves(stand(loop, 50, 51, mid=540_000)) == [SessionReason.DAILY_LOSS]


def test_a_lost_day_stays_that_day_when_the_next_begins_while_it_is_left() -> None:
    loop, day = holding_loop(DAILY[0], hard=Decimal(500))
    stand(loop, 10, 40, mid=540_000)
    day.begin(NEXT, None)
    assert day.lost_in == DAY


mids = st.integers(min_value=1, max_value=2_000_000)


@given(mids, st.lists(mids, max_size=8))
def test_what_lasts_less_than_half_the_window_never_counts(stood: int, spikes: list[int]) -> None:
    steady, now = SteadyMid(), 0
    for now in range(30):
        steady.look(2 * stood, now * TICK_NS)
    for after, spike in enumerate(spikes, start=now + 1):
        steady.look(spike, after * TICK_NS)
        assert steady.mid_x2 == 2 * stood


def test_a_mid_is_unknown_until_it_stood_for_a_second() -> None:
    steady = SteadyMid()
    for tenth in range(10):
        steady.look(7, tenth * TICK_NS)
        assert steady.mid_x2 is None
    steady.look(7, 10 * TICK_NS)
    assert steady.mid_x2 == 7
    steady.look(9, 60 * TICK_NS)
    assert steady.mid_x2 is None, "what was seen before a long silence is too old"
