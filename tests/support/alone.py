"""A session's ports when nothing but the venue is of interest: one process, nothing durable.

Lease, board and ledger here keep what the real ones promise to a single, undisturbed owner.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from desk.identity import MarketId
from desk.orders import BatchOutcome
from desk.records import Kill, LedgerRecord


@dataclass(slots=True)
class OwnLease:
    """A lease that nobody else wants; the highest epoch holds it."""

    epoch: int = 0

    async def acquire(self, market: MarketId, epoch: int, owner: str, ttl_ms: int) -> bool:
        del market, owner, ttl_ms
        self.epoch = max(epoch, self.epoch)
        return epoch == self.epoch

    renew = acquire

    async def release(self, market: MarketId, epoch: int, owner: str) -> bool:
        del market, owner
        return epoch == self.epoch

    async def fence(self, market: MarketId) -> int:
        del market
        return self.epoch

    async def shared(self, market: MarketId) -> bool:
        del market
        return False


@dataclass(slots=True)
class OwnBoard:
    """A kill board of this process."""

    scopes: dict[str, Kill] = field(default_factory=dict)
    sinks: list[Callable[[], None]] = field(default_factory=list)

    async def kills(self, market: MarketId) -> tuple[Kill, ...]:
        del market
        return tuple(self.scopes.values())

    async def watch(self, sink: Callable[[], None]) -> None:
        self.sinks.append(sink)
        await asyncio.Event().wait()

    async def set(self, kill: Kill) -> None:
        self.scopes[kill.scope] = kill
        self._tell()

    async def named(self, scope: str) -> frozenset[int]:
        return frozenset(kill.at_ms for kill in self.scopes.values() if kill.scope == scope)

    async def lift(self, scope: str, at_ms: Collection[int]) -> bool:
        lifted = scope in self.scopes and self.scopes[scope].at_ms in at_ms
        if lifted:
            del self.scopes[scope]
        self._tell()
        return lifted

    async def armed(self) -> bool:
        return True

    async def rearm(self, kills: Sequence[Kill]) -> None:
        for kill in kills:
            await self.set(kill)

    def _tell(self) -> None:
        for sink in self.sinks:
            sink()


@dataclass(slots=True)
class OwnLedger:
    """Takes records as the writer does and keeps them."""

    records: list[LedgerRecord] = field(default_factory=list)

    def record(self, record: LedgerRecord) -> None:
        self.records.append(record)

    def behind_s(self) -> float:
        return 0.0

    def unrecorded(self, market: MarketId) -> int:
        del market
        return 0

    async def flush(self, timeout_s: float) -> bool:
        del timeout_s
        return True


class NoKillFile:
    """No KILL file on this machine."""

    def present(self) -> bool:
        return False


@dataclass(slots=True)
class Counts:
    """A session's meter that only counts."""

    answers: int = 0
    fills: int = 0

    def tick_to_wire(self, nanoseconds: int) -> None:
        """Not of interest."""

    def answered(self, outcome: BatchOutcome) -> None:
        self.answers += 1

    def denied(self, reason: str) -> None:
        """Not of interest."""

    def filled(self) -> None:
        self.fills += 1
