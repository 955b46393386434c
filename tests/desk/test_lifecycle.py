"""The state machine: one table, no way out of it, and what comes before what."""

import pytest

from desk.lifecycle import (
    TRANSITIONS,
    Command,
    MarketState,
    SessionReason,
    after_command,
    after_session,
    hold_seconds,
    may,
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
    assert after_session(SessionReason.KILLED, command) is MarketState.STANDING_DOWN


@pytest.mark.parametrize("command", [item for item in Command if item is not Command.NONE])
@pytest.mark.parametrize("state", [MarketState.STARTING, MarketState.QUOTING, MarketState.HOLDING])
def test_a_command_is_possible_in_every_live_state(command: Command, state: MarketState) -> None:
    assert may(state, after_command(command))


def test_holding_waits_longer_each_time_and_never_over_a_minute() -> None:
    waits = [hold_seconds(number) for number in range(12)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (1, 60)
