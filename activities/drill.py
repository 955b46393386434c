"""What a drill asks the world: may it begin, pull the brake, clean up, record.

The one rule: only a market that the settings mark for drills is ever touched, and never while a
kill covers it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.beating import beat, beating
from activities.drill_messages import DrillDone, DrillInput, DrillReady, DrillSeen
from activities.failures import as_application_errors
from activities.listing import chosen, listed
from activities.ports import ActivityPorts
from activities.recovery import next_epoch
from desk.control_ports import KillAnswers
from desk.drills import Drill
from desk.errors import ConfigurationFault, Unavailable, VenueError
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.ports import Venue
from desk.records import KillStage
from desk.units import NS_PER_MS
from quoting.clearing import clear
from quoting.lone_order import LoneOrder, place, smallest_lots
from quoting.permission import standing_kills, wait_for_lease, why_too_many_unrecorded
from quoting.taking import read_book

_LOOK_S = 0.1
_QUOTES_S = 90.0
_SHOWN_S = 10.0
_LEASE_MS = 3_000
_CLEAN_S = 60.0
_ASK = timedelta(seconds=10)


class DrillActivities:
    """Activities of one worker; `ports.drills` says where drills may happen."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def prepare_drill(self, request: DrillInput) -> DrillReady:
        """Check that this market may be drilled now. ConfigurationFault in a sentence if not."""
        with as_application_errors():
            market = request.market
            if market not in self._ports.drills.markets:
                raise ConfigurationFault(
                    f"market: {market.path} is not marked for drills; name it in "
                    "FLOTILLA_DRILL_MARKETS of the workers, and never one that earns money"
                )
            if await self._ports.lease.shared(market):
                raise ConfigurationFault(
                    f"account: another market of {market.venue}/{market.account} is at work; "
                    "a drill needs an account of its own"
                )
            if await self._runs(f"market/{market.path}"):
                raise ConfigurationFault(f"market: {market.path} runs already; stop it first")
            held = await self._ports.holders.holders([market])
            if market in held:
                raise ConfigurationFault(
                    f"market: {market.path} is held by {held[market]}; stop it first"
                )
            await self._refuse_killed(market)
            venue, instrument = await chosen(self._ports.venues, market)
            if lots := (await venue.account.position(instrument)).lots:
                raise ConfigurationFault(
                    f"market: {market.path} holds {lots} lots; flatten it before a drill"
                )
            book = await read_book(venue, instrument)
            if book.mid_x2 is None:
                raise Unavailable("the book was lost while it was read")
            mid = book.mid_x2 // 2
            least = instrument.notional(mid, smallest_lots(instrument, mid) + 1)
            if least > request.max_notional:
                raise ConfigurationFault(
                    f"max_notional: {request.max_notional} is less than the smallest order of "
                    f"{market.symbol}, about {least:.2f}; raise it"
                )
        return DrillReady(level_notional=min(least * 2, request.max_notional))

    @activity.defn
    async def see_quotes(self, request: DrillInput) -> DrillSeen:
        """Wait until the venue lists an order of the market."""
        with as_application_errors():
            venue, instrument = await listed(self._ports.venues, request.market)
            waited_ms = await self._until_listed(venue, instrument, wanted=True, within_s=_QUOTES_S)
        if waited_ms is None:
            raise ApplicationError("the market showed no quotes", type="DrillFailed")
        return DrillSeen(facts=(f"quotes rest at {self._now_ms()}",))

    @activity.defn
    async def drill_kill(self, request: DrillInput) -> DrillSeen:
        """Give the kill as a person gives it in the Temporal UI, and time what follows.

        It asks for a flatten, and is known by `kill_at_ms`. Never in place of somebody else's.
        """
        market = request.market
        scope = f"market:{market.path}"
        with as_application_errors():
            venue, instrument = await listed(self._ports.venues, market)
            await self._refuse_killed(market)
            asked_ms = self._now_ms()
            control = activity.client().get_workflow_handle(f"control/{request.fleet}")
            said = {
                "scope": scope,
                "by": "drill",
                "reason": f"kill drill {request.run_id}",
                "flatten": True,
                "at_ms": request.kill_at_ms,
            }
            await control.signal("kill", said)
            waited_ms = await self._until_listed(
                venue, instrument, wanted=False, within_s=request.within_s
            )
            facts = [f"kill asked for at {asked_ms}"]
            if waited_ms is None:
                raise ApplicationError(
                    f"orders still rested {request.within_s} s after the kill", type="DrillFailed"
                )
            facts.append(f"venue lists zero, twice, {waited_ms} ms later")
            answered = await self._answered(scope, request.kill_at_ms, request.within_s)
            if not answered:
                raise ApplicationError(
                    f"the market did not answer the kill within {request.within_s} s",
                    type="DrillFailed",
                )
        return DrillSeen(facts=(*facts, *answered))

    @activity.defn
    async def drill_dead_man(self, request: DrillInput) -> DrillSeen:
        """Leave an order resting under a lease nobody renews; somebody else must take it away."""
        with as_application_errors():
            venue, instrument, epoch = await self._rest_alone(request)
            owner = _owner(request)
            async with beating():
                await self._ports.lease.renew(request.market, epoch, owner, _LEASE_MS)
                silent_ms = self._now_ms()
                waited_ms = await self._until_listed(
                    venue, instrument, wanted=False, within_s=request.within_s
                )
            if waited_ms is None:
                raise ApplicationError(
                    f"the order of a silent session rested for {request.within_s} s: no guardian "
                    "took it away",
                    type="DrillFailed",
                )
        return DrillSeen(
            facts=(
                f"epoch {epoch} fell silent at {silent_ms}, its lease of {_LEASE_MS} ms running",
                f"venue lists zero, twice, {waited_ms} ms later",
            )
        )

    @activity.defn
    async def drill_panic(self, request: DrillInput) -> DrillSeen:
        """Have the panic command, which knows of no service of ours, empty the account."""
        market = request.market
        with as_application_errors():
            venue, instrument, epoch = await self._rest_alone(request)
            async with beating(), self._held(request, epoch):
                asked_ms = self._now_ms()
                said = await self._ports.drills.panic(market.venue, market.account)
                took_ms = self._now_ms() - asked_ms
                left = len(await venue.account.open_orders(instrument))
                position = (await venue.account.position(instrument)).lots
            await self._ports.lease.release(market, epoch, _owner(request))
            if said.exit_code or left:
                raise ApplicationError(
                    f"panic ended with {said.exit_code}, and the venue lists {left} orders; it "
                    f"said: {said.output[-500:]}",
                    type="DrillFailed",
                )
        return DrillSeen(
            facts=(
                f"panic asked for at {asked_ms}, done {took_ms} ms later",
                f"venue lists zero orders; position {position} lots",
                *(line for line in said.output.splitlines() if line.strip()),
            )
        )

    @activity.defn
    async def clean_drill(self, request: DrillInput) -> None:
        """Leave nothing of a drill behind: no order, no kill of its own. DrillFailed with lots."""
        with as_application_errors():
            venue, instrument = await listed(self._ports.venues, request.market)
            report = await clear(
                venue, instrument, self._ports.clock, give_up_s=_CLEAN_S, beat=beat
            )
            if not report.verified:
                raise ApplicationError(f"orders not cleared: {report.message}", type="NotCleared")
            if venue.dead_man is not None:
                with suppress(VenueError):  # it runs out by itself, which is safe
                    await venue.dead_man.release(request.market.path)
            if request.kill_at_ms:
                await self._lift(request)
            if lots := (await venue.account.position(instrument)).lots:
                raise ApplicationError(
                    f"{lots} lots are left at {request.market.path}; flatten them",
                    type="DrillFailed",
                    non_retryable=True,
                )

    @activity.defn
    async def record_drill(self, done: DrillDone) -> None:
        """Keep what a drill proved, and tell a person when it failed."""
        with as_application_errors():
            await self._ports.drills.book.record(
                Drill(
                    kind=done.kind,
                    market=done.market,
                    run_id=done.run_id,
                    began_at_ms=done.began_at_ms,
                    ended_at_ms=done.ended_at_ms,
                    passed=done.passed,
                    message=done.message,
                    evidence=done.evidence,
                )
            )
            if not done.passed:
                await self._ports.alerts.alert(
                    done.market,
                    "critical",
                    f"{done.kind.value} drill failed: {done.message}; nothing starts until it is "
                    "acknowledged with 'flotilla drill acknowledge'",
                )

    # --- steps -------------------------------------------------------------------------------

    async def _rest_alone(self, request: DrillInput) -> tuple[Venue, Instrument, int]:
        """One order at the venue under a fresh epoch and lease, as a session would leave it."""
        market = request.market
        venue, instrument = await listed(self._ports.venues, market)
        await clear(venue, instrument, self._ports.clock, give_up_s=_SHOWN_S, beat=beat)
        await self._ports.ledger.remember_instrument(instrument)
        epoch = await next_epoch(self._ports, market, _owner(request), request.run_id)
        await wait_for_lease(
            self._ports.lease, market, epoch, _owner(request), _LEASE_MS, beat=beat
        )
        async with beating(), self._held(request, epoch):
            if venue.dead_man is not None:
                await venue.dead_man.keep(market.path)
            await place(
                LoneOrder(market=market, epoch=epoch, max_notional=request.max_notional),
                instrument,
                venue,
                self._ports.writer,
                self._ports.clock,
                permitted=lambda: self._refuse_lost(request, epoch),
            )
            shown = await self._until_listed(venue, instrument, wanted=True, within_s=_SHOWN_S)
        if shown is None:
            raise ApplicationError("the venue did not list the drill's order", type="DrillFailed")
        return venue, instrument, epoch

    async def _refuse_killed(self, market: MarketId) -> None:
        """Killed, in a sentence, while any kill covers the market; Unavailable when unknown."""
        kills = await standing_kills(self._ports.board, self._ports.ledger, market)
        kills = self._ports.gates.merged(market, tuple(kills))
        why = ""
        if self._ports.kill_file.present():
            why = "the KILL file is present; remove it before a drill"
        elif kills:
            kill = kills[0]
            why = (
                f"killed at scope {kill.scope} by {kill.by} ({kill.reason}); lift it before a drill"
            )
        if why:
            raise ApplicationError(f"{market.path}: {why}", type="Killed", non_retryable=True)

    async def _refuse_lost(self, request: DrillInput, epoch: int) -> None:
        """Raise unless the drill's order may be sent now: no kill, our lease, a ledger in time."""
        ours = await self._ports.lease.renew(request.market, epoch, _owner(request), _LEASE_MS)
        if not ours:
            raise Unavailable(f"the lease of {request.market.path} is not the drill's any more")
        most = self._ports.max_unrecorded_intents
        if why := why_too_many_unrecorded(self._ports.writer, request.market, most):
            raise Unavailable(f"{request.market.path}: {why}")
        await self._refuse_killed(request.market)

    @asynccontextmanager
    async def _held(self, request: DrillInput, epoch: int) -> AsyncIterator[None]:
        """The lease renewed while the block runs."""

        async def renew() -> None:
            while True:
                with suppress(Unavailable):
                    await self._ports.lease.renew(request.market, epoch, _owner(request), _LEASE_MS)
                await asyncio.sleep(_LEASE_MS / 3_000)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()

    async def _until_listed(
        self, venue: Venue, instrument: Instrument, *, wanted: bool, within_s: float
    ) -> int | None:
        """Milliseconds until orders are listed, or none twice in a row; None when time is up."""
        clock = self._ports.clock
        began_ns, empty = clock.monotonic_ns(), 0
        while (clock.monotonic_ns() - began_ns) / 1e9 < within_s:
            beat()
            with suppress(VenueError):
                resting = len(await venue.account.open_orders(instrument))
                empty = 0 if resting else empty + 1
                if (wanted and resting) or (not wanted and empty > 1):
                    return (clock.monotonic_ns() - began_ns) // NS_PER_MS
            pause_s = venue.capabilities.settling_ms / 1000 if empty else _LOOK_S
            await asyncio.sleep(max(_LOOK_S, pause_s))
        return None

    async def _answered(self, scope: str, at_ms: int, within_s: float) -> tuple[str, ...]:
        """The stages of the answer to the drill's kill, once it is complete."""
        book: KillAnswers = self._ports.answers
        for _ in range(int(within_s / _LOOK_S)):
            beat()
            answers = await book.answers(scope, at_ms)
            if any(answer.stage is KillStage.LISTED_ZERO for answer in answers):
                return tuple(
                    f"{answer.stage.value} {answer.at_ms - at_ms} ms after it was asked for"
                    for answer in answers
                )
            await asyncio.sleep(_LOOK_S)
        return ()

    async def _lift(self, request: DrillInput) -> None:
        scope = f"market:{request.market.path}"
        at_ms = request.kill_at_ms
        await self._ports.ledger.lift_kill(scope, at_ms, "drill", "the drill is over")
        await self._ports.board.lift(scope, [at_ms])

    async def _runs(self, workflow_id: str) -> bool:
        handle = activity.client().get_workflow_handle(workflow_id)
        try:
            description = await handle.describe(rpc_timeout=_ASK)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return description.status is WorkflowExecutionStatus.RUNNING

    def _now_ms(self) -> int:
        return self._ports.clock.wall_ns() // NS_PER_MS


def _owner(request: DrillInput) -> str:
    return f"drill/{request.run_id}"
