"""A second session of a market, begun behind everybody's back under an epoch that is over.

It is the product's own session over the real lease, board and venue; only its epoch is a lie.
"""

from decimal import Decimal

from activities.ports import ActivityPorts
from desk.permit import Permit
from desk.ports import Venue
from desk.quoting.parameters import QuoteParameters
from desk.risk.limits import RiskLimits
from quoting.loop import MarketLoop
from quoting.session import Session, SessionEnd, SessionPorts
from quoting.setup import LoopSetup
from tests.chaos.ground import Market

_LEASE_MS = 3_000
_WINDOW_S = 5.0
_OWNER = "forger"


async def forged_session(market: Market, epoch: int) -> SessionEnd:
    """Run one under this epoch until it gives up, or its window of some seconds is over."""
    async with market.control() as ports:
        venue = await ports.venues.venue(market.id.venue, market.id.account)
        session = await _session(market, ports, venue, epoch)
        return await session.run()


async def leases_refused(market: Market, epoch: int) -> bool:
    """Whether neither an old epoch nor one yet to come gets the lease of a live owner."""
    async with market.control() as ports:
        old = await ports.lease.acquire(market.id, epoch - 1, _OWNER, _LEASE_MS)
        same = await ports.lease.acquire(market.id, epoch, _OWNER, _LEASE_MS)
        new = await ports.lease.acquire(market.id, epoch + 1_000, _OWNER, _LEASE_MS)
    return not (old or same or new)


async def _session(market: Market, ports: ActivityPorts, venue: Venue, epoch: int) -> Session:
    listed = {item.symbol: item for item in await venue.instruments()}
    instrument, limits = listed[market.id.symbol], RiskLimits()
    permit = Permit(
        max_clock_offset_ms=limits.max_clock_offset_ms,
        max_ledger_behind_s=10.0,
        clock_offset_ms=await venue.clock_offset_ms(),
    )
    loop = MarketLoop(
        LoopSetup(
            market=market.id,
            instrument=instrument,
            epoch=epoch,
            parameters=QuoteParameters(spread_bps=Decimal(6)),
            limits=limits,
            capabilities=venue.capabilities,
            facts=await ports.ledger.facts(market.id, 0),
            known_since_ms=0,
            known=frozenset(),
        ),
        permit,
    )
    return Session(
        market=market.id,
        instrument=instrument,
        epoch=epoch,
        owner=_OWNER,
        lease_ttl_ms=_LEASE_MS,
        window_s=_WINDOW_S,
        audit_s=15.0,
        loop=loop,
        ports=SessionPorts(
            venue=venue,
            lease=ports.lease,
            board=ports.board,
            kill_file=ports.kill_file,
            ledger=ports.writer,
            clock=ports.clock,
            meter=ports.meter(market.id),
        ),
        report=lambda _: None,
    )
