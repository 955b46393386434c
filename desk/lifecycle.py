"""A market's life as a state machine: start → quote cycles → drawdown flatten → stand down.

Every transition is in one table; `after_session` says which one a session's end asks for.
"""

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
}

# A loss limit or a kill comes before what a person asked for in the same moment.
_BEFORE_COMMANDS = frozenset(
    {SessionReason.DRAWDOWN, SessionReason.KILLED, SessionReason.KILLED_FLATTEN}
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


def hold_seconds(holds: int) -> int:
    """How long to wait before the n-th new try after a hold: 1, 2, 4 … 60 seconds."""
    return min(60, 1 << min(holds, 6))
