"""The simulated venue of a hedge with one part exchanged: a network that holds, a slow book.

Everything that is not exchanged is the real adapter.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from activities.hedge import HedgeActivities
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, Fill, OrderOutcome, OutcomeKind, VenuePosition
from desk.ports import ExecutionPort
from desk.risk.approval import Approved
from tests.activities.hedger import Hedger


class Parts:
    """Something real with some of its attributes exchanged."""

    def __init__(self, real: object, **exchanged: object) -> None:
        self._real, self._exchanged = real, exchanged

    def __getattr__(self, name: str) -> Any:
        return self._exchanged[name] if name in self._exchanged else getattr(self._real, name)


class _Venues:
    def __init__(self, real: Any, exchange: Callable[[Any], Any]) -> None:
        self._real, self._exchange = real, exchange

    async def venue(self, name: str, account: str) -> Any:
        return self._exchange(await self._real.venue(name, account))


def exchange(hedger: Hedger, part: Callable[[Any], Any] | None) -> None:
    """Let the hedger's activities see the venue through `part`; None: as it is."""
    ports = hedger.desk.ports
    if part is not None:
        ports = replace(ports, venues=_Venues(ports.venues, part))
    hedger.activities = HedgeActivities(ports)


@dataclass
class HeldNetwork:
    """Orders do not arrive and are not answered, until the network lets go of them."""

    held: list[tuple[ExecutionPort, Approved[Batch], Instrument]] = field(default_factory=list)

    def __call__(self, venue: Any) -> Any:
        def send(batch: Approved[Batch], instrument: Instrument) -> Any:
            self.held.append((venue.execution, batch, instrument))
            return _lost(batch.value)

        return Parts(venue, execution=Parts(venue.execution, send=send))

    async def let_go(self) -> list[BatchOutcome]:
        """Everything that was held arrives now; the venue's answers."""
        return [
            await execution.send(batch, instrument) for execution, batch, instrument in self.held
        ]


@dataclass
class SlowBook:
    """The feed says nothing before it is let go; `asked` once somebody waits for it."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, venue: Any) -> Any:
        async def run(instrument: Instrument, sink: Callable[[Any], None]) -> None:
            self.asked.set()
            await self.go.wait()
            await venue.feed.run(instrument, sink)

        return Parts(venue, feed=Parts(venue.feed, run=run))


def late_lists(venue: Any) -> Any:
    """Fills and positions stay as empty as they were; orders go out and are answered."""

    async def position(instrument: Instrument) -> VenuePosition:
        return VenuePosition(symbol=instrument.symbol, lots=0)

    async def fills(instrument: Instrument, since_ms: int) -> Sequence[Fill]:
        del instrument, since_ms
        return ()

    return Parts(venue, account=Parts(venue.account, position=position, fills=fills))


def forgetful(venue: Any) -> Any:
    """A client order id is taken again once its order has ended."""
    capabilities = replace(venue.capabilities, ids_refused_for_good=False)
    return Parts(venue, capabilities=capabilities)


async def _lost(batch: Batch) -> BatchOutcome:
    return BatchOutcome(
        batch_id=batch.batch_id,
        orders=tuple(
            OrderOutcome(client_order_id=order.client_order_id, kind=OutcomeKind.UNRESOLVED)
            for order in batch.orders
        ),
        old_gone=None,
        sent_ns=0,
    )
