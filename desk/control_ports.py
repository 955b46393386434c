"""What the brakes need from the world: lost leases, and the record of who answered a kill.

Adapters implement these; only the wiring knows both. Everything here raises `Unavailable`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from desk.daily_loss import DayFacts, LossLimit, MarketPnl
from desk.identity import MarketId
from desk.ownership import BookedExposure
from desk.records import Kill, KillAnswer, LostLease
from desk.trading_day import TradingDay


class LostLeases(Protocol):
    """Leases that ran out unreleased: what the dead-man's switch is pulled for."""

    async def expired(self, grace_ms: int = 0) -> Sequence[LostLease]:
        """Leases expired for at least `grace_ms` and never released, longest expired first."""

    async def claim(self, lost: LostLease, claimer: str, ttl_ms: int) -> bool:
        """Take care of one alone for a while; False when it was renewed, taken or settled.

        The claim is renewed by claiming again; a False then says that a new session owns it.
        """

    async def yield_claim(self, lost: LostLease, claimer: str) -> None:
        """Give a claim back before it ends: somebody else may have a way to the venue."""

    async def settle(self, lost: LostLease) -> bool:
        """Strike it off: its orders are gone. False when somebody holds the lease again."""

    async def restore(self, lost: Sequence[LostLease]) -> int:
        """Put back, as run out now, what was forgotten and nobody took since; how many."""


class KillAnswers(Protocol):
    """Who has answered a kill, durably, and who has to."""

    async def markets(self, scope: str) -> Sequence[MarketId]:
        """Every market in a kill's scope that ever had an epoch: each of them must answer."""

    async def note(self, answer: KillAnswer) -> None:
        """Record one stage of one market's answer; the first word on it stands."""

    async def answers(self, scope: str, set_at_ms: int) -> Sequence[KillAnswer]:
        """Every answer to one kill, by time."""

    async def over(self, scope: str, set_at_ms: int) -> bool:
        """Whether this kill was recorded and is in force no more; False while unknown."""

    async def ended(self) -> Sequence[Kill]:
        """Kills whose end has passed by the record's own clock, in force or lifted lately."""


class LeaseHolders(Protocol):
    """Who may quote at this moment."""

    async def holders(self, markets: Sequence[MarketId]) -> Mapping[MarketId, str]:
        """Owners of the leases that have not run out; markets nobody holds are left out."""


class OwnershipBook(Protocol):
    """What the ledger says of markets whose owner is looked for."""

    async def quoted(self, venue: str, account: str) -> bool:
        """Whether any market of this account ever had an epoch: only then it is ours to clean."""

    async def resting(self) -> Sequence[LostLease]:
        """Markets in which orders rest by our books, with the newest epoch and who opened it."""

    async def exposures(
        self, venue: str, account: str, symbols: Sequence[str]
    ) -> Sequence[BookedExposure]:
        """Markets of these symbols that were ever ours, and all others with a booked position."""


class LossBook(Protocol):
    """What days began with, what they may lose, and the latches of loss limits."""

    async def facts(self, day: TradingDay) -> Mapping[str, DayFacts]:
        """The recorded facts of a day, by scope (`market:V/A/S`, `account:V/A`, `fleet`)."""

    async def note(self, facts: DayFacts) -> DayFacts:
        """Record a day's start, once, and its peak, which only grows; what is recorded now."""

    async def pnl(
        self, at_ms: int | None = None, market: MarketId | None = None
    ) -> Sequence[MarketPnl]:
        """PnL at a moment (None: now), of one market or of all that ever traded.

        Fills up to the moment, and what they left at the last mid marked until then.
        """

    async def now_ms(self) -> int:
        """Unix milliseconds by the record's own clock: which day it is, is no worker's to say."""

    async def limits(self) -> Mapping[str, LossLimit]:
        """The newest limits of each scope, also such that were switched off."""

    async def set_limit(self, limit: LossLimit) -> None:
        """Put limits in force in place of older ones, which stay on record."""

    async def latch(self, wanted: Kill) -> Kill:
        """Record a latch, unless one in force at its scope is as hard and as long; the one that is.

        One that gives way is lifted in the record.
        """
