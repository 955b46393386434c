"""One order of a flatten: never more than the position just read, never the other way round.

Its client order id is made from epoch and step alone, so a repetition is the same order. Whatever
an earlier try of the step may have sent is settled before anything else is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
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
    Fill,
    NewOrder,
    OrderOutcome,
    OutcomeKind,
    RejectReason,
    TimeInForce,
)
from desk.ports import Clock, LedgerWriter, Venue
from desk.records import FillSeen
from desk.risk.approval import Approved
from desk.risk.gate import Denied, GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.units import BPS, NS_PER_MS, NS_PER_S, Lots, Side, Ticks
from quoting.clearing import clear
from quoting.journal import record_answer, record_sent
from quoting.taking import read_book, taking_price

_CLEAR_S = 10.0
_LOOK_S = 1.0
_FILLS_BACK_MS = 60_000
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
    it had the collar's width. `traded` and `cost` are quote currency: what fills were worth at the
    mid, and how much worse than the mid they were. `maker_refused`: the venue takes no such order.
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
        book = await read_book(venue, self._instrument)
        mid_x2 = book.mid_x2
        if mid_x2 is None:
            raise NotSent(f"the book of {self._instrument.symbol} was lost while it was read")
        known = await self._fills()
        looked_ns = self._clock.monotonic_ns()
        before = (await venue.account.position(self._instrument)).lots
        if before == 0:
            return _unsent(step, 0, 0, "flat")
        regime = self._regime(book, mid_x2)
        order, limits = self._order(book, mid_x2, before, regime)
        batch = Batch(
            batch_id=order.client_order_id, symbol=self._instrument.symbol, orders=(order,)
        )
        verdict = review(batch, self._context(limits, book, mid_x2, before))
        if isinstance(verdict, Denied):
            return _unsent(step, before, before, f"denied: {verdict.message}")
        await self._hold()
        await self._arm()
        if self._clock.monotonic_ns() - looked_ns > _FRESH_NS:
            raise NotSent("the look at the position is too old to act on")
        answer = await self._send(verdict)
        after = (await venue.account.position(self._instrument)).lots
        traded, cost = self._money(mid_x2, known, await self._fills())
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
            mid=self._instrument.price(mid_x2) / 2,
            at_ms=self._clock.wall_ns() // NS_PER_MS,
            traded=traded,
            cost=cost,
        )

    # --- what to send ------------------------------------------------------------------------

    def _regime(self, book: Book, mid_x2: Ticks) -> Regime:
        step, mid = self._step, self._instrument.price(mid_x2) / 2
        move, elapsed = Decimal(0), Decimal(1)
        if step.last_mid and step.last_mid_ms is not None:
            move = abs(mid - step.last_mid) / step.last_mid * BPS
            elapsed = Decimal(self._clock.wall_ns() // NS_PER_MS - step.last_mid_ms) / 1_000
        return regime_of(
            spread_bps=Decimal(2 * (book.spread or 0)) / mid_x2 * BPS,
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

    def _order(
        self, book: Book, mid_x2: Ticks, position: Lots, regime: Regime
    ) -> tuple[NewOrder, GateLimits]:
        step = self._step
        side = Side.SELL if position > 0 else Side.BUY
        maker = step.phase is FlattenPhase.MAKER
        price = self._price(book, side, regime)
        wide = GateLimits.of(self._instrument, step.limits)
        price = within_collar(price, side, mid_x2, wide)
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

    def _price(self, book: Book, side: Side, regime: Regime) -> Ticks:
        if self._step.phase is FlattenPhase.MAKER:
            touch = book.best_ask if side is Side.SELL else book.best_bid
            if touch is None:
                raise NotSent(f"the book of {self._instrument.symbol} was lost while it was read")
            return touch
        budget = self._budget(regime)
        collar = self._step.limits.collar_bps
        return taking_price(
            self._instrument, book, side, collar if budget is None else min(budget, collar)
        )

    def _context(
        self, limits: GateLimits, book: Book, mid_x2: Ticks, position: Lots
    ) -> GateContext:
        return GateContext(
            limits=limits,
            mid_x2=mid_x2,
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
        by_venue = step.by_venue and venue.capabilities.closes_positions
        record_sent(self._ledger, self._clock, step.market, step.epoch, batch)
        try:
            sending = execution.close if by_venue else execution.send
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

    # --- what it cost ------------------------------------------------------------------------

    async def _fills(self) -> Mapping[str, Fill] | None:
        """Fills of the last minute by trade id; None where they cannot be read just now."""
        since_ms = self._clock.wall_ns() // NS_PER_MS - _FILLS_BACK_MS
        try:
            found = await self._venue.account.fills(self._instrument, since_ms)
        except VenueError:
            return None
        return {fill.trade_id: fill for fill in found}

    def _money(
        self, mid_x2: Ticks, known: Mapping[str, Fill] | None, seen: Mapping[str, Fill] | None
    ) -> tuple[Decimal, Decimal]:
        """Worth of the new fills at the mid, and how much worse than that they were."""
        traded = cost = Decimal(0)
        if known is None or seen is None:
            return traded, cost
        for trade_id, fill in seen.items():
            if trade_id in known:
                continue
            self._ledger.record(FillSeen(market=self._step.market, fill=fill))
            worth = self._instrument.notional(mid_x2, fill.lots) / 2
            traded += worth
            paid = self._instrument.notional(fill.price, fill.lots)
            cost += (paid - worth) * fill.side.sign
        return traded, cost


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


def _unsent(step: ExitStep, before: Lots, after: Lots, outcome: str) -> FlattenSliceReport:
    return FlattenSliceReport(
        step=step.step,
        position_before=before,
        position_after=after,
        sent_lots=0,
        outcome=outcome,
    )
