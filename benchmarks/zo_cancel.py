"""Emergency cancel of 100 resting orders at 01.xyz, every answer 20 ms late, on evidence.

The venue has no cancel-all and states no limits; so also where it enforces those we assume.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

import uvloop

from benchmarks.cores import keep_to, split
from benchmarks.fleet import LIMITS
from benchmarks.results import Row, Table
from benchmarks.zo_venue import ZoPlan, adapter, held, serving_zo, settings, unlimited
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, NewOrder, OutcomeKind
from desk.ports import Venue
from desk.risk.approval import Approved
from desk.risk.gate import GateContext, GateLimits, review
from desk.units import NS_PER_S, Side
from infra.clock import SystemClock
from quoting.clearing import clear
from venues.zo import ZoConfig

_ORDERS = 100
_LEVELS = 5
_LATENCY_S = 0.02
_MID, _LOTS = 30_000, 10
_GIVE_UP_S = 60.0
_WINDOW_S = 1.2
"""Longer than the venue counts, so that no run finds what another has used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What the venue enforces, in atomics a second, and whether the adapter was running before."""

    what: str
    cancels_per_s: int | None = None
    warm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Seconds until the venue listed nothing, once and twice, and calls of cancel-all."""

    once_s: float
    twice_s: float
    calls: int


def run(*, quick: bool) -> Table:
    """Seconds from the call to the evidence; median and longest of a few runs."""
    return uvloop.run(_all(2 if quick else 5))


async def _all(runs: int) -> Table:
    ours, theirs = split()
    keep_to(ours)
    config = settings("http://127.0.0.1:1")
    limit, size = config.cancels_per_s, config.max_subactions
    cases = (
        _Case(what="venue enforces no limit"),
        _Case(what="the same, adapter just made: no session yet", warm=False),
        _Case(what=f"venue enforces {limit}/s, an atomic counts once", cancels_per_s=limit),
        _Case(what=f"venue enforces {limit}/s, every order counts", cancels_per_s=limit // size),
    )
    rows = [_row(case, await _measured(case, tuple(theirs), runs)) for case in cases]
    return Table(
        name=f"zo_cancel: {_ORDERS} resting orders, {_LATENCY_S * 1_000:.0f} ms an answer",
        rows=tuple(rows),
        notes=_notes(config),
    )


def _row(case: _Case, seen: list[_Seen]) -> Row:
    once = [one.once_s for one in seen]
    return Row(
        what=case.what,
        figures={
            "p50 s": median(once),
            "longest s": max(once),
            "listed twice s": median(one.twice_s for one in seen),
            "calls": median(one.calls for one in seen),
            "n": len(seen),
        },
    )


def _notes(config: ZoConfig) -> tuple[str, ...]:
    """The limits as configured, and what they alone would cost; a second's burst is free."""
    atomics = -(-_ORDERS // config.max_subactions)
    waits = [(count - 1) // config.cancels_per_s for count in (atomics, _ORDERS)]
    configured = (
        f"{config.orders_per_s} orders/s, {config.cancels_per_s} cancels/s, "
        f"{config.requests_per_min} requests/min, {config.reserve_for_cancel} of them for cancels"
    )
    counted = f"{waits[0]} s and the answers when an atomic counts once, {waits[1]} s by the order"
    return (
        f"configured (defaults): {configured}",
        f"{_ORDERS} orders: {atomics} atomics of {config.max_subactions}, {atomics + 2} requests",
        f"within {config.cancels_per_s} cancels/s: at least {counted}",
        "cancel-all is counted against these limits but does not wait for them, only for a 429",
        "p50, longest: until the venue listed nothing; listed twice: again after settling",
        "target: 1 s",
    )


async def _measured(case: _Case, cores: tuple[int, ...], runs: int) -> list[_Seen]:
    plan = ZoPlan(latency_s=_LATENCY_S, cancels_per_s=case.cancels_per_s, cores=cores)
    seen = []
    async with (
        serving_zo(plan) as where,
        held(unlimited(where), SystemClock()) as placer,
        _canceller(case, where) as warm,
    ):
        (instrument,) = await placer.instruments()
        for number in range(runs):
            await _place(placer, instrument, number)
            await asyncio.sleep(_WINDOW_S)
            if warm is not None:
                seen.append(await _cleared(warm, instrument))
                continue
            cold = adapter(settings(where), SystemClock(), seed=number)
            seen.append(await _cleared(cold, instrument))
            await cold.close()
    return seen


@asynccontextmanager
async def _canceller(case: _Case, where: str) -> AsyncIterator[Venue | None]:
    """The adapter that cancels, with the limits of its defaults; None to make one a run."""
    if not case.warm:
        yield None
        return
    async with held(settings(where), SystemClock(), seed=1) as venue:
        yield venue


async def _cleared(venue: Venue, instrument: Instrument) -> _Seen:
    clock = SystemClock()
    begun_ns = clock.monotonic_ns()
    report = await clear(venue, instrument, clock, give_up_s=_GIVE_UP_S)
    assert report.verified, report
    assert report.confirmed_ns is not None
    assert report.verified_ns is not None
    return _Seen(
        once_s=(report.confirmed_ns - begun_ns) / NS_PER_S,
        twice_s=(report.verified_ns - begun_ns) / NS_PER_S,
        calls=report.attempts,
    )


async def _place(venue: Venue, instrument: Instrument, number: int) -> None:
    """Let 100 orders rest, ten a batch, each at a price of its own."""
    tag = MarketId("zo", "main", instrument.symbol).tag
    count = _ORDERS // (2 * _LEVELS)
    for place in range(count):
        cycle = 1 + number * count + place
        orders = tuple(
            NewOrder(
                client_order_id=OrderIdentity(tag=tag, epoch=1, cycle=cycle, slot=slot).encode(),
                slot=slot,
                side=slot.side,
                price=_MID - int(slot.side.sign) * (10 + place * _LEVELS + slot.level),
                lots=_LOTS,
            )
            for slot in (Slot(side, level) for side in Side for level in range(_LEVELS))
        )
        batch = Batch(batch_id=f"b{cycle}", symbol=instrument.symbol, orders=orders)
        outcome = await venue.execution.send(_approved(batch, instrument), instrument)
        assert all(one.kind is OutcomeKind.ACCEPTED for one in outcome.orders), outcome
    listed = await venue.account.open_orders(instrument)
    assert len(listed) == _ORDERS, len(listed)


def _approved(batch: Batch, instrument: Instrument) -> Approved[Batch]:
    context = GateContext(
        limits=GateLimits.of(instrument, LIMITS),
        mid_x2=2 * _MID,
        book_age_ns=0,
        account_age_ns=0,
        position=0,
        working=(),
        orders_last_minute=0,
    )
    verdict = review(batch, context)
    assert isinstance(verdict, Approved), verdict
    return verdict
