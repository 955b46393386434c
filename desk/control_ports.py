"""What the brakes need from the world: lost leases, and the record of who answered a kill.

Adapters implement these; only the wiring knows both. Everything here raises `Unavailable`.
"""

from collections.abc import Sequence
from typing import Protocol

from desk.identity import MarketId
from desk.records import KillAnswer, LostLease


class LostLeases(Protocol):
    """Leases that ran out unreleased: what the dead-man's switch is pulled for."""

    async def expired(self, grace_ms: int = 0) -> Sequence[LostLease]:
        """Leases expired for at least `grace_ms` and never released, longest expired first."""

    async def claim(self, lost: LostLease, claimer: str, ttl_ms: int) -> bool:
        """Take care of one alone for a while; False when it was renewed, taken or settled.

        The claim is renewed by claiming again; a False then says that a new session owns it.
        """

    async def settle(self, lost: LostLease) -> bool:
        """Strike it off: its orders are gone. False when somebody holds the lease again."""


class KillAnswers(Protocol):
    """Who has answered a kill, durably, and who has to."""

    async def markets(self, scope: str) -> Sequence[MarketId]:
        """Every market in a kill's scope that ever had an epoch: each of them must answer."""

    async def note(self, answer: KillAnswer) -> None:
        """Record one stage of one market's answer; the first word on it stands."""

    async def answers(self, scope: str, set_at_ms: int) -> Sequence[KillAnswer]:
        """Every answer to one kill, by time."""
