"""The end of a fault test: every invariant over the venue's log, the ledger beside it.

Whatever a test did to a market, it says here; what does not hold fails it with all sentences.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

from desk.records import Kill, KillEffect, KillStage
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS
from flotilla.control import lift_kills
from flotilla.kills import tell_everybody
from tests.chaos.ground import Market
from tests.chaos.invariants import Facts, GateClosed, Orphaned, breaches

_MAX_POSITION = RiskLimits().max_position


async def judged(
    market: Market,
    *,
    gates: Sequence[GateClosed] = (),
    orphaned: Sequence[Orphaned] = (),
    flat_since: int | None = None,
    max_position: Decimal = _MAX_POSITION,
) -> None:
    """Hold the market to every rule; AssertionError names all that were broken."""
    async with market.control() as ports:
        venue = await ports.venues.venue(market.id.venue, market.id.account)
        listed = {item.symbol: item for item in await venue.instruments()}
        booked = await ports.ledger.fills(market.id)
    facts = Facts(
        instrument=listed[market.id.symbol],
        max_position=max_position,
        gates=tuple(gates),
        orphaned=tuple(orphaned),
        flat_since=flat_since,
    )
    found = breaches(await market.log(), facts, booked)
    assert not found, "; ".join(found)


@asynccontextmanager
async def killed(
    market: Market, scope: str, effect: KillEffect = KillEffect.STOP
) -> AsyncIterator[Kill]:
    """A kill told as the command tells it; lifted at the end, for other tests share both."""
    async with unlifted(market, scope, effect) as kill:
        print(await tell_everybody(market.settings, kill))  # noqa: T201 - None: told
        yield kill


@asynccontextmanager
async def unlifted(
    market: Market, scope: str, effect: KillEffect = KillEffect.STOP
) -> AsyncIterator[Kill]:
    """A kill that nobody was told of yet; what is told of it in the block is lifted at its end."""
    try:
        yield Kill(
            scope=scope,
            reason="fault test",
            by="test",
            at_ms=time.time_ns() // NS_PER_MS,
            effect=effect,
        )
    finally:
        async with market.control() as ports:
            await lift_kills(ports.board, ports.ledger, scope, by="test", reason="test is over")


async def gate_of(market: Market, kill: Kill) -> GateClosed | None:
    """When this market's session said that its gate was closed; None when none said so."""
    async with market.control() as ports:
        for answer in await ports.answers.answers(kill.scope, kill.at_ms):
            if answer.market == market.id and answer.stage is KillStage.GATE_CLOSED:
                return GateClosed(at_ms=answer.at_ms, exits=kill.effect is KillEffect.FLATTEN)
    return None
