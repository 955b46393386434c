"""The step function of one market: events in, actions out, no I/O and no clock.

Replay and live quoting drive the same `apply` and `decide`, so one journal explains both.
"""

from dataclasses import replace
from decimal import Decimal

from desk.book import Book
from desk.lifecycle import SessionReason
from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedEvent, FeedLost
from desk.orders import (
    AccountAlive,
    AccountChange,
    AccountLost,
    AccountSnapshot,
    Fill,
    OrderUpdate,
)
from desk.permit import Permit
from desk.planning import plan
from desk.quoting.decide import QuoteModel, QuoteTarget
from desk.risk.gate import Denied
from desk.units import NS_PER_S
from quoting.actions import (
    Action,
    AskFate,
    ClearAll,
    Leave,
    Phase,
    Resnapshot,
    SendBatch,
    Withdraw,
)
from quoting.audit import Audit
from quoting.breakers import Breakers
from quoting.gatekeeper import Gatekeeper
from quoting.health import Health
from quoting.inbox import (
    Answered,
    AuditBegun,
    Audited,
    Cleared,
    FundsSeen,
    InboxEvent,
    Settled,
    Tick,
)
from quoting.leaving import Leaving, reduction
from quoting.patience import Patience
from quoting.progress import LatencySamples, SessionProgress
from quoting.pulls import Pulls
from quoting.refusals import Refusals, left_stale
from quoting.setup import LoopSetup
from quoting.shown import shown_quotes
from quoting.sight import Sight
from quoting.standing import Equity, Standing
from quoting.working_orders import WorkingOrders

_STALE_REST_NS = NS_PER_S
_ASK_AGAIN_NS = NS_PER_S
_LOST_TRACK = "orders to be replaced were gone, time after time"


class MarketLoop:
    """State of one market's quoting. `permit` is kept fresh by others and read here.

    `orders`, `standing`, `gate` and `reason` (why it does what it does, in words) may be read by
    others and are changed here alone.
    """

    def __init__(self, setup: LoopSetup, permit: Permit) -> None:
        self.permit = permit
        self._setup = setup
        self._tag = setup.market.tag
        self._book = Book()
        self._health = Health(self._book, setup.limits)
        self.orders = WorkingOrders(
            pushed=setup.capabilities.pushes_order_updates,
            named=setup.capabilities.fills_name_orders,
        )
        self._audit = Audit(
            tag=self._tag,
            epoch=setup.epoch,
            whole_ladders=setup.capabilities.atomic_ladder,
        )
        self._model = QuoteModel.prepare(setup.parameters, setup.instrument)
        self.gate = Gatekeeper(setup.instrument, setup.limits)
        self._sight = Sight(self._book, self._model, self.orders, setup.prior_sigma_bps)
        self._refusals = Refusals(setup.instrument)
        self._breakers = Breakers(setup)
        self.standing = Standing(
            setup.instrument,
            setup.facts,
            known_since_ms=setup.known_since_ms,
            known=setup.known,
        )
        self._leaving = Leaving(
            self.standing, self._refusals, self._breakers, setup.limits.max_drawdown, setup.day
        )
        self._rules = setup.rules
        self._slow_rules = replace(self._rules, debounce_ns=2 * self._rules.debounce_ns)
        self._phase, self.reason = Phase.WAITING, "no book yet"
        self._now_ns = 0
        self._patience = Patience()
        self._last_sent_ns = 0
        self._caused_ns: int | None = None
        self._resnapshot: str | None = None
        self._orphans: tuple[str, ...] = ()
        self._pulls = Pulls()
        self._only_reducing = False
        self._cycle = self._requotes = 0

    # --- events ------------------------------------------------------------------------------

    def apply(self, event: InboxEvent) -> tuple[Fill, ...]:
        """Take one event; the fills not heard before come back, for the ledger."""
        match event:
            case BookSnapshot() | BookDelta() | FeedAlive() | FeedLost():
                self._take_feed(event)
            case AccountSnapshot() | AccountChange():
                self._health.account(event)
                if event.position is not None:
                    self.standing.position = event.position.lots
                return self._hear(event.fills)
            case AccountAlive() | AccountLost():
                self._health.account(event)
            case OrderUpdate():
                self._health.account(event)
                self._take_update(event)
            case Answered() | Cleared() | Settled():
                self._take_answer(event)
            case AuditBegun() | Audited():
                self._take_audit(event)
            case FundsSeen():
                self.gate.hear(event, self.standing.position)
            case Tick():
                self._now_ns = event.now_ns
        return ()

    def leave(self) -> None:
        """Send nothing from here on."""
        self._phase = Phase.LEAVING

    @property
    def defends_its_orders(self) -> bool:
        """Whether what rests, if anything, is what we would show: the dead-man's timer may go on.

        Not while the book or the account is stale (x10.md section 10).
        """
        return not (self.orders.open and self._health.trouble(self._now_ns))

    # --- decisions ---------------------------------------------------------------------------

    def decide(self, now_ns: int) -> list[Action]:
        """What to do now, given everything heard so far."""
        self._now_ns = now_ns
        try:
            return self._decide(now_ns)
        finally:
            # A send that had to wait for the debounce was caused by time, not by this update.
            self._caused_ns = None

    def _decide(self, now_ns: int) -> list[Action]:
        if self._phase is Phase.LEAVING:
            return []
        if leaving := self._leaving_now(now_ns):
            self._phase, self.reason = Phase.LEAVING, leaving.message
            return [leaving]
        self._obey_reduce_only()
        if self._resnapshot is not None:
            reason, self._resnapshot = self._resnapshot, None
            return [*self._pull(reason), Resnapshot(reason)]
        if again := self._pulls.due_again:
            return self._clear(again)
        if self._phase is Phase.CLEARING:
            return []
        if self._pulls.wanted or self._refusals.lost_track:
            # Orders we do not know of may rest: everything goes, known or not.
            reason, self._pulls.wanted = self._pulls.wanted or _LOST_TRACK, ""
            return self._clear(reason)
        return [*self._settle(now_ns), *self._go_on(now_ns)]

    def _leaving_now(self, now_ns: int) -> Leave | None:
        sight = self._sight
        sight.time_goes(now_ns)
        mids = (sight.mid_x2, sight.stood_x2)
        return self._leaving.due(self.permit, *mids, now_ns, self._pulls.failed)

    def _obey_reduce_only(self) -> None:
        """What rests and adds risk goes at once, not when its price moves next."""
        kill, before = self.permit.reduce_only, self._only_reducing
        self._only_reducing = kill is not None
        if kill is not None and not before and self.orders.open:
            self._pulls.wanted = reduction(kill)

    def _go_on(self, now_ns: int) -> list[Action]:
        trouble = self._health.trouble(now_ns) or self._sight.trouble or self._leaving.doubt
        if trouble:
            return self._wait(trouble, now_ns)
        self._patience.renew()
        if self.orders.unresolved:
            return self._pull("an outcome is unknown")
        return self._quote(now_ns)

    def _settle(self, now_ns: int) -> list[Action]:
        """Questions about single orders; quoting of other slots goes on meanwhile."""
        orphans, self._orphans = self._orphans, ()
        asked = self.orders.to_ask(now_ns, _ASK_AGAIN_NS)
        return [*(AskFate(one) for one in asked), *(Withdraw(one) for one in orphans)]

    def _wait(self, trouble: str, now_ns: int) -> list[Action]:
        self.reason = trouble
        if self._patience.ends(now_ns):
            self._phase = Phase.LEAVING
            return [Leave(SessionReason.FEED, trouble)]
        if self.orders.open:
            return self._pull(trouble)
        self._phase = Phase.WAITING
        return []

    def _pull(self, reason: str) -> list[Action]:
        """Cancel first, then look: everything goes, and nothing is sent until it is verified."""
        self.reason = reason
        if self._phase is Phase.CLEARING or not self.orders.open:
            return []
        return self._clear(reason)

    def _clear(self, reason: str) -> list[Action]:
        self._phase, self.reason = Phase.CLEARING, reason
        self._refusals.start_over()
        self._pulls.begin(reason)
        return [ClearAll(reason)]

    def _quote(self, now_ns: int) -> list[Action]:
        self._phase = Phase.QUOTING
        if self._refusals.resting(now_ns):
            # What rests grows stale meanwhile; cancels have a budget of their own.
            long = self._refusals.rest_left_ns(now_ns) > _STALE_REST_NS
            return self._pull("told to wait") if long else []
        # A target would be in vain: the venue takes one batch of a market at a time.
        awaits = self._pulls.awaiting and not self._setup.capabilities.batches_overlap
        if awaits or self._refusals.stale_view(self._sight.told_ns, now_ns):
            return []
        target = self._target(now_ns)
        self.reason = target.reason
        if not target.levels:
            # An empty ladder is not known to be a cancel everywhere (ocx.md section 4.3).
            return self._pull(target.reason)
        planned = plan(
            target.levels,
            self.orders.open,
            rules=self._slow_rules if self._breakers.slow else self._rules,
            identity=(self._tag, self._setup.epoch, self._cycle + 1),
            now_ns=now_ns,
            last_sent_ns=self._last_sent_ns or None,
        )
        if planned.batch is None:
            return []
        verdict = self.gate.review(
            planned.batch,
            now_ns=now_ns,
            mid_x2=self._sight.mid_x2 or 0,
            book_age_ns=self._book.age_ns(now_ns),
            account_age_ns=now_ns - self._health.account_heard_ns,
            positions=(self.standing.position, self.standing.folded),
            working=self.orders.open,
        )
        if isinstance(verdict, Denied):
            self._refusals.denied(verdict, now_ns)
            return self._pull(f"denied: {verdict.message}")
        if refusal := self.permit.refusal_to_send(len(planned.batch.orders)):
            self._phase, self.reason = Phase.LEAVING, self.permit.explain(refusal)
            return [Leave(SessionReason.LEDGER, self.reason)]
        self._cycle += 1
        self._requotes += 1
        self._last_sent_ns = now_ns
        self.gate.sent(planned.batch, now_ns)
        self.orders.sent(planned.batch)
        self._pulls.sent(planned.batch.batch_id)
        return [SendBatch(verdict, self._caused_ns)]

    def _target(self, now_ns: int) -> QuoteTarget:
        # The venue's word and the sum of fills differ while one of them is late.
        inventory = max(self.standing.position, self.standing.folded, key=abs)
        view = self._sight.view(inventory)
        target = self.gate.headroom.within(self._model.target(view), inventory, view.mid_x2, now_ns)
        if (kill := self.permit.reduce_only) is None:
            target = self._refusals.allowed(target, inventory, now_ns)
        else:
            sure = self.standing.certain
            target = self._refusals.allowed(target, sure, now_ns, forbidden=reduction(kill))
        if slowed := self._breakers.said:
            target = replace(target, reason="; ".join(filter(None, (target.reason, slowed))))
        return target

    # --- bookkeeping -------------------------------------------------------------------------

    def _take_feed(self, event: FeedEvent) -> None:
        self._resnapshot = self._health.feed(event) or self._resnapshot
        self._caused_ns = event.received_ns
        self._sight.look(event)

    def _hear(self, fills: tuple[Fill, ...]) -> tuple[Fill, ...]:
        new = tuple(fill for fill in fills if self.standing.hear(fill))
        for fill in new:
            self.orders.filled(fill)
            self._breakers.filled(fill)
        return new

    def _take_update(self, event: OrderUpdate) -> None:
        self._breakers.hear_update(event, self.orders.order(event.client_order_id), self._now_ns)
        self.orders.updated(event, self._now_ns)
        self._refusals.hear_update(event, self._now_ns)
        stray = event.resting and not self.orders.knows(event.client_order_id)
        if stray and self._audit.is_ours(event.client_order_id):
            # In no table of ours: nobody else will ever take it away.
            self._orphans += (event.client_order_id,)

    def _take_answer(self, event: Answered | Cleared | Settled) -> None:
        match event:
            case Answered():
                self._pulls.answered(event.batch.batch_id)
                self.orders.answered(event.batch, event.outcome, self._now_ns)
                self._refusals.hear(event.outcome, self._now_ns)
                self._breakers.hear(event, self._now_ns)
                if not self._pulls.wanted and left_stale(event.batch, event.outcome):
                    self._pulls.wanted = "a refused replace or cancel left an old quote resting"
            case Cleared():
                if self._pulls.ended(event):
                    self._all_gone()
            case Settled():
                lingering = self.orders.settled(
                    event.client_order_id, self._now_ns, resting=event.resting
                )
                self._orphans += (lingering,) if lingering else ()

    def _all_gone(self) -> None:
        self.orders.cleared()
        if self._phase is Phase.CLEARING:
            self._phase = Phase.WAITING

    def _take_audit(self, event: AuditBegun | Audited) -> None:
        if isinstance(event, AuditBegun):
            self._audit.begin(self.orders)
            return
        findings = self._audit.judge(event, self.orders, self._last_sent_ns)
        self._pulls.wanted = findings.start_over or self._pulls.wanted
        self._orphans += findings.orphans
        for client_id in findings.ghosts:
            self.orders.doubt(client_id, self._now_ns)

    # --- reports -----------------------------------------------------------------------------

    def equity(self) -> Equity | None:
        """PnL and peak at the mid that stood, None without one."""
        mid_x2 = self._sight.stood_x2
        return None if mid_x2 is None else self.standing.equity(mid_x2)

    @property
    def mid(self) -> Decimal | None:
        """The mid of this moment, quote currency; None without a book."""
        mid_x2 = self._sight.mid_x2
        return None if mid_x2 is None else self._setup.instrument.tick_size * mid_x2 / 2

    def progress(self, latency: LatencySamples) -> SessionProgress:
        """Picture of this moment for heartbeats and the market's page."""
        mid_x2, instrument = self._sight.mid_x2, self._setup.instrument
        equity = None if mid_x2 is None else self.standing.seen(mid_x2)
        bids, asks = shown_quotes(self.orders.open, instrument)
        return SessionProgress(
            epoch=self._setup.epoch,
            phase=self._phase.value,
            reason=self.reason,
            cycles=self._cycle,
            requotes=self._requotes,
            fills=self.standing.fills,
            rejects=self._refusals.rejects,
            denials=self._refusals.denials,
            unresolved=self._refusals.unresolved,
            clears=self._pulls.made,
            bids=bids,
            asks=asks,
            inventory=instrument.quantity(self.standing.position),
            pnl=round(equity.pnl, 4) if equity else Decimal(0),
            peak=round(equity.peak, 4) if equity else None,
            mid=equity.mid if equity else None,
            sigma_bps=self._sight.sigma_bps(),
            tick_to_wire_p50_ms=latency.percentile_ms(50),
            tick_to_wire_p99_ms=latency.percentile_ms(99),
            parameters_version=self._setup.parameters.version,
            foreign_orders=self._audit.foreign,
            round_trip_p95_ms=self._breakers.p95_ms,
            usual_round_trip_ms=self._breakers.usual_ms,
        )
