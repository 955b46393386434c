"""What follows a session's end: the table, the policies of the start message, the restart cap.

A market that got into trouble too often waits for a person; nothing but a person lets it go on.
"""

from activities.messages import SessionResult
from desk.lifecycle import (
    Command,
    MarketState,
    OnWorkerDeath,
    SessionReason,
    after_session,
    is_trouble,
)
from workflows.messages import StartMarket
from workflows.page import session_sentence
from workflows.record import MarketRecord

_GOES_ON = frozenset({MarketState.QUOTING, MarketState.HOLDING})


def aftermath(
    record: MarketRecord, start: StartMarket, result: SessionResult, now_ms: int
) -> tuple[MarketState, str]:
    """State to go to, and why. Counts the end, and latches the record where a person is needed.

    `now_ms` is the workflow's time, unix milliseconds.
    """
    ends = result.attempts - 1 + is_trouble(result.reason)
    troubles = record.troubled(ends, now_ms, start.restart_window_s)
    follows, said = after_session(result.reason, record.command), session_sentence(result)
    if record.command is not Command.NONE:
        asked = result.reason is SessionReason.CANCELLED
        return follows, record.reason if asked else said
    record.held_for = result.reason
    if result.reason is SessionReason.WORKER_LOST:
        if start.on_worker_death is OnWorkerDeath.FLATTEN:
            return MarketState.FLATTENING, said
    elif result.reason is SessionReason.FILL_BURST and start.fill_reset_by_hand:
        follows = MarketState.PAUSED
    if follows in _GOES_ON and troubles > start.max_restarts:
        said = (
            f"{troubles} sessions ended by trouble within {start.restart_window_s} s, more than "
            f"max_restarts {start.max_restarts}; the last: {said}; resume it by name"
        )
        record.latch(said, by_name=True)
        return MarketState.PAUSED, said
    if follows is MarketState.PAUSED:
        record.latch(said, by_name=False)
    return follows, said
