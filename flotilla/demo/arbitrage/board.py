"""What is known of the sets now: status, the run's heartbeat, and trades on record, kept fresh.

The rule: a service that does not answer for a moment changes nothing; the last look stays.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError

from desk.arbitrage_ports import ArbitrageBook
from desk.arbitrage_records import ArbitrageTrade
from desk.errors import Unavailable
from flotilla.arbitrage import Handle
from flotilla.demo.arbitrage.sets import Scene, ShownSet
from flotilla.starting import QUERY
from quoting.arbitrage.report import RunLook
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import ArbitrageStatus

_EVERY_S: Final = 0.4
_TRADES: Final = 50


class SetEnded(Exception):
    """The set's workflow is over; nothing more will happen to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetNow:
    """One set at one moment. `look` is of its run's last heartbeat; trades are newest first."""

    status: ArbitrageStatus | None = None
    look: RunLook = field(default_factory=RunLook)
    trades: tuple[ArbitrageTrade, ...] = ()
    running: bool = True

    @property
    def ready(self) -> bool:
        """Whether it watches, and may fire."""
        return self.look.state == "watching" and self.look.looks > 0 and not self.look.gate


class Board:
    """Looks at all sets, again and again, while `watch` runs."""

    def __init__(
        self,
        client: Client,
        trades: ArbitrageBook,
        sets: tuple[ShownSet, ...],
        handles: Mapping[Scene, Handle],
    ) -> None:
        self._client = client
        self._trades = trades
        self._sets = sets
        self._handles = handles
        self._now = {one.scene: SetNow() for one in sets}
        self._turn = asyncio.Event()

    def now(self, scene: Scene) -> SetNow:
        """The last look."""
        return self._now[scene]

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            for one in self._sets:
                with suppress(RPCError, WorkflowQueryFailedError, Unavailable):
                    self._now[one.scene] = await self._read(one)
            done, self._turn = self._turn, asyncio.Event()
            done.set()
            await asyncio.sleep(_EVERY_S)

    async def until(self, scene: Scene, holds: Callable[[SetNow], bool]) -> SetNow:
        """Wait for a look at which this holds. SetEnded when the set ends before."""
        while not holds(now := self._now[scene]):
            if not now.running:
                raise SetEnded(f"the set ended: {now.status.reason if now.status else 'unknown'}")
            await self._turn.wait()
        return now

    async def _read(self, one: ShownSet) -> SetNow:
        handle = self._handles[one.scene]
        status = await handle.query(ArbitrageWorkflow.status, rpc_timeout=QUERY)
        described = await handle.describe()
        look = RunLook()
        for pending in described.raw_description.pending_activities:
            if pending.heartbeat_details.payloads:
                (look,) = await self._client.data_converter.decode(
                    pending.heartbeat_details.payloads, [RunLook]
                )
        return SetNow(
            status=status,
            look=look,
            trades=tuple(await self._trades.recent(_TRADES, one.name)),
            running=described.status is WorkflowExecutionStatus.RUNNING,
        )
