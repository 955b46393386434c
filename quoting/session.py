"""One uninterrupted stretch of live quoting: connect → quote → cancel everything and leave.

However it ends (window, trouble, cancellation, a bug), every order is cancelled and the venue is
asked to list zero before `run` returns.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from desk.errors import VenueError
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.lifecycle import SessionReason, quotes_again
from desk.ports import Clock, KillBoard, KillFile, LeasePort, LedgerWriter, Venue
from desk.records import EquityMark
from desk.units import NS_PER_MS, NS_PER_S
from quoting.actions import Action, AskFate, ClearAll, Leave, Resnapshot, SendBatch, Withdraw
from quoting.answering import KillReply
from quoting.clearing import ClearReport, clear
from quoting.dispatch import Dispatcher, SessionMeter
from quoting.funds import AccountFunds
from quoting.gates import Gates
from quoting.inbox import AuditBegun, Audited, Cleared, Inbox, InboxEvent, Tick
from quoting.journal import record_ended, record_fill
from quoting.loop import MarketLoop
from quoting.progress import LatencySamples, SessionProgress
from quoting.saved_state import StateKeeper
from quoting.session_trace import SessionTrace, broken_down
from quoting.watch import Watch

_TICK_S = 0.1
_EQUITY_S = 5.0
_CLEAR_GIVE_UP_S = 20.0
_CLEAR_ALONE_NS = 2 * NS_PER_S
_LATE_FILLS_S = 0.3
_LATE_BOOKING_S = 6.0
_FUNDS_S = 5.0
_WATCHED_FUNDS_S = 15.0
_FILLS_OVERLAP_MS = 60_000
_CANCEL_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPorts:
    """What a session needs from the world."""

    venue: Venue
    lease: LeasePort
    board: KillBoard
    kill_file: KillFile
    ledger: LedgerWriter
    clock: Clock
    meter: SessionMeter
    gates: Gates = field(default_factory=Gates)
    funds: AccountFunds = field(default_factory=AccountFunds)
    trace: SessionTrace | None = None
    keeper: StateKeeper | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnd:
    """Why it ended, and whether the venue was seen to list zero orders."""

    reason: SessionReason
    message: str
    cleared: bool
    progress: SessionProgress


class Session:
    """Runs one `MarketLoop` at a venue until it leaves, its window ends, or it is cancelled."""

    def __init__(
        self,
        *,
        market: MarketId,
        instrument: Instrument,
        epoch: int,
        owner: str,
        lease_ttl_ms: int,
        window_s: float,
        audit_s: float,
        loop: MarketLoop,
        ports: SessionPorts,
        report: Callable[[SessionProgress], None],
    ) -> None:
        self._market = market
        self._instrument = instrument
        self._epoch = epoch
        self._window_s = window_s
        self._audit_s = audit_s
        self._loop = loop
        self._ports = ports
        self._report = report
        self._inbox = Inbox(self._handle)
        self._left: asyncio.Future[Leave] | None = None
        self.cleared = False
        """Whether the venue was seen to list zero orders when it left."""
        self._pulling_since_ns: int | None = None
        self._dispatcher: Dispatcher | None = None
        self._latency = LatencySamples()
        self._watch = Watch(
            market=market,
            epoch=epoch,
            owner=owner,
            lease_ttl_ms=lease_ttl_ms,
            permit=loop.permit,
            ports=ports,
            may_hold=self._may_hold,
            may_renew=lambda: loop.defends_its_orders,
            wake=lambda: self._inbox.put(Tick(ports.clock.monotonic_ns())),
        )
        self._reply = KillReply(
            market=market,
            epoch=epoch,
            owner=owner,
            permit=loop.permit,
            ledger=ports.ledger,
            clock=ports.clock,
        )

    async def run(self) -> SessionEnd:
        """Quote until something ends it; then cancel, verify, and say why."""
        self._left = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._dispatcher = self._make_dispatcher(tasks)
                background = [tasks.create_task(job) for job in self._jobs()]
                leave = await self._until_left()
                if trace := self._ports.trace:
                    now_ns = self._ports.clock.monotonic_ns()
                    trace.told_to_leave(leave, now_ns, broken_down(background))
                report = await _undisturbed(self._leave_market(background))
        except BaseExceptionGroup:
            # A bug in one of our own tasks: what it left at the venue goes first.
            self.cleared = (await _undisturbed(self._leave_market(()))).verified
            raise
        self.cleared = cleared = report.verified
        reason, message = leave.reason, leave.message
        if not cleared:
            message = f"{message}; not cleared: {report.message}".removeprefix("; ")
            if quotes_again(reason):
                # What ends the quoting for good, a loss or a kill, ends it uncleared too.
                reason = SessionReason.NOT_CLEARED
        return SessionEnd(reason=reason, message=message, cleared=cleared, progress=self.progress())

    def progress(self) -> SessionProgress:
        """Picture of this moment."""
        picture, until_ns = self._loop.progress(self._latency), self._loop.permit.dead_man_until_ns
        if until_ns is None:
            return picture
        clock = self._ports.clock
        until_ms = (clock.wall_ns() + until_ns - clock.monotonic_ns()) // NS_PER_MS
        return replace(picture, dead_man_until_ms=until_ms)

    # --- one turn ----------------------------------------------------------------------------

    def _handle(self, events: list[InboxEvent]) -> None:
        try:
            self._step(events)
        except Exception as error:  # noqa: BLE001 - a bug must end the session, whatever it is
            if trace := self._ports.trace:
                said = f"{type(error).__name__} {error}"
                trace.failed(self._ports.clock.monotonic_ns(), said)
            # Called from the event loop, which would only log it and leave the quotes resting.
            if self._left is not None and not self._left.done():
                fault = RuntimeError(f"the step failed: {type(error).__name__} {error}")
                fault.__cause__ = error
                self._left.set_exception(fault)

    def _step(self, events: list[InboxEvent]) -> None:
        clock, loop, trace = self._ports.clock, self._loop, self._ports.trace
        loop.permit.kill_file = self._ports.kill_file.present()
        loop.permit.count_intents(self._ports.ledger.unrecorded(self._market))
        if trace is not None:
            trace.begins(events)
        for event in events:
            if isinstance(event, Cleared) and event.verified:
                self._pulling_since_ns = None
            for fill in loop.apply(event):
                record_fill(self._ports.ledger, self._market, self._instrument, fill, loop.mid)
                self._ports.meter.filled()
        self._record_gone()
        now_ns = clock.monotonic_ns()
        actions = loop.decide(now_ns)
        if trace is not None:
            trace.took(now_ns, actions, loop.reason)
        for action in actions:
            self._perform(action)

    def _record_gone(self) -> None:
        for client_order_id, how in self._loop.orders.take_gone():
            record_ended(self._ports.ledger, self._ports.clock, self._market, client_order_id, how)

    def _perform(self, action: Action) -> None:
        assert self._dispatcher is not None  # noqa: S101 - set before the inbox is fed
        match action:
            case SendBatch():
                sent_ns = self._dispatcher.send(action.approved)
                if action.caused_ns is not None:
                    self._latency.add(sent_ns - action.caused_ns)
                    self._ports.meter.tick_to_wire(sent_ns - action.caused_ns)
            case ClearAll():
                self._pull_begins()
                self._dispatcher.clear()
            case AskFate():
                self._dispatcher.ask(action.client_order_id)
            case Withdraw():
                self._dispatcher.withdraw(action.client_order_id)
            case Resnapshot():
                self._ports.venue.feed.resnapshot(self._instrument.symbol, action.reason)
            case Leave():
                if self._left is not None and not self._left.done():
                    self._left.set_result(action)

    def _pull_begins(self) -> None:
        if self._pulling_since_ns is None:
            self._pulling_since_ns = self._ports.clock.monotonic_ns()

    def _may_hold(self) -> bool:
        """Whether the lease is ours to keep: not while our orders should be gone and are not."""
        since_ns = self._pulling_since_ns
        now_ns = self._ports.clock.monotonic_ns()
        return since_ns is None or now_ns - since_ns < _CLEAR_ALONE_NS

    # --- the tasks ---------------------------------------------------------------------------

    def _jobs(self) -> tuple["asyncio._CoroutineLike[None]", ...]:
        venue, instrument = self._ports.venue, self._instrument
        return (
            venue.feed.run(instrument, self._inbox.put),
            venue.account.run(instrument, self._inbox.put),
            self._ticks(),
            self._reports(),
            self._marks(),
            self._audits(),
            self._funds(),
            self._saves(),
            self._watch.lease(),
            self._watch.board(),
            self._watch.board_changes(),
            self._watch.gates(),
            self._watch.clock(),
            self._watch.ledger(),
            self._watch.dead_man(),
        )

    def _make_dispatcher(self, tasks: asyncio.TaskGroup) -> Dispatcher:
        return Dispatcher(
            market=self._market,
            instrument=self._instrument,
            epoch=self._epoch,
            venue=self._ports.venue,
            ledger=self._ports.ledger,
            clock=self._ports.clock,
            inbox=self._inbox,
            meter=self._ports.meter,
            tasks=tasks,
            clear_give_up_s=_CLEAR_GIVE_UP_S,
            fills_since_ms=self._ports.clock.wall_ns() // NS_PER_MS - _FILLS_OVERLAP_MS,
        )

    async def _until_left(self) -> Leave:
        assert self._left is not None  # noqa: S101 - made in run()
        try:
            async with asyncio.timeout(self._window_s):
                return await asyncio.shield(self._left)
        except TimeoutError:
            return Leave(SessionReason.WINDOW, "")
        except asyncio.CancelledError:
            # Asked to go. The orders go first, then the answer.
            return Leave(SessionReason.CANCELLED, "")

    async def _leave_market(self, background: Sequence[asyncio.Task[None]]) -> ClearReport:
        """Send nothing more, cancel everything, hear late fills out, and end our own tasks."""
        self._loop.leave()
        if trace := self._ports.trace:
            trace.left()
        unanswered = self._dispatcher.unanswered if self._dispatcher is not None else 0
        self._reply.gate_closed(unanswered)
        on_its_way = unanswered > 0 or self._loop.orders.unbooked
        report = await self._clear_market()
        self._reply.cancelled(report)
        if on_its_way and self._dispatcher is not None:
            # The first cancel-all may have overtaken what was still on its way.
            await self._dispatcher.settled()
            await self._booked()
            report = await self._clear_market()
        self._reply.cleared(report)
        await asyncio.sleep(_LATE_FILLS_S)
        self._inbox.close()
        if report.verified:
            # What was still open to us is gone as well; nothing rests by our books either.
            self._loop.orders.cleared()
            self._record_gone()
        await self._ports.ledger.flush(self._loop.permit.max_ledger_behind_s)
        await _end(background)
        if keeper := self._ports.keeper:
            await keeper.close(self._loop, self.progress(), left=report.verified)
        return report

    async def _saves(self) -> None:
        if keeper := self._ports.keeper:
            await keeper.run(self._loop, self.progress)

    async def _booked(self) -> None:
        """Wait until the end of everything sent was told, or is no longer to be expected."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LATE_BOOKING_S):
                while self._loop.orders.unbooked:
                    self._report(self.progress())
                    await asyncio.sleep(_TICK_S)

    async def _clear_market(self) -> ClearReport:
        self._pull_begins()
        report = await clear(
            self._ports.venue,
            self._instrument,
            self._ports.clock,
            give_up_s=_CLEAR_GIVE_UP_S,
            beat=lambda: self._report(self.progress()),
        )
        if report.verified:
            self._pulling_since_ns = None
        return report

    async def _ticks(self) -> None:
        while True:
            self._inbox.put(Tick(self._ports.clock.monotonic_ns()))
            await asyncio.sleep(_TICK_S)

    async def _reports(self) -> None:
        while True:
            self._report(self.progress())
            await asyncio.sleep(1.0)

    async def _marks(self) -> None:
        while True:
            await asyncio.sleep(_EQUITY_S)
            state = self._loop.equity()
            if state is None:
                continue
            self._ports.ledger.record(
                EquityMark(
                    market=self._market,
                    epoch=self._epoch,
                    pnl=state.pnl,
                    peak=state.peak,
                    position=state.position,
                    mid=state.mid,
                    at_ms=self._ports.clock.wall_ns() // NS_PER_MS,
                )
            )

    async def _funds(self) -> None:
        """Read the account's funds now and then; less often where only an alarm asks for them."""
        ports = self._ports
        every_s = _FUNDS_S if self._loop.gate.needs_funds else _WATCHED_FUNDS_S
        with ports.funds.shared(self._inbox.put):
            max_age_s = 0.0  # what was read before may lack what we hold by now
            while True:
                with suppress(VenueError):  # what was read before grows old by itself
                    await ports.funds.read(ports.venue, ports.clock, max_age_s)
                    max_age_s = every_s / 2
                await asyncio.sleep(every_s)

    async def _audits(self) -> None:
        """Compare what we think rests with what the venue lists; reads only."""
        while True:
            await asyncio.sleep(self._audit_s)
            self._inbox.put(AuditBegun())
            asked_ns = self._ports.clock.monotonic_ns()
            try:
                listed = await self._ports.venue.account.open_orders(self._instrument)
            except VenueError:
                continue  # an audit that could not be made says nothing
            self._inbox.put(
                Audited(resting=tuple(order.client_order_id for order in listed), asked_ns=asked_ns)
            )


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until they are over: a task group that fails while cancelled forgets the cancel."""
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_CANCEL_AGAIN_S)


async def _undisturbed(leaving: Coroutine[Any, Any, ClearReport]) -> ClearReport:
    """Await it to its end: a cancel asks for leaving, and that is what is being done."""
    task = asyncio.ensure_future(leaving)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()
