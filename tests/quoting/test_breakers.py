"""Each trigger ends the session with a reason of its own; leaving cancels everything first."""

from dataclasses import replace
from decimal import Decimal

import pytest

from desk.lifecycle import SessionReason
from desk.orders import Batch, NewOrder, RejectReason
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS, NS_PER_S, Side
from quoting.actions import Action, ClearAll, Leave, SendBatch
from quoting.inbox import Answered, Cleared, Tick
from quoting.loop import MarketLoop
from quoting.progress import LatencySamples
from tests.quoting.builders import (
    STEPWISE,
    accepted,
    account,
    book,
    change,
    fill,
    make_loop,
    quoting_loop,
    refused,
    sent,
    unresolved,
)
from tests.quoting.stepwise import ONE_LEVEL, acknowledged, answered, update

BAND = RejectReason.PRICE_BAND


def at(loop: MarketLoop, second: float, mid: int = 600_000) -> list[Action]:
    """What the loop does with a fresh book and account at this second."""
    now_ns = int(second * NS_PER_S)
    loop.apply(Tick(now_ns))
    loop.apply(book(now_ns, mid=mid))
    loop.apply(account(now_ns))
    return loop.decide(now_ns)


def left(actions: list[Action]) -> Leave:
    (action,) = actions
    assert isinstance(action, Leave), action
    return action


def cleared(loop: MarketLoop, second: float) -> None:
    at_ns = int(second * NS_PER_S)
    loop.apply(Cleared(verified=True, attempts=1, message="", at_ns=at_ns))


def moving(number: int) -> int:
    """A mid that differs each time, so that no request is the same as another."""
    return 600_000 + 100 * (number % 7) + number


def said(loop: MarketLoop) -> str:
    return loop.progress(LatencySamples()).reason


# --- error rate ------------------------------------------------------------------------------


def fail_every_second_time(loop: MarketLoop, batches: int, reason: RejectReason) -> list[Action]:
    """Refused, accepted, refused … one a second; what the loop does after the last."""
    for number in range(batches):
        batch = sent(at(loop, number + 1, moving(number)))
        fails = number % 2 == 0
        loop.apply(refused(batch, reason, old_gone=True) if fails else accepted(batch))
    return at(loop, batches + 1, moving(batches))


def test_errors_that_are_not_in_a_row_end_the_session_too() -> None:
    limits = RiskLimits(max_errors=4)
    assert isinstance(fail_every_second_time(make_loop(limits=limits), 6, BAND)[0], SendBatch)
    leave = left(fail_every_second_time(make_loop(limits=limits), 7, BAND))
    assert leave.reason is SessionReason.ERROR_RATE
    assert "max_errors is 4" in leave.message


def test_errors_of_an_earlier_window_do_not_count() -> None:
    limits = RiskLimits(max_errors=4, error_window_ms=5_000)
    assert isinstance(fail_every_second_time(make_loop(limits=limits), 20, BAND)[0], SendBatch)


def test_post_only_refusals_are_quoting_and_not_errors() -> None:
    loop = make_loop(limits=RiskLimits(max_errors=2))
    actions = fail_every_second_time(loop, 9, RejectReason.POST_ONLY)
    assert not any(isinstance(one, Leave) for one in actions)


def test_being_told_to_wait_is_no_error() -> None:
    loop = make_loop(limits=RiskLimits(max_errors=1))
    batch = sent(at(loop, 1))
    told = refused(batch, RejectReason.RATE_LIMITED, old_gone=True)
    loop.apply(replace(told, outcome=replace(told.outcome, retry_after_s=0.1)))
    assert not any(isinstance(one, Leave) for one in at(loop, 2))


@pytest.mark.parametrize("how", ["unresolved", "not_sent"])
def test_requests_without_an_answer_are_errors(how: str) -> None:
    loop = make_loop(limits=RiskLimits(max_errors=2))
    for number in range(2):
        batch = sent(at(loop, 2 * number + 1, moving(number)))
        loop.apply(
            unresolved(batch)
            if how == "unresolved"
            else refused(batch, RejectReason.NOT_SENT, old_gone=None)
        )
        if how == "unresolved" and number == 0:
            at(loop, 2, moving(number))
            cleared(loop, 2)
    assert left(at(loop, 5)).reason is SessionReason.ERROR_RATE


# --- the same refusal ------------------------------------------------------------------------


def test_the_same_request_with_the_same_refusal_three_times_ends_the_session() -> None:
    loop = make_loop()
    for second in (1, 2, 3):
        loop.apply(refused(sent(at(loop, second)), BAND, old_gone=True))
    leave = left(at(loop, 4))
    assert leave.reason is SessionReason.SAME_REFUSAL
    assert leave.message == (
        "the same buy of 0.010 at 59970.0 was refused 3 times with outside_price_band"
    )


def test_the_same_request_refused_for_other_reasons_does_not() -> None:
    loop = make_loop()
    reasons = (BAND, RejectReason.INVALID, BAND, RejectReason.INVALID)
    for second, reason in enumerate(reasons, start=1):
        actions = at(loop, second)
        if any(isinstance(one, SendBatch) for one in actions):
            loop.apply(refused(sent(actions), reason, old_gone=True))
    assert not any(isinstance(one, Leave) for one in at(loop, 5))


def one_sided(loop: MarketLoop, second: int, told: RejectReason | None, mid: int) -> NewOrder:
    """A venue that acknowledges: the bid ends with the reason, or rests; the ask rests."""
    batch = sent(at(loop, second, mid))
    loop.apply(answered(batch, *(acknowledged(one) for one in batch.orders)))
    for one in batch.orders:
        ends = one.side is Side.BUY and told is not None
        loop.apply(update(one, second * NS_PER_S, resting=not ends, reason=told if ends else None))
    return next(one for one in batch.orders if one.side is Side.BUY)


def test_an_acknowledgement_does_not_forgive_what_is_refused_after_it() -> None:
    loop = make_loop(capabilities=STEPWISE, parameters=ONE_LEVEL)
    for second in (1, 2, 3):
        one_sided(loop, second, RejectReason.INVALID, 600_000)
    assert left(at(loop, 4)).reason is SessionReason.SAME_REFUSAL


# --- latency ---------------------------------------------------------------------------------


def took(batch: Batch, milliseconds: int) -> Answered:
    return replace(accepted(batch), round_trip_ns=milliseconds * NS_PER_MS)


def quote_for(loop: MarketLoop, milliseconds: int, *, begin: float, batches: int) -> float | None:
    """Quote a market that always moves; answers take so long. When the last went out, or None."""
    second, answers = begin, 0
    while answers < batches:
        assert second < begin + 4 * batches
        actions = at(loop, second, moving(int(second * 2)))
        for action in actions:
            if isinstance(action, SendBatch):
                loop.apply(took(action.approved.value, milliseconds))
                answers += 1
            elif isinstance(action, Leave):
                assert action.reason is SessionReason.LATENCY
                return None
        second += 0.5
    return second - 0.5


def test_slow_answers_halve_the_order_rate_and_recovery_restores_it() -> None:
    loop = make_loop(limits=RiskLimits(latency_floor_ms=50, latency_patience_ms=60_000))
    usual_s = quote_for(loop, 100, begin=1, batches=100)
    assert usual_s == 50.5, "two ladders a second"
    assert said(loop) == ""
    slow_s = quote_for(loop, 300, begin=usual_s + 0.5, batches=20)
    assert slow_s is not None
    assert quote_for(loop, 300, begin=slow_s + 1, batches=5) == slow_s + 5, "one ladder a second"
    assert said(loop) == (
        "at half the order rate: answers take 300.000 ms (p95), usual are 100.000 ms"
    )
    well_s = quote_for(loop, 100, begin=slow_s + 6, batches=20)
    assert well_s is not None
    assert quote_for(loop, 100, begin=well_s + 1, batches=4) == well_s + 2.5
    assert said(loop) == ""


def test_slow_answers_that_last_end_the_session() -> None:
    loop = make_loop(limits=RiskLimits(latency_floor_ms=50, latency_patience_ms=30_000))
    usual_s = quote_for(loop, 100, begin=1, batches=100)
    assert usual_s is not None
    assert quote_for(loop, 300, begin=usual_s + 0.5, batches=60) is None
    picture = loop.progress(LatencySamples())
    assert picture.usual_round_trip_ms == Decimal("100.000")
    assert "latency_patience_ms 30000" in picture.reason


# --- fill burst ------------------------------------------------------------------------------

BURST = RiskLimits(max_fill_burst=Decimal(1_000), fill_burst_ms=10_000)


def traded(name: str, side: Side, at_ms: int) -> object:
    """A fill of about 600 quote currency."""
    return replace(fill(name, side, 600_000, 10), traded_at_ms=at_ms)


def test_a_burst_of_fills_ends_the_session_at_once_whichever_side_they_are_on() -> None:
    loop, _ = quoting_loop(limits=BURST)
    loop.apply(change(2 * NS_PER_S, 10, traded("a", Side.BUY, 1_000)))  # type: ignore[arg-type]
    assert not any(isinstance(one, Leave) for one in loop.decide(2 * NS_PER_S))
    loop.apply(change(2 * NS_PER_S, 0, traded("b", Side.SELL, 5_000)))  # type: ignore[arg-type]
    leave = left(loop.decide(2 * NS_PER_S))
    assert leave.reason is SessionReason.FILL_BURST
    assert "max_fill_burst 1000" in leave.message


def test_the_same_fills_further_apart_are_trading() -> None:
    loop, _ = quoting_loop(limits=BURST)
    for number in range(6):
        side = Side.BUY if number % 2 == 0 else Side.SELL
        filled = traded(str(number), side, 10_000 * number)
        loop.apply(change(2 * NS_PER_S, 10 if side is Side.BUY else 0, filled))  # type: ignore[arg-type]
    assert not any(isinstance(one, Leave) for one in loop.decide(2 * NS_PER_S))


def test_without_a_number_the_limit_is_twice_the_position_limit() -> None:
    assert RiskLimits(max_position=Decimal(700)).fill_burst == 1_400
    assert RiskLimits(max_fill_burst=Decimal(5)).fill_burst == 5


@pytest.mark.parametrize(
    "name",
    [
        "max_errors",
        "error_window_ms",
        "max_fill_burst",
        "fill_burst_ms",
        "latency_floor_ms",
        "latency_patience_ms",
    ],
)
def test_a_limit_of_zero_is_refused_by_its_name(name: str) -> None:
    (problem,) = RiskLimits(**{name: 0}).problems()  # type: ignore[arg-type]
    assert problem.startswith(f"{name}: 0 is not above zero; ")


# --- resuming --------------------------------------------------------------------------------


def test_a_new_session_quotes_only_on_a_fresh_book_and_a_snapshot_of_the_account() -> None:
    """Whatever ended the one before: feed and streams are read anew before anything goes out."""
    loop = make_loop()
    loop.apply(book(NS_PER_S))
    assert loop.decide(NS_PER_S) == []
    loop.apply(change(NS_PER_S, 0))
    assert loop.decide(NS_PER_S) == [], "a change is no snapshot"
    loop.apply(account(NS_PER_S))
    assert loop.decide(7 * NS_PER_S) == [], "the book has grown old meanwhile"
    loop.apply(account(7 * NS_PER_S))
    loop.apply(book(7 * NS_PER_S))
    assert [type(one) for one in loop.decide(7 * NS_PER_S)] == [SendBatch]


def test_after_leaving_nothing_but_the_leave_is_said() -> None:
    loop = make_loop()
    for second in (1, 2, 3):
        loop.apply(refused(sent(at(loop, second)), BAND, old_gone=True))
    left(at(loop, 4))
    assert at(loop, 5) == []
    assert not any(isinstance(one, ClearAll) for one in at(loop, 6))
