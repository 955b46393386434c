"""Hosts the live loop of one market inside an activity: opening, heartbeats, closing.

The activity is retried by the server when its worker dies; each attempt has its own epoch.
"""

import asyncio
import json
from contextlib import suppress

from temporalio import activity
from temporalio.service import RPCError

from activities.beating import beat, beating
from activities.breaks import open_break
from activities.listing import listed
from activities.margin_watch import MarginWatch
from activities.market_day import DayKeeper, open_market_day, recall_latches
from activities.messages import SessionInput, SessionResult
from activities.ports import ActivityPorts
from activities.recovery import account_for, continued, epoch_seen, look_back, next_epoch
from desk.breaks import BreakKind, FoundBreak
from desk.daily_loss import MarketDay
from desk.errors import Unavailable
from desk.instrument import Instrument
from desk.lifecycle import SessionReason
from desk.permit import Permit
from desk.ports import Venue
from desk.units import NS_PER_MS, NS_PER_S
from quoting.actions import Leave
from quoting.clearing import clear_and_tell
from quoting.leaving import killed
from quoting.loop import MarketLoop
from quoting.opening import Opening, open_books
from quoting.permission import standing_kills, wait_for_lease
from quoting.progress import SessionProgress
from quoting.saved_state import SavedState, StateKeeper
from quoting.session import Session, SessionEnd, SessionPorts
from quoting.session_trace import SessionTrace
from quoting.setup import LoopSetup

_FIRST_CLEAR_S = 1.0
_REPORT_EVERY_S = 60.0
_FIRST_REPORT_S = 2.0


async def host_session(ports: ActivityPorts, request: SessionInput) -> SessionResult:
    """Open a session, run it, and say how it ended. Raises what the ports raise."""
    venue, instrument = await listed(ports.venues, request.market)
    # A worker that died may have left orders: they go before anything else is looked at.
    left = await clear_and_tell(venue, instrument, ports.clock, give_up_s=_FIRST_CLEAR_S, beat=beat)
    owner = f"{ports.worker}/{activity.info().attempt}"
    async with beating():  # a disk may take its time, and answers nothing meanwhile
        past = await look_back(ports, request.market)
    seen = await epoch_seen(ports, venue, instrument, request.market, left.found)
    epoch = await next_epoch(
        ports, request.market, owner, request.run_id, seen=max(seen, past.epoch)
    )
    if past.refused:
        return _never_begun(past.refused, epoch, cleared=left.verified)
    await recall_latches(ports, request.market)
    if kept_out := await _lease(ports, request, epoch, owner):
        return _never_begun(kept_out, epoch, cleared=left.verified)
    session: Session | None = None
    trace: SessionTrace | None = None
    cleared = left.verified
    try:
        opening = await open_books(
            request.market,
            instrument,
            venue,
            ports.ledger,
            ports.clock,
            life_epoch=request.life_epoch,
            beat=beat,
        )
        cleared = opening.cleared
        await account_for(ports, request.market, epoch, opening, left.found, past.state)
        if refused := _refused_opening(opening, epoch):
            if refused.reason is SessionReason.BREAK:
                await open_break(ports, await _found(ports, request, venue, instrument, opening))
            return refused
        day = await open_market_day(ports, request.market, request.limits)
        permit = await _permit(ports, request, epoch, owner, venue)
        setup = _setup(ports, request, venue, instrument, epoch, opening, day, past.state)
        trace = ports.traces.begin(setup, permit, run_id=request.run_id)
        session = _session(
            ports, request, venue=venue, owner=owner, setup=setup, permit=permit, trace=trace
        )
        keeper = DayKeeper(ports=ports, market=request.market, day=day)
        margin = MarginWatch(
            market=request.market,
            limits=request.limits.headroom,
            funds=ports.funds.of(request.market.venue, request.market.account),
            alerts=ports.alerts,
        )
        end = await _run(session, keeper, margin)
    finally:
        ports.traces.end(trace)
        # While orders may rest the lease is left to run out: whoever watches leases cancels them.
        if cleared if session is None else session.cleared:
            with suppress(Unavailable):  # it expires by itself; how it ended must be told
                await ports.lease.release(request.market, epoch, owner)
    return SessionResult(
        reason=end.reason,
        message=end.message,
        epoch=epoch,
        cleared=end.cleared,
        progress=end.progress,
        day_ends_ms=(day.lost_in or day.day).ends_ms,
        attempts=activity.info().attempt,
    )


async def _run(session: Session, keeper: DayKeeper, margin: MarginWatch) -> SessionEnd:
    async with asyncio.TaskGroup() as tasks:
        reporting = tasks.create_task(_tell_workflow(session))
        keeping = tasks.create_task(keeper.run())
        watching = tasks.create_task(margin.run())
        try:
            end = await session.run()
        finally:
            reporting.cancel()
            keeping.cancel()
            watching.cancel()
    details = activity.cancellation_details()
    if end.reason is SessionReason.CANCELLED and not (details and details.cancel_requested):
        # Not the workflow's wish (worker shutdown, lost heartbeats): another attempt takes over.
        raise asyncio.CancelledError
    return end


async def _tell_workflow(session: Session) -> None:
    """Give the workflow's page a fresh picture now and then; losing one is no matter."""
    info, wait_s = activity.info(), _FIRST_REPORT_S
    while True:
        await asyncio.sleep(wait_s)
        wait_s = _REPORT_EVERY_S
        handle = activity.client().get_workflow_handle(info.workflow_id or "")
        with suppress(RPCError):
            await handle.signal("report", session.progress())


def _setup(
    ports: ActivityPorts,
    request: SessionInput,
    venue: Venue,
    instrument: Instrument,
    epoch: int,
    opening: Opening,
    day: MarketDay,
    saved: SavedState | None,
) -> LoopSetup:
    sigma_bps, latency_ms = request.prior_sigma_bps, request.usual_latency_ms
    if saved is not None:
        sigma_bps = sigma_bps or saved.sigma_at(ports.clock.wall_ns() // NS_PER_MS)
        latency_ms = latency_ms or saved.usual_latency_ms
    return LoopSetup(
        market=request.market,
        instrument=instrument,
        epoch=epoch,
        parameters=request.parameters,
        limits=request.limits,
        capabilities=venue.capabilities,
        facts=continued(saved, opening.facts, request.life_epoch),
        known_since_ms=opening.known_since_ms,
        known=opening.known,
        prior_sigma_bps=sigma_bps,
        usual_latency_ms=latency_ms,
        day=day,
    )


def _session(
    ports: ActivityPorts,
    request: SessionInput,
    *,
    venue: Venue,
    owner: str,
    setup: LoopSetup,
    permit: Permit,
    trace: SessionTrace | None,
) -> Session:
    return Session(
        market=request.market,
        instrument=setup.instrument,
        epoch=setup.epoch,
        owner=owner,
        lease_ttl_ms=request.lease_ttl_ms,
        window_s=request.window_s,
        audit_s=request.limits.reconcile_every_ms / 1_000,
        loop=MarketLoop(setup, permit),
        ports=SessionPorts(
            venue=venue,
            lease=ports.lease,
            board=ports.board,
            kill_file=ports.kill_file,
            ledger=ports.writer,
            clock=ports.clock,
            meter=ports.meter(request.market),
            gates=ports.gates,
            funds=ports.funds.of(request.market.venue, request.market.account),
            trace=trace,
            keeper=_keeper(ports, request, setup),
        ),
        report=activity.heartbeat,
    )


def _keeper(ports: ActivityPorts, request: SessionInput, setup: LoopSetup) -> StateKeeper | None:
    if ports.saved is None:
        return None
    return StateKeeper(
        files=ports.saved,
        thread=ports.disk,
        setup=setup,
        clock=ports.clock,
        life_epoch=request.life_epoch,
        run_id=request.run_id,
        tell=ports.log,
    )


async def _permit(
    ports: ActivityPorts, request: SessionInput, epoch: int, owner: str, venue: Venue
) -> Permit:
    kills = await standing_kills(ports.board, ports.ledger, request.market)
    clock_offset_ms = await venue.clock_offset_ms()
    # Armed before the first order; the session renews it.
    timer = venue.dead_man
    dead_man_until_ns = None if timer is None else await timer.keep(request.market.path)
    asked_ns = ports.clock.monotonic_ns()
    # Opening may have taken longer than the lease; taking it again proves that nobody else has.
    await wait_for_lease(ports.lease, request.market, epoch, owner, request.lease_ttl_ms, beat=beat)
    return Permit(
        max_clock_offset_ms=request.limits.max_clock_offset_ms,
        max_ledger_behind_s=request.max_ledger_behind_s,
        max_unrecorded_intents=ports.max_unrecorded_intents,
        kills=ports.gates.merged(request.market, tuple(kills)),
        kill_file=ports.kill_file.present(),
        clock_offset_ms=clock_offset_ms,
        dead_man_until_ns=dead_man_until_ns,
        board_until_ns=asked_ns + NS_PER_S,
        lease_until_ns=asked_ns + request.lease_ttl_ms * NS_PER_MS,
    )


async def _lease(
    ports: ActivityPorts, request: SessionInput, epoch: int, owner: str
) -> Leave | None:
    """Take the lease; the end of the session instead, when it is killed while it waits."""
    ended: list[Leave] = []

    async def stopped() -> bool:
        kills = await standing_kills(ports.board, ports.ledger, request.market)
        permit = Permit(
            max_clock_offset_ms=0,
            max_ledger_behind_s=0,
            kills=ports.gates.merged(request.market, tuple(kills)),
            kill_file=ports.kill_file.present(),
        )
        ended.extend(filter(None, (killed(permit),)))
        return bool(ended)

    await wait_for_lease(
        ports.lease,
        request.market,
        epoch,
        owner,
        request.lease_ttl_ms,
        beat=beat,
        stopped=stopped,
    )
    return ended[0] if ended else None


def _refused_opening(opening: Opening, epoch: int) -> SessionResult | None:
    if not opening.cleared:
        reason, message = SessionReason.NOT_CLEARED, "older orders could not be cleared"
    elif opening.difference:
        reason, message = SessionReason.BREAK, opening.difference
    else:
        return None
    return _never_begun(Leave(reason, message), epoch, cleared=opening.cleared)


async def _found(
    ports: ActivityPorts,
    request: SessionInput,
    venue: Venue,
    instrument: Instrument,
    opening: Opening,
) -> FoundBreak:
    """The difference an opening met, with both sides in base units."""
    theirs, ours = await venue.account.position(instrument), opening.facts
    return FoundBreak(
        venue=request.market.venue,
        account=request.market.account,
        symbol=request.market.symbol,
        kind=BreakKind.POSITION,
        text=opening.difference,
        ours=json.dumps(
            {
                "position": str(instrument.quantity(ours.position)),
                "lots": ours.position,
                "fills": ours.fills,
                "last_trade_ms": ours.last_trade_ms,
            }
        ),
        theirs=json.dumps({"position": str(instrument.quantity(theirs.lots)), "lots": theirs.lots}),
        found_by=f"opening of a session by {ports.worker}",
        found_at_ms=ports.clock.wall_ns() // NS_PER_MS,
    )


def _never_begun(leave: Leave, epoch: int, *, cleared: bool) -> SessionResult:
    return SessionResult(
        reason=leave.reason,
        message=leave.message,
        epoch=epoch,
        cleared=cleared,
        progress=SessionProgress(epoch=epoch, phase="refused", reason=leave.message),
        attempts=activity.info().attempt,
    )
