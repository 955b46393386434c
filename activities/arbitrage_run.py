"""Hosts one live run of a set: fresh epochs, every leg's lease, claims armed, and all given back.

The one rule: nothing runs before every lease is ours, and whatever ends it, leases are given back,
so that only a process that died leaves some to run out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from decimal import Decimal

from temporalio import activity
from temporalio.service import RPCError

from activities.arbitrage_messages import RunSetInput, RunSetResult, SetPlan
from activities.arbitrage_open import Listed, rearm_claims
from activities.arbitrage_waiver import waiver_on_record
from activities.listing import listed
from activities.ports import ActivityPorts
from activities.recovery import next_epoch
from desk.arbitrage.rules import ArbitrageRules
from desk.arbitrage.sets import triangles
from desk.arbitrage_records import ClaimRecord, SetLeg
from desk.errors import Unavailable
from desk.identity import MarketId
from desk.permit import Permit
from desk.units import NS_PER_MS, Side
from quoting.arbitrage.ports import LegMarket, SetPorts
from quoting.arbitrage.report import RunLook, RunOrder, RunReport, SetKind
from quoting.arbitrage.run import SetRun
from quoting.permission import standing_kills

_LEASE_LOOK_S = 0.3
_PATIENCE_S = 10.0
_FENCE_TRIES = 8
_REPORT_EVERY_S = 60.0
_FIRST_REPORT_S = 2.0
_LEAST_CAPITAL = Decimal("0.000001")


class HostedRun:
    """One run in one activity; `look` is what heartbeats show of it."""

    def __init__(self, ports: ActivityPorts, request: RunSetInput) -> None:
        self._ports = ports
        self._request = request
        self._plan = request.plan
        self._run: SetRun | None = None
        self._doing = "looking at the legs"

    @property
    def look(self) -> RunLook:
        """Picture of this moment."""
        return RunLook(reason=self._doing) if self._run is None else self._run.look

    async def run(self) -> RunSetResult:
        """Take the legs, run, give them back. Raises what the ports raise."""
        ports, plan = self._ports, self._plan
        # All legs at once: something may be owed since a worker died.
        legs = await asyncio.gather(*(self._listed(market) for market in plan.legs))
        given = await asyncio.gather(*(self._leg_epoch(market) for market in plan.legs))
        epochs = dict(zip(plan.legs, given, strict=True))
        epoch = await self._set_epoch(legs, epochs)
        async with self._leases(epochs):
            self._doing = "arming claims"
            record = await rearm_claims(ports, plan)
            waived = await waiver_on_record(ports, plan, self._request.waived)
            with suppress(Unavailable):  # a board nobody can read grants nothing by itself
                await standing_kills(ports.board, ports.ledger, plan.home)
            asked_ns = ports.clock.monotonic_ns()
            # All this may have taken longer than a lease; taking them again proves they are ours.
            if not await self._acquire(epochs):
                raise Unavailable("a leg's lease was lost while the run was prepared")
            rules = rules_left(plan, record, legs[0].instrument.quote)
            run = self._made(legs, epochs, epoch, asked_ns, rules, waived)
            self._run = run
            async with self._telling(run):
                report = await _lone_fault(run.run())
        return RunSetResult(report=report, waived=report.waived)

    async def _listed(self, market: MarketId) -> Listed:
        venue, instrument = await listed(self._ports.venues, market)
        await self._ports.ledger.remember_instrument(instrument)
        return Listed(market=market, venue=venue, instrument=instrument)

    # --- epochs ------------------------------------------------------------------------------

    async def _leg_epoch(self, market: MarketId) -> int:
        return await next_epoch(self._ports, market, self._plan.owner, self._request.run_id)

    async def _set_epoch(self, legs: Sequence[Listed], epochs: Mapping[MarketId, int]) -> int:
        """Next epoch of the set, above its legs' and above any that claims have seen.

        Recorded with the legs' epochs before anything is sent: should this run die, its orders'
        ids follow from them.
        """
        ports, plan, beyond = self._ports, self._plan, max(epochs.values())
        sides = self._sides(legs)
        kept = [
            SetLeg(market=market, side=sides[market], epoch=epochs[market]) for market in plan.legs
        ]
        for _ in range(_FENCE_TRIES):
            epoch = await ports.trades.open_set(
                plan.name, plan.kind.value, kept, plan.owner, self._request.run_id, beyond=beyond
            )
            if await ports.claims.fence(plan.name, epoch):
                return epoch
            beyond = 2 * epoch  # Postgres was restored from an older state, or another run began
        raise Unavailable(f"claims know a higher epoch of {plan.name} than {epoch}")

    def _sides(self, legs: Sequence[Listed]) -> Mapping[MarketId, Side]:
        plan = self._plan
        if plan.kind is SetKind.OUTCOME_SET:
            return dict.fromkeys(plan.legs, Side.BUY)
        # A pair that trades no more is taken as if it did: what is owed there is still told.
        members = [(leg.market, replace(leg.instrument, active=True)) for leg in legs]
        around = triangles(plan.name, members)[0]
        return {leg.market: leg.side for leg in around.legs}

    # --- leases ------------------------------------------------------------------------------

    @asynccontextmanager
    async def _leases(self, epochs: Mapping[MarketId, int]) -> AsyncIterator[None]:
        """Hold every leg's lease; a dead owner's runs out first. Unavailable when one does not."""
        try:
            await self._wait_for_leases(epochs)
            yield
        finally:
            await asyncio.shield(asyncio.create_task(self._give_back(epochs)))

    async def _wait_for_leases(self, epochs: Mapping[MarketId, int]) -> None:
        self._doing = "waiting for the legs' leases"
        for _ in range(int(_PATIENCE_S / _LEASE_LOOK_S)):
            if await self._acquire(epochs):
                return
            await asyncio.sleep(_LEASE_LOOK_S)
        held = await self._ports.holders.holders(self._plan.legs)
        whose = ", ".join(
            f"{market.path} by {owner}"
            for market, owner in held.items()
            if owner != self._plan.owner
        )
        raise Unavailable(f"legs are held by others and stay held: {whose or 'their epochs grew'}")

    async def _acquire(self, epochs: Mapping[MarketId, int]) -> bool:
        """Take, or keep, every lease; whether all are ours."""
        plan, lease = self._plan, self._ports.lease
        taken = await asyncio.gather(
            *(
                lease.acquire(market, epoch, plan.owner, plan.lease_ttl_ms)
                for market, epoch in epochs.items()
            )
        )
        return all(taken)

    async def _give_back(self, epochs: Mapping[MarketId, int]) -> None:
        for market, epoch in epochs.items():
            with suppress(Unavailable):  # it runs out by itself
                await self._ports.lease.release(market, epoch, self._plan.owner)

    # --- the run -----------------------------------------------------------------------------

    def _made(
        self,
        legs: Sequence[Listed],
        epochs: Mapping[MarketId, int],
        epoch: int,
        asked_ns: int,
        rules: ArbitrageRules,
        waived: tuple[int, ...],
    ) -> SetRun:
        ports, plan, request = self._ports, self._plan, self._request
        order = RunOrder(
            name=plan.name,
            kind=plan.kind,
            legs=plan.legs,
            owner=plan.owner,
            run_id=request.run_id,
            rules=rules,
            limits=plan.limits,
            lease_ttl_ms=plan.lease_ttl_ms,
            window_s=request.window_s,
            rounds=plan.rounds,
            phase=request.phase,
            watch=request.watch,
            waived=waived,
        )
        return SetRun(
            order,
            epoch=epoch,
            legs=[
                LegMarket(
                    market=leg.market,
                    venue=leg.venue,
                    instrument=leg.instrument,
                    epoch=epochs[leg.market],
                    permit=self._permit(asked_ns),
                )
                for leg in legs
            ],
            ports=SetPorts(
                lease=ports.lease,
                board=ports.board,
                kill_file=ports.kill_file,
                writer=ports.writer,
                ledger=ports.ledger,
                claims=ports.claims,
                trades=ports.trades,
                waivers=ports.waivers,
                clock=ports.clock,
                gates=ports.gates,
            ),
        )

    def _permit(self, asked_ns: int) -> Permit:
        """All that is known is the lease; the run's own watch learns the rest."""
        ports, plan = self._ports, self._plan
        return Permit(
            max_clock_offset_ms=plan.limits.max_clock_offset_ms,
            max_ledger_behind_s=plan.max_ledger_behind_s,
            max_unrecorded_intents=ports.max_unrecorded_intents,
            kill_file=ports.kill_file.present(),
            lease_until_ns=asked_ns + plan.lease_ttl_ms * NS_PER_MS,
        )

    @asynccontextmanager
    async def _telling(self, run: SetRun) -> AsyncIterator[None]:
        """Give the workflow's page a fresh picture now and then; losing one is no matter."""

        async def keep_on() -> None:
            info, wait_s = activity.info(), _FIRST_REPORT_S
            while True:
                await asyncio.sleep(wait_s)
                wait_s = _REPORT_EVERY_S
                handle = activity.client().get_workflow_handle(info.workflow_id or "")
                with suppress(RPCError):
                    await handle.signal("report", run.look)

        telling = asyncio.create_task(keep_on())
        try:
            yield
        finally:
            telling.cancel()


async def _lone_fault(running: Awaitable[RunReport]) -> RunReport:
    """What it gives; the first fault of its tasks as itself, for that is what is told."""
    try:
        return await running
    except BaseExceptionGroup as group:
        fault: BaseException = group
        while isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        raise fault from group


def rules_left(plan: SetPlan, record: ClaimRecord, quote: str) -> ArbitrageRules:
    """The rules, with the capital that the set's earlier trades have not locked.

    A round of a triangle locks nothing once it is over.
    """
    if plan.kind is not SetKind.OUTCOME_SET:
        return plan.rules
    locked = sum(
        held.amount
        for trade in record.trades
        if trade.key.set_name == plan.name
        for held in trade.capital
        if held.quote == quote
    )
    return replace(plan.rules, max_capital=max(_LEAST_CAPITAL, plan.rules.max_capital - locked))
