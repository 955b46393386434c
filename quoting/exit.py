"""One order of a flatten: never more than the position just read, never the other way round.

Its client order id is made from epoch and step alone, so a repetition is the same order. Whatever
an earlier try of the step may have sent is settled before anything else is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from desk.book import Book
from desk.errors import NotSent, Unresolved, VenueError
from desk.flattening import (
    FlattenPhase,
    Regime,
    budget_bps,
    exit_limits,
    exit_lots,
    regime_of,
    within_collar,
)
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import (
    Batch,
    BatchOutcome,
    NewOrder,
    OrderOutcome,
    OutcomeKind,
    RejectReason,
    TimeInForce,
)
from desk.ports import Clock, LedgerWriter, Venue
from desk.risk.approval import Approved
from desk.risk.gate import Denied, GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.units import BPS, NS_PER_MS, NS_PER_S, Lots, Side, Ticks
from quoting.clearing import clear
from quoting.exit_cost import fills_between, recent_fills, worth_and_cost
from quoting.journal import record_answer, record_fill, record_over, record_sent
from quoting.taking import (
    best_for,
    mid_near,
    one_sided,
    read_book,
    taking_price,
    unsent_price,
)

_CLEAR_S = 10.0
_LOOK_S = 1.0
_JUMP_MS = 10_000
_FRESH_NS = 3 * NS_PER_S
"""A process that slept longer than this between look and send may have been replaced meanwhile."""

Hold = Callable[[], Awaitable[None]]
"""Asked right before an order goes out, and while one rests: raises when the market is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStep:
    """One order of a flatten: unsigned lots wanted, weighed at signed `position`.

    `repeated`: an earlier try of this very step may have sent it. `last_mid` is the mid that an
    earlier step saw at unix milliseconds `last_mid_ms`. A maker rests for `wait_s`. `by_venue`: the
    venue's own close, where it has one.
    """

    market: MarketId
    epoch: int
    step: int
    phase: FlattenPhase
    position: Lots
    lots: Lots
    slippage_bps: Decimal
    fast_slippage_bps: Decimal
    limits: RiskLimits
    wait_s: int = 0
    by_venue: bool = False
    repeated: bool = False
    last_mid: Decimal | None = None
    last_mid_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenSliceReport:
    """Signed lots before and after, as the venue states them.

    `spent`: the next order needs a new id. `slippage_bps` is the budget the price had, None where
    it had the collar's width. `mid` is the best price hit where no other side is near. `traded` and
    `cost` are quote currency: what fills were worth at it, and how much worse than it they were.
    `maker_refused`: the venue takes no such order.
    """

    step: int
    position_before: int
    position_after: int
    sent_lots: int
    outcome: str
    spent: bool = True
    maker_refused: bool = False
    regime: Regime = Regime.CALM
    slippage_bps: Decimal | None = None
    mid: Decimal | None = None
    at_ms: int = 0
    traded: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)


async def hold_nothing() -> None:
    """For whoever is the market's only owner without asking."""


async def exit_slice(
    step: ExitStep,
    instrument: Instrument,
    venue: Venue,
    ledger: LedgerWriter,
    clock: Clock,
    hold: Hold = hold_nothing,
) -> FlattenSliceReport:
    """Send one order and wait until the venue's position settled.

    Raises what the ports and `hold` raise; then the same step may be repeated, said to be so.
    """
    if step.repeated:
        await _settle(venue, instrument, clock)
        position = (await venue.account.position(instrument)).lots
        if position != step.position or not venue.capabilities.ids_refused_for_good:
            return _unsent(step, step.position, position, "an earlier try may have sent it")
    one = _Exit(step, instrument, venue, ledger, clock, hold)
    return await one.run()


class _Exit:
    """What one order needs to know, from the look at the market to the look at what it did."""

    def __init__(
        self,
        step: ExitStep,
        instrument: Instrument,
        venue: Venue,
        ledger: LedgerWriter,
        clock: Clock,
        hold: Hold,
    ) -> None:
        self._step = step
        self._instrument = instrument
        self._venue = venue
        self._ledger = ledger
        self._clock = clock
        self._hold = hold

    async def run(self) -> FlattenSliceReport:
        step, venue = self._step, self._venue
        book = await self._book()
        known = await recent_fills(venue, self._instrument, self._clock)
        looked_ns = self._clock.monotonic_ns()
        before = (await venue.account.position(self._instrument)).lots
        if before == 0:
            return _unsent(step, 0, 0, "flat")
        side = Side.SELL if before > 0 else Side.BUY
        mid_x2 = mid_near(book, side, step.limits.collar_bps)
        regime = self._regime(book, mid_x2)
        price = self._price(book, side, regime)
        if price is None:
            return _waits(step, before, "the book has no such price")
        if self._jumped(price, side):
            return _waits(step, before, "the price has just left the collar")
        order, limits = self._order(price, before)
        batch = Batch(
            batch_id=order.client_order_id, symbol=self._instrument.symbol, orders=(order,)
        )
        verdict = review(batch, self._context(limits, book, order, before))
        if isinstance(verdict, Denied):
            return _unsent(step, before, before, f"denied: {verdict.message}")
        await self._hold()
        await self._arm()
        if self._clock.monotonic_ns() - looked_ns > _FRESH_NS:
            raise NotSent("the look at the position is too old to act on")
        answer = await self._send(verdict)
        after = (await venue.account.position(self._instrument)).lots
        seen = await recent_fills(venue, self._instrument, self._clock)
        fills = fills_between(known, seen)
        mid = None if mid_x2 is None else self._instrument.price(mid_x2) / 2
        for fill in fills:
            record_fill(self._ledger, step.market, self._instrument, fill, mid)
        traded, cost = worth_and_cost(self._instrument, mid_x2, fills)
        (told,) = answer.orders
        return FlattenSliceReport(
            step=step.step,
            position_before=before,
            position_after=after,
            sent_lots=order.lots,
            outcome=_words(told),
            spent=self._spent(told, moved=after != before),
            maker_refused=_maker_refused(step.phase, told),
            regime=regime,
            slippage_bps=self._budget(regime),
            mid=mid,
            at_ms=self._clock.wall_ns() // NS_PER_MS,
            traded=traded,
            cost=cost,
        )

    # --- what to send ------------------------------------------------------------------------

    @property
    def _by_venue(self) -> bool:
        return self._step.by_venue and self._venue.capabilities.closes_positions

    async def _book(self) -> Book:
        """What there is of it: without the price that is wanted, the step is told to be in vain."""
        side = Side.SELL if self._step.position > 0 else Side.BUY
        any_price = self._by_venue or self._step.phase is FlattenPhase.MAKER
        try:
            return await read_book(
                self._venue,
                self._instrument,
                one_sided if any_price else lambda book: best_for(book, side) is not None,
            )
        except NotSent:
            return Book()

    def _jumped(self, price: Ticks, side: Side) -> bool:
        """Before the deadline, a price that is suddenly far worse has to last for a while."""
        step = self._step
        if step.phase is not FlattenPhase.TAKER or not step.last_mid or step.last_mid_ms is None:
            return False
        age_ms = self._clock.wall_ns() // NS_PER_MS - step.last_mid_ms
        worse = (self._instrument.price(price) - step.last_mid) * side.sign
        budget = max(step.slippage_bps, step.fast_slippage_bps) + step.limits.collar_bps
        return 0 <= age_ms < _JUMP_MS and worse * BPS > step.last_mid * budget

    def _regime(self, book: Book, mid_x2: Ticks | None) -> Regime:
        step = self._step
        if mid_x2 is None or book.spread is None:
            return Regime.FAST
        mid = self._instrument.price(mid_x2) / 2
        move, elapsed = Decimal(0), Decimal(1)
        if step.last_mid and step.last_mid_ms is not None:
            move = abs(mid - step.last_mid) / step.last_mid * BPS
            elapsed = Decimal(self._clock.wall_ns() // NS_PER_MS - step.last_mid_ms) / 1_000
        return regime_of(
            spread_bps=Decimal(2 * book.spread) / mid_x2 * BPS,
            move_bps=move,
            elapsed_s=elapsed,
            slippage_bps=step.slippage_bps,
        )

    def _budget(self, regime: Regime) -> Decimal | None:
        return budget_bps(
            self._step.phase,
            regime,
            slippage_bps=self._step.slippage_bps,
            fast_slippage_bps=self._step.fast_slippage_bps,
        )

    def _order(self, price: Ticks, position: Lots) -> tuple[NewOrder, GateLimits]:
        step = self._step
        side = Side.SELL if position > 0 else Side.BUY
        maker = step.phase is FlattenPhase.MAKER
        limits = GateLimits.of(self._instrument, exit_limits(step.limits, self._instrument, price))
        slot = Slot(side, 0)
        identity = OrderIdentity(
            tag=step.market.tag, epoch=step.epoch, cycle=step.step, slot=slot, exit=True
        )
        order = NewOrder(
            client_order_id=identity.encode(),
            slot=slot,
            side=side,
            price=price,
            lots=exit_lots(step.lots, position, price, limits),
            time_in_force=TimeInForce.GTC if maker else TimeInForce.IOC,
            post_only=maker,
            reduce_only=True,
        )
        return order, limits

    def _price(self, book: Book, side: Side, regime: Regime) -> Ticks | None:
        """None where the book lacks the price that is wanted."""
        if self._step.phase is FlattenPhase.MAKER:
            return best_for(book, side.opposite)
        best = best_for(book, side)
        if best is None:
            if not self._by_venue:
                return None
            return unsent_price(self._instrument, book, side, self._step.last_mid)
        budget = self._budget(regime)
        collar = self._step.limits.collar_bps
        price = taking_price(
            self._instrument, book, side, collar if budget is None else min(budget, collar)
        )
        limits = GateLimits.of(self._instrument, self._step.limits)
        return within_collar(price, side, 2 * best, limits)

    def _context(
        self, limits: GateLimits, book: Book, order: NewOrder, position: Lots
    ) -> GateContext:
        best = best_for(book, order.side)
        return GateContext(
            limits=limits,
            # Its collar is around the price it hits: in a wide book the mid is nobody's price.
            mid_x2=2 * (order.price if best is None else best),
            book_age_ns=book.age_ns(self._clock.monotonic_ns()),
            account_age_ns=None,
            position=position,
            working=(),
            orders_last_minute=0,
        )

    # --- sending -----------------------------------------------------------------------------

    async def _send(self, approved: Approved[Batch]) -> BatchOutcome:
        """Send, and return only once nothing of it can trade any more."""
        step, venue, batch = self._step, self._venue, approved.value
        execution = venue.execution
        record_sent(self._ledger, self._clock, step.market, self._instrument, step.epoch, batch)
        try:
            sending = execution.close if self._by_venue else execution.send
            answer = await sending(approved, self._instrument)
            record_answer(self._ledger, self._clock, step.market, answer)
            (told,) = answer.orders
            if step.phase is FlattenPhase.MAKER and told.kind is OutcomeKind.ACCEPTED:
                await self._rest(batch.orders[0])
        except BaseException:
            # Cancelled, or the market lost: what may rest goes first, whoever owns the market.
            if step.phase is FlattenPhase.MAKER:
                await clear(venue, self._instrument, self._clock, give_up_s=_CLEAR_S)
            raise
        if answer.unresolved or step.phase is FlattenPhase.MAKER:
            await _settle(venue, self._instrument, self._clock)
        else:
            await asyncio.sleep(venue.capabilities.settling_ms / 1_000)
        record_over(self._ledger, self._clock, step.market, answer.orders[0], "exit is over")
        return answer

    async def _rest(self, order: NewOrder) -> None:
        """Let it rest until its time is up or the venue lists it no more."""
        until_ns = self._clock.monotonic_ns() + self._step.wait_s * NS_PER_S
        await asyncio.sleep(self._venue.capabilities.settling_ms / 1_000)
        while (left_ns := until_ns - self._clock.monotonic_ns()) > 0:
            await self._hold()
            with suppress(VenueError):
                await self._arm()
                if not await self._venue.execution.find(self._instrument, order.client_order_id):
                    return
            await asyncio.sleep(min(_LOOK_S, left_ns / NS_PER_S))

    async def _arm(self) -> None:
        """The venue's own timer guards what rests; it runs out by itself afterwards."""
        if self._step.phase is FlattenPhase.MAKER and self._venue.dead_man is not None:
            await self._venue.dead_man.keep(self._step.market.path)

    def _spent(self, told: OrderOutcome, *, moved: bool) -> bool:
        if moved or not self._venue.capabilities.ids_refused_for_good:
            return True
        return told.kind is not OutcomeKind.UNRESOLVED or told.reason is RejectReason.DUPLICATE


async def _settle(venue: Venue, instrument: Instrument, clock: Clock) -> None:
    """Take away whatever of ours could still trade. Unresolved when that cannot be verified."""
    report = await clear(venue, instrument, clock, give_up_s=_CLEAR_S)
    if not report.verified:
        raise Unresolved(f"orders of {instrument.symbol} not verified gone: {report.message}")
    await asyncio.sleep(venue.capabilities.settling_ms / 1_000)


def _maker_refused(phase: FlattenPhase, told: OrderOutcome) -> bool:
    return phase is FlattenPhase.MAKER and told.reason in {
        RejectReason.REDUCE_ONLY,
        RejectReason.INVALID,
        RejectReason.OTHER,
    }


def _words(told: OrderOutcome) -> str:
    why = told.message or (told.reason.value if told.reason else "")
    return f"{told.kind.value} ({why})" if why else told.kind.value


def _waits(step: ExitStep, position: Lots, why: str) -> FlattenSliceReport:
    # What an earlier try sent may still be asked for by its id only.
    return replace(_unsent(step, position, position, why), spent=not step.repeated)


def _unsent(step: ExitStep, before: Lots, after: Lots, outcome: str) -> FlattenSliceReport:
    return FlattenSliceReport(
        step=step.step,
        position_before=before,
        position_after=after,
        sent_lots=0,
        outcome=outcome,
    )
