"""The way out of one position with venue keys alone: reduce-only IOCs, then the venue's own close.

The rule: never more than the position just read. Each IOC may take farther from the best price than
the one before; only when the widest budget was in vain does a venue that can close it by itself, at
any price: an empty book shall cost time before it costs money. An order needs the side of the book
it hits, and its collar is around that price; the venue's own close needs no book.

Ids of these orders carry the unix milliseconds of the panic instead of a session's counters: the
epoch starts at 2^17, which sessions (one epoch each) do not reach in years, and holds the high part
of the time; the cycle holds the low 26 bits. They are exits by their mark, which no order of a
session is. So no earlier id returns, without asking anybody what was used before.
"""

import asyncio
from decimal import Decimal
from typing import Final

from desk.book import Book
from desk.errors import NotSent
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, BatchOutcome, NewOrder, OutcomeKind, RejectReason, TimeInForce
from desk.ports import Clock, Venue
from desk.risk.gate import Denied, GateContext, GateLimits, review
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS, Lots, Side, Ticks
from quoting.taking import best_for, read_book, taking_price, unsent_price

BUDGETS_BPS: Final = tuple(Decimal(bps) for bps in (100, 200, 400, 900))
"""How far beyond the best price each attempt may take; the last one stays."""

_COLLAR_BPS: Final = Decimal(1_000)
_FIRST_EPOCH: Final = 2**17
_CYCLE_BITS: Final = 26
# Somebody ordered everything closed, whatever its size: the collar is what bounds the loss.
_ANY: Final = Decimal(10) ** 15
_LIMITS: Final = RiskLimits(
    max_order_notional=_ANY, max_position=_ANY, collar_bps=_COLLAR_BPS, max_drawdown=_ANY
)
_TOO_LARGE: Final = frozenset({RejectReason.INVALID, RejectReason.OTHER})
_MOST_PARTS: Final = 64


def panic_identity(market: MarketId, side: Side, wall_ms: int) -> OrderIdentity:
    """Identity of an exit sent at this unix millisecond; at most one a market and millisecond."""
    return OrderIdentity(
        tag=market.tag,
        epoch=_FIRST_EPOCH + (wall_ms >> _CYCLE_BITS),
        cycle=wall_ms & ((1 << _CYCLE_BITS) - 1),
        slot=Slot(side, 0),
        exit=True,
    )


def slice_lots(size: Lots, parts: int, least: Lots) -> Lots:
    """Unsigned lots of one of so many parts; what it leaves is nothing, or can be sold by itself.

    A venue may refuse less than its smallest order even where it only reduces.
    """
    part = min(size, max(-(-size // parts), least))
    return size if size - part < least else part


class WayOut:
    """Closes one market's position, attempt by attempt, each bolder in price or smaller in size."""

    def __init__(
        self, *, market: MarketId, instrument: Instrument, venue: Venue, clock: Clock
    ) -> None:
        self._market = market
        self._instrument = instrument
        self._venue = venue
        self._clock = clock
        self._attempts = 0
        self._parts = 1

    async def attempt(self) -> tuple[Decimal, str]:
        """Try once: signed base units before it, and what became of it, empty when all was well.

        Raises Refused, NotSent or Unresolved when the position or the book cannot be read.
        """
        held = (await self._venue.account.position(self._instrument)).lots
        quantity = self._instrument.quantity(held)
        if not held:
            return quantity, ""
        self._attempts += 1
        said = await self._by_order(held)
        await asyncio.sleep(self._venue.capabilities.settling_ms / 1_000)
        return quantity, said

    async def _by_order(self, held: Lots) -> str:
        side = Side.SELL if held > 0 else Side.BUY
        book = await self._book(side)
        order = self._order(held, side, book)
        batch = Batch(
            batch_id=order.client_order_id, symbol=self._instrument.symbol, orders=(order,)
        )
        verdict = review(batch, self._context(held, order, book))
        if isinstance(verdict, Denied):
            return verdict.message
        execution = self._venue.execution
        send = execution.close if self._by_venue() else execution.send
        return self._heard(await send(verdict, self._instrument))

    async def _book(self, side: Side) -> Book:
        try:
            return await read_book(
                self._venue, self._instrument, lambda book: best_for(book, side) is not None
            )
        except NotSent:
            if self._by_venue():
                return Book()
            raise

    def _by_venue(self) -> bool:
        """Every other attempt, once the budgets are used up: its close may be refused as well."""
        beyond = self._attempts - len(BUDGETS_BPS)
        return self._venue.capabilities.closes_positions and beyond > 0 and beyond % 2 == 1

    def _order(self, held: Lots, side: Side, book: Book) -> NewOrder:
        budget = BUDGETS_BPS[min(self._attempts, len(BUDGETS_BPS)) - 1]
        identity = panic_identity(self._market, side, self._clock.wall_ns() // NS_PER_MS)
        return NewOrder(
            client_order_id=identity.encode(),
            slot=identity.slot,
            side=side,
            price=self._price(side, book, budget),
            lots=slice_lots(
                abs(held), 1 if self._by_venue() else self._parts, self._instrument.min_lots
            ),
            time_in_force=TimeInForce.IOC,
            post_only=False,
            reduce_only=True,
        )

    def _price(self, side: Side, book: Book, budget: Decimal) -> Ticks:
        """Without that side there is no price; the venue's own close is sent none."""
        if self._by_venue() and best_for(book, side) is None:
            return unsent_price(self._instrument, book, side)
        return taking_price(self._instrument, book, side, budget)

    def _context(self, held: Lots, order: NewOrder, book: Book) -> GateContext:
        best = best_for(book, order.side)
        return GateContext(
            limits=GateLimits.of(self._instrument, _LIMITS),
            mid_x2=2 * (order.price if best is None else best),
            book_age_ns=book.age_ns(self._clock.monotonic_ns()),
            account_age_ns=None,
            position=held,
            working=(),
            orders_last_minute=0,
        )

    def _heard(self, outcome: BatchOutcome) -> str:
        (order,) = outcome.orders
        if order.kind is OutcomeKind.ACCEPTED:
            self._parts = max(1, self._parts // 2)
            return ""
        if order.reason in _TOO_LARGE:
            self._parts = min(_MOST_PARTS, 2 * self._parts)
        elif order.reason is RejectReason.PRICE_BAND:
            # The venue allows less than our budget: begin again at the narrowest.
            self._attempts = 0
        return f"{order.kind.value}: {order.message or order.reason}"
