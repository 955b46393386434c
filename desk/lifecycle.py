"""A market's life as a state machine: start → quote cycles → drawdown flatten → stand down.

Every transition is in one table; `after_session` says which one a session's end asks for, and
`cool_down_seconds` how long a market rests before it is tried again.
"""

from collections.abc import Sequence
from enum import StrEnum


class MarketState(StrEnum):
    """Where a market's workflow is."""

    STARTING = "starting"
    QUOTING = "quoting"
    PAUSED = "paused"
    HOLDING = "holding"
    FLATTENING = "flattening"
    STANDING_DOWN = "standing_down"
    STOPPED = "stopped"


TRANSITIONS: dict[MarketState, frozenset[MarketState]] = {
    MarketState.STARTING: frozenset(
        {MarketState.QUOTING, MarketState.PAUSED, MarketState.FLATTENING, MarketState.STANDING_DOWN}
    ),
    MarketState.QUOTING: frozenset(
        {
            MarketState.PAUSED,
            MarketState.HOLDING,
            MarketState.FLATTENING,
            MarketState.STANDING_DOWN,
        }
    ),
    MarketState.PAUSED: frozenset(
        {MarketState.QUOTING, MarketState.FLATTENING, MarketState.STANDING_DOWN}
    ),
    MarketState.HOLDING: frozenset(
        {
            MarketState.QUOTING,
            MarketState.PAUSED,
            MarketState.FLATTENING,
            MarketState.STANDING_DOWN,
        }
    ),
    MarketState.FLATTENING: frozenset({MarketState.STANDING_DOWN}),
    MarketState.STANDING_DOWN: frozenset({MarketState.STOPPED}),
    MarketState.STOPPED: frozenset(),
}


class SessionReason(StrEnum):
    """Why a session ended."""

    WINDOW = "window_ended"
    CANCELLED = "cancelled"
    DRAWDOWN = "drawdown"
    DAILY_LOSS = "daily_loss"
    KILLED = "killed"
    KILLED_FLATTEN = "killed_flatten"
    LEASE = "lease_lost"
    BOARD = "kill_board_unreadable"
    LEDGER = "ledger_behind"
    CLOCK = "clock_out_of_bounds"
    DEAD_MAN = "dead_man_not_armed"
    FEED = "feed_not_healthy"
    RESYNC = "books_out_of_step"
    HALTED = "market_halted"
    BREAK = "books_disagree"
    NOT_CLEARED = "orders_not_cleared"
    REFUSED = "refused_by_venue"
    ERROR_RATE = "too_many_errors"
    SAME_REFUSAL = "same_refusal_again"
    LATENCY = "answers_too_slow"
    FILL_BURST = "fill_burst"
    WORKER_LOST = "worker_lost"
    FAILED = "session_failed"
    AWAY = "services_away"
    UNFIT = "cannot_go_on"


class OnWorkerDeath(StrEnum):
    """What follows when the worker of a session died: quote again, or leave the position."""

    RESUME = "resume"
    FLATTEN = "flatten"


class Command(StrEnum):
    """What a person asked for."""

    NONE = "none"
    PAUSE = "pause"
    FLATTEN = "flatten"
    STOP = "stop"


_AFTER_COMMAND = {
    Command.PAUSE: MarketState.PAUSED,
    Command.FLATTEN: MarketState.FLATTENING,
    Command.STOP: MarketState.STANDING_DOWN,
}

_AFTER_SESSION = {
    SessionReason.WINDOW: MarketState.QUOTING,
    SessionReason.CANCELLED: MarketState.QUOTING,
    SessionReason.DRAWDOWN: MarketState.FLATTENING,
    SessionReason.DAILY_LOSS: MarketState.FLATTENING,
    SessionReason.KILLED: MarketState.STANDING_DOWN,
    SessionReason.KILLED_FLATTEN: MarketState.FLATTENING,
    SessionReason.LEASE: MarketState.HOLDING,
    SessionReason.BOARD: MarketState.HOLDING,
    SessionReason.LEDGER: MarketState.HOLDING,
    SessionReason.CLOCK: MarketState.HOLDING,
    SessionReason.DEAD_MAN: MarketState.HOLDING,
    SessionReason.FEED: MarketState.HOLDING,
    SessionReason.RESYNC: MarketState.HOLDING,
    SessionReason.HALTED: MarketState.HOLDING,
    SessionReason.NOT_CLEARED: MarketState.HOLDING,
    SessionReason.BREAK: MarketState.PAUSED,
    SessionReason.REFUSED: MarketState.PAUSED,
    SessionReason.ERROR_RATE: MarketState.HOLDING,
    SessionReason.SAME_REFUSAL: MarketState.HOLDING,
    SessionReason.LATENCY: MarketState.HOLDING,
    SessionReason.FILL_BURST: MarketState.HOLDING,
    SessionReason.WORKER_LOST: MarketState.HOLDING,
    SessionReason.FAILED: MarketState.HOLDING,
    SessionReason.AWAY: MarketState.HOLDING,
    SessionReason.UNFIT: MarketState.PAUSED,
}

# Ends in good order: the window was over, or somebody asked.
_NO_TROUBLE = frozenset({SessionReason.WINDOW, SessionReason.CANCELLED})

# First rest and longest rest in seconds, by reason: each further one is twice as long. What heals
# by itself is tried soon; what our own requests brought about waits, and always as long.
_COOL_DOWN_S = {
    SessionReason.LEDGER: (2, 60),
    SessionReason.CLOCK: (5, 60),
    SessionReason.DEAD_MAN: (2, 60),
    SessionReason.HALTED: (15, 60),
    SessionReason.ERROR_RATE: (30, 30),
    SessionReason.SAME_REFUSAL: (30, 30),
    SessionReason.LATENCY: (60, 60),
    SessionReason.FAILED: (2, 60),
}
_USUAL_COOL_DOWN_S = (1, 60)

# A loss limit or a kill comes before what a person asked for in the same moment.
_BEFORE_COMMANDS = frozenset(
    {
        SessionReason.DRAWDOWN,
        SessionReason.DAILY_LOSS,
        SessionReason.KILLED,
        SessionReason.KILLED_FLATTEN,
    }
)


def may(now: MarketState, then: MarketState) -> bool:
    """Whether the table has this transition."""
    return then in TRANSITIONS[now]


def after_command(command: Command) -> MarketState:
    """State a person's command leads to; KeyError for `Command.NONE`."""
    return _AFTER_COMMAND[command]


def after_session(reason: SessionReason, command: Command) -> MarketState:
    """State to go to when a session ended, given what a person asked for meanwhile."""
    if command is not Command.NONE and reason not in _BEFORE_COMMANDS:
        return after_command(command)
    return _AFTER_SESSION[reason]


def quotes_again(reason: SessionReason) -> bool:
    """Whether this end leads back to quoting by itself, sooner or later."""
    return _AFTER_SESSION[reason] in (MarketState.QUOTING, MarketState.HOLDING)


def is_trouble(reason: SessionReason) -> bool:
    """Whether an end counts towards the cap on restarts: all but a window's end and a wish."""
    return reason not in _NO_TROUBLE


def cool_down_seconds(reason: SessionReason | None, holds: int, freeze_ms: int = 0) -> int:
    """How long to wait before the n-th new try (from 0) after a hold, whole seconds.

    A fill burst freezes the market for `freeze_ms` each time. None: the reason is not known.
    """
    if reason is SessionReason.FILL_BURST:
        return max(1, -(-freeze_ms // 1_000))
    first, longest = _COOL_DOWN_S.get(reason, _USUAL_COOL_DOWN_S) if reason else _USUAL_COOL_DOWN_S
    return min(longest, first << min(holds, 6))


def recent(ends_ms: Sequence[int], now_ms: int, window_s: int) -> tuple[int, ...]:
    """Ends by trouble that still count: those within the window that ends now, in order."""
    return tuple(end for end in ends_ms if end > now_ms - window_s * 1_000)
