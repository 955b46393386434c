"""The state machine: one table, no way out of it, and what comes before what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.lifecycle import (
    TRANSITIONS,
    Command,
    MarketState,
    SessionReason,
    after_command,
    after_session,
    cool_down_seconds,
    is_trouble,
    may,
    recent,
)


def test_every_state_is_in_the_table_and_leads_to_stopped() -> None:
    assert set(TRANSITIONS) == set(MarketState)
    reached = {MarketState.STOPPED}
    while more := {state for state in MarketState if TRANSITIONS[state] & reached} - reached:
        reached |= more
    assert reached == set(MarketState)


def test_stopped_is_reached_through_the_stand_down_only() -> None:
    before = {state for state in MarketState if may(state, MarketState.STOPPED)}
    assert before == {MarketState.STANDING_DOWN}


@pytest.mark.parametrize("reason", SessionReason)
@pytest.mark.parametrize("command", Command)
def test_a_sessions_end_always_has_a_way_the_table_knows(
    reason: SessionReason, command: Command
) -> None:
    then = after_session(reason, command)
    assert then is MarketState.QUOTING or may(MarketState.QUOTING, then)


@pytest.mark.parametrize("command", Command)
def test_a_loss_limit_and_a_kill_come_before_what_a_person_asked(command: Command) -> None:
    assert after_session(SessionReason.DRAWDOWN, command) is MarketState.FLATTENING
    assert after_session(SessionReason.DAILY_LOSS, command) is MarketState.FLATTENING
    assert after_session(SessionReason.KILLED, command) is MarketState.STANDING_DOWN


@pytest.mark.parametrize("command", [item for item in Command if item is not Command.NONE])
@pytest.mark.parametrize("state", [MarketState.STARTING, MarketState.QUOTING, MarketState.HOLDING])
def test_a_command_is_possible_in_every_live_state(command: Command, state: MarketState) -> None:
    assert may(state, after_command(command))


@pytest.mark.parametrize("reason", SessionReason)
def test_a_rest_never_gets_shorter_nor_longer_than_a_minute(reason: SessionReason) -> None:
    rests = [cool_down_seconds(reason, number) for number in range(40)]
    assert rests == sorted(rests)
    assert 1 <= rests[0] <= rests[-1] <= 60


@pytest.mark.parametrize(
    ("reason", "first", "tenth"),
    [
        (None, 1, 60),
        (SessionReason.LEASE, 1, 60),
        (SessionReason.WORKER_LOST, 1, 60),
        (SessionReason.ERROR_RATE, 30, 30),
        (SessionReason.SAME_REFUSAL, 30, 30),
        (SessionReason.LATENCY, 60, 60),
    ],
)
def test_how_long_a_market_rests_depends_on_why(
    reason: SessionReason | None, first: int, tenth: int
) -> None:
    assert cool_down_seconds(reason, 0) == first
    assert cool_down_seconds(reason, 9) == tenth


@pytest.mark.parametrize(("freeze_ms", "seconds"), [(1, 1), (60_000, 60), (90_500, 91)])
def test_a_fill_burst_freezes_for_what_was_said_each_time(freeze_ms: int, seconds: int) -> None:
    for holds in (0, 7):
        assert cool_down_seconds(SessionReason.FILL_BURST, holds, freeze_ms) == seconds


def test_everything_but_a_window_and_a_wish_is_trouble() -> None:
    calm = {reason for reason in SessionReason if not is_trouble(reason)}
    assert calm == {SessionReason.WINDOW, SessionReason.CANCELLED}


@given(st.lists(st.integers(0, 100_000)), st.integers(0, 100_000), st.integers(1, 60))
def test_recent_ends_are_those_of_the_window(ends: list[int], now: int, window_s: int) -> None:
    assert recent(ends, now, window_s) == tuple(end for end in ends if now - end < 1_000 * window_s)
