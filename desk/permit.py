"""The permit: what a session needs to send anything that adds risk.

Absence of knowledge means no: every fact here starts as "not known" and grows old by itself.
"""

from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(slots=True, kw_only=True)
class Permit:
    """Facts a session keeps fresh; deadlines are monotonic nanoseconds.

    `lease_until_ns` and `board_until_ns` move forward only with a confirmed renewal or read, and
    so does `dead_man_until_ns`, which is None where the venue has no timer.
    """

    max_clock_offset_ms: int
    max_ledger_behind_s: float
    lease_until_ns: int = 0
    board_until_ns: int = 0
    kills: tuple[Kill, ...] = ()
    kill_file: bool = False
    clock_offset_ms: int | None = None
    ledger_behind_s: float = 0.0
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

    def explain(self, refusal: Refusal) -> str:
        """One sentence for a person."""
        match refusal:
            case Refusal.KILLED:
                kill = self.stopping[0]
                return f"killed at scope {kill.scope} by {kill.by}: {kill.reason}"
            case Refusal.KILL_FILE:
                return "the KILL file is present; remove it to quote again"
            case Refusal.CLOCK if self.clock_offset_ms is not None:
                return (
                    f"the venue's clock is {self.clock_offset_ms} ms from ours, more than "
                    f"{self.max_clock_offset_ms}; set this machine's clock"
                )
            case Refusal.CLOCK:
                return "the venue's clock could not be read"
            case Refusal.LEDGER:
                return (
                    f"the ledger is {self.ledger_behind_s:.1f} s behind; Postgres is away or slow"
                )
            case Refusal.DEAD_MAN:
                return "the venue's dead-man timer could not be renewed in time"
            case Refusal.BOARD:
                return "the kill board could not be read in time; Redis is away or was emptied"
            case Refusal.LEASE:
                return "the lease could not be confirmed in time, or is somebody else's"
