"""The permit: what a session needs to send anything that adds risk.

Absence of knowledge means no: every fact here starts as "not known" and grows old by itself.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from desk.records import Kill, KillEffect


class Refusal(StrEnum):
    """Why nothing may be sent; each one makes the session cancel everything and leave."""

    LEASE = "lease_not_confirmed"
    KILL_FILE = "kill_file_present"
    KILLED = "killed"
    BOARD = "kill_board_unreadable"
    LEDGER = "ledger_behind"
    CLOCK = "clock_out_of_bounds"
    DEAD_MAN = "dead_man_not_armed"
    INTENTS = "too_many_unrecorded_orders"


MANY_INTENTS: Final = 100
"""More room than any batch takes; room above it is not told apart."""

_UNANSWERED: Final = frozenset({KillEffect.REDUCE, KillEffect.HOLD})

_WORDS: Final = {
    Refusal.KILL_FILE: "the KILL file is present; remove it to quote again",
    Refusal.CLOCK: "the venue's clock could not be read",
    Refusal.DEAD_MAN: "the venue's dead-man timer could not be renewed in time",
    Refusal.BOARD: "the kill board could not be read in time; Redis is away or was emptied",
    Refusal.LEASE: "the lease could not be confirmed in time, or is somebody else's",
}


def wants_answers(kill: Kill) -> bool:
    """Whether every market must answer it: what only limits, or waits for books, asks nobody."""
    return kill.effect not in _UNANSWERED


@dataclass(slots=True, kw_only=True)
class Permit:
    """Facts a session keeps fresh; deadlines are monotonic nanoseconds.

    `lease_until_ns` and `board_until_ns` move forward only with a confirmed renewal or read, and
    so does `dead_man_until_ns`, which is None where the venue has no timer. Of this market's orders
    at most `max_unrecorded_intents` may have been sent and be in no database yet.
    """

    max_clock_offset_ms: int
    max_ledger_behind_s: float
    max_unrecorded_intents: int = 200
    lease_until_ns: int = 0
    board_until_ns: int = 0
    kills: tuple[Kill, ...] = ()
    kill_file: bool = False
    clock_offset_ms: int | None = None
    ledger_behind_s: float = 0.0
    intents_left: int = MANY_INTENTS
    """How many orders may be sent before older ones are in the ledger, MANY_INTENTS at most."""
    dead_man_until_ns: int | None = None
    own_reduction: Kill | None = None
    """What this session itself found: the market's soft daily loss, before any board knows it."""

    @property
    def stopping(self) -> tuple[Kill, ...]:
        """Kills that end the session, widest first."""
        return tuple(kill for kill in self.kills if kill.effect is not KillEffect.REDUCE)

    @property
    def reduce_only(self) -> Kill | None:
        """The kill that forbids new risk without ending the session, if there is one."""
        told = next((kill for kill in self.kills if kill.effect is KillEffect.REDUCE), None)
        return told or self.own_reduction

    def refusal(self, now_ns: int) -> Refusal | None:
        """First reason against sending, None when everything is in order."""
        if self.kill_file:
            return Refusal.KILL_FILE
        if self.stopping:
            return Refusal.KILLED
        if now_ns >= self.lease_until_ns:
            return Refusal.LEASE
        if now_ns >= self.board_until_ns:
            return Refusal.BOARD
        if self.ledger_behind_s > self.max_ledger_behind_s:
            return Refusal.LEDGER
        if self.clock_offset_ms is None or abs(self.clock_offset_ms) > self.max_clock_offset_ms:
            return Refusal.CLOCK
        if self.dead_man_until_ns is not None and now_ns >= self.dead_man_until_ns:
            return Refusal.DEAD_MAN
        return None

    def count_intents(self, unrecorded: int) -> None:
        """Take how many orders of this market were sent and are in no database yet."""
        self.intents_left = max(0, min(MANY_INTENTS, self.max_unrecorded_intents - unrecorded))

    def refusal_to_send(self, orders: int) -> Refusal | None:
        """Reason against this many more orders at once; cancels and exits never ask."""
        return Refusal.INTENTS if orders > self.intents_left else None

    def explain(self, refusal: Refusal) -> str:
        """One sentence for a person."""
        match refusal:
            case Refusal.KILLED:
                kill = next(filter(wants_answers, self.stopping), self.stopping[0])
                if kill.effect is KillEffect.HOLD:
                    return f"books disagree, held at scope {kill.scope}: {kill.reason}"
                return f"killed at scope {kill.scope} by {kill.by}: {kill.reason}"
            case Refusal.CLOCK if self.clock_offset_ms is not None:
                return (
                    f"the venue's clock is {self.clock_offset_ms} ms from ours, more than "
                    f"{self.max_clock_offset_ms}; set this machine's clock"
                )
            case Refusal.LEDGER:
                return (
                    f"the ledger is {self.ledger_behind_s:.1f} s behind; Postgres is away or slow"
                )
            case Refusal.INTENTS:
                return (
                    f"orders sent and not yet in the ledger would be more than "
                    f"{self.max_unrecorded_intents}; Postgres is away or slow"
                )
            case _:
                return _WORDS[refusal]
