"""The background writer of one process: recording costs an append, PostgreSQL may be away.

The rule: a record leaves the backlog only when it is in PostgreSQL, or on the disk in the spool.
Everything is written so that writing it twice changes nothing; hence every doubt is a retry.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.ports import AlertPort, Clock
from desk.records import LedgerRecord
from infra.postgres.backlog import Backlog
from infra.postgres.engine import Database, sentence
from infra.postgres.journal import write_batch
from infra.postgres.refusal import is_refusal
from infra.postgres.spool import Spool, Spooled

_log = structlog.get_logger(__name__)

BATCH: Final = 200
"""Handing a batch to the driver holds the event loop, a millisecond for so many records."""

PAUSE_S: Final = 0.05
FIRST_BACKOFF_S: Final = 0.05
LAST_BACKOFF_S: Final = 2.0


class PostgresLedgerWriter:
    """The LedgerWriter over PostgreSQL. `run` must be running for anything to be written.

    `drain_s` bounds how long a cancelled `run` goes on writing before it spools the rest.
    """

    def __init__(
        self,
        *,
        database: Database,
        spool: Spool,
        clock: Clock,
        alerts: AlertPort,
        bound: int = 100_000,
        drain_s: float = 3.0,
    ) -> None:
        self._database = database
        self._spool = spool
        self._clock = clock
        self._alerts = alerts
        self._drain_s = drain_s
        self._backlog = Backlog(bound=bound)
        self._batch = BATCH
        self._backoff_s = FIRST_BACKOFF_S
        self._spooled: Sequence[Spooled] = ()
        self._put_aside = 0
        self._ended = False
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._progress = asyncio.Event()

    def record(self, record: LedgerRecord) -> None:
        """Queue one record, from the event loop's thread; after `run` ended, spool it at once."""
        self._backlog.add(record, self._clock.monotonic_ns())
        if self._ended:
            self._spool_rest()
            return
        self._some.set()
        if len(self._backlog) >= self._batch:
            self._enough.set()

    def behind_s(self) -> float:
        """Age in seconds of the oldest record not yet written; 0 when all is written."""
        oldest = self._backlog.oldest()
        return (self._clock.monotonic_ns() - oldest.since_ns) / 1e9 if oldest else 0.0

    def unrecorded(self, market: MarketId) -> int:
        """Orders of this market handed over to be sent and neither written nor spooled yet."""
        return self._backlog.intents(market)

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything queued so far is in PostgreSQL.

        False on time-out, and when a record was put aside meanwhile.
        """
        last, put_aside = self._backlog.newest, self._put_aside
        try:
            async with asyncio.timeout(timeout_s):
                while self._waits(last):
                    self._enough.set()
                    await self._progress.wait()
        except TimeoutError:
            return False
        return put_aside == self._put_aside and not self._ended

    async def run(self) -> None:
        """Load the spool and write until cancelled; then drain for a bounded time and spool."""
        try:
            self._load_spool()
            while True:
                await self._some.wait()
                self._some.clear()
                while self._backlog:
                    await self._gather()
                    await self._write()
        finally:
            try:
                await self._drain()
            finally:
                self.close()

    def close(self) -> None:
        """Spool whatever is left; from now on records are spooled at once.

        `run` does this at its end. The wiring calls it too, once the task is over, because a task
        that is cancelled before its first step never runs at all.
        """
        self._ended = True
        self._spool_rest()
        self._tell_progress()

    def _waits(self, last: int) -> bool:
        oldest = self._backlog.oldest()
        return oldest is not None and oldest.number <= last

    async def _gather(self) -> None:
        """Let a batch fill up for a moment, so that a quiet market costs few transactions."""
        if len(self._backlog) < self._batch:
            try:
                async with asyncio.timeout(PAUSE_S):
                    await self._enough.wait()
            except TimeoutError:
                pass
        self._enough.clear()

    async def _write(self) -> None:
        """Write one batch, or narrow it to what is refused, or sleep a back-off."""
        batch = self._backlog.head(self._batch)
        try:
            await self._database.attempt(lambda connection: write_batch(connection, batch))
        except Exception as error:  # noqa: BLE001 - whatever it was, the batch is kept or put aside
            if not is_refusal(error):
                await self._back_off(error)
            else:
                await self._narrow(batch, error)
        else:
            self._written(len(batch))

    def _written(self, size: int) -> None:
        self._backlog.drop(size)
        self._batch = min(self._batch * 2, BATCH)
        self._backoff_s = FIRST_BACKOFF_S
        self._settle_spool()
        self._tell_progress()

    async def _back_off(self, error: Exception) -> None:
        _log.warning(
            "ledger waits for postgres",
            error=sentence(error),
            behind_s=round(self.behind_s(), 3),
            records=len(self._backlog),
        )
        await asyncio.sleep(self._backoff_s)
        self._backoff_s = min(self._backoff_s * 2, LAST_BACKOFF_S)

    async def _narrow(self, batch: list[LedgerRecord], error: Exception) -> None:
        """Halve the batch until the refused record stands alone, then put it aside."""
        if len(batch) > 1:
            self._batch = len(batch) // 2
            return
        try:
            path = self._spool.put_aside(batch[0], sentence(error))
        except OSError as trouble:
            await self._back_off(trouble)
            return
        self._put_aside += 1
        self._written(1)
        kind = type(batch[0]).__name__
        text = f"ledger: a {kind} was refused ({sentence(error)}); kept in {path}"
        try:
            await self._alerts.alert(batch[0].market, "error", text)
        except Unavailable:
            _log.warning("alert only logged", kind=kind)

    def _load_spool(self) -> None:
        try:
            self._spooled = self._spool.waiting()
        except OSError:
            _log.exception("ledger spool cannot be read")
        for spooled in reversed(self._spooled):
            _log.warning("spool found", path=str(spooled.path), records=len(spooled.records))
            self._backlog.add_spooled(spooled.records, self._clock.monotonic_ns())
        if self._backlog:
            self._some.set()
        self._settle_spool()

    def _settle_spool(self) -> None:
        if not self._spooled or self._backlog.holds_spooled():
            return
        try:
            for spooled in self._spooled:
                self._spool.done(spooled)
        except OSError:
            _log.exception("ledger spool cannot be removed; it will be written again")
        self._spooled = ()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._drain_s):
                while self._backlog:
                    await self._write()
        except TimeoutError:
            _log.warning("ledger drain ran out of time", records=len(self._backlog))

    def _spool_rest(self) -> None:
        rest = self._backlog.unsaved()
        if not rest:
            self._backlog.clear()
            return
        try:
            path = self._spool.keep(rest)
        except OSError:
            _log.exception("ledger spool failed", records=[repr(record) for record in rest])
            return
        self._backlog.clear()
        _log.warning("ledger spooled", path=str(path), records=len(rest))

    def _tell_progress(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()
