"""What the gates look at: limits compiled to integers once, and the facts of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from desk.identity import OrderIdentity
from desk.instrument import Instrument
from desk.orders import Balance, NewOrder, TimeInForce
from desk.risk.limits import RiskLimits
from desk.units import BPS, NS_PER_MS, Lots, Ticks
from desk.working import WorkingOrder

_RESERVE_SHARE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """Limits of one market as exact integers; build with `of` whenever either source changes.

    Notionals are in tick-lots (price ticks times lots); `position_x2` is twice that, to compare
    with twice the mid. `collar` is (n, d): a price may be n/d of the mid away from the mid.
    """

    instrument: Instrument
    limits: RiskLimits
    order_notional: int
    min_notional: int
    order_lots: Lots | None
    position_x2: int
    collar: tuple[int, int]
    book_age_ns: int
    account_age_ns: int
    orders_per_minute: int
    exits_per_minute: int

    @classmethod
    def of(cls, instrument: Instrument, limits: RiskLimits) -> "GateLimits":
        """Compile; every maximum rounds down and every minimum up, so never to the lax side."""
        tick_lot = Fraction(instrument.tick_size * instrument.lot_size * instrument.multiplier)
        quantity = limits.max_order_quantity
        per_minute = limits.max_orders_per_minute
        return cls(
            instrument=instrument,
            limits=limits,
            order_notional=_floor(limits.max_order_notional, tick_lot),
            min_notional=-_floor(-instrument.min_notional, tick_lot),
            order_lots=None
            if quantity is None
            else _floor(quantity, Fraction(instrument.lot_size)),
            position_x2=_floor(2 * limits.max_position, tick_lot),
            collar=(limits.collar_bps / BPS).as_integer_ratio(),
            book_age_ns=limits.max_book_age_ms * NS_PER_MS,
            account_age_ns=limits.max_account_age_ms * NS_PER_MS,
            orders_per_minute=per_minute,
            # Leaving a position must not wait for a minute of our own quoting to pass.
            exits_per_minute=per_minute + max(per_minute // _RESERVE_SHARE, 1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateContext:
    """Facts of one moment, for one market.

    `mid_x2` is best bid plus best ask in ticks, the last one known; 0 when none ever was, and then
    every order is denied by the collar. Ages are nanoseconds since the stream last spoke, None when
    it never did. `position` is signed lots, `working` every order not known to be closed,
    `orders_last_minute` comes from `OrderRate` and does not include the batch under review.
    `funds` are the account's as last read, None when they never were.
    """

    limits: GateLimits
    mid_x2: Ticks
    book_age_ns: int | None
    account_age_ns: int | None
    position: Lots
    working: Sequence[WorkingOrder]
    orders_last_minute: int
    funds: Balance | None = None
    funds_age_ns: int | None = None


def is_exit(order: NewOrder) -> bool:
    """Whether an order only leaves risk: reduce-only, and immediate or named an exit by its id.

    An id alone proves nothing, so an order that is not reduce-only is never an exit.
    """
    if not order.reduce_only:
        return False
    if order.time_in_force is not TimeInForce.GTC:
        return True
    identity = OrderIdentity.decode(order.client_order_id)
    return identity is not None and identity.exit


def _floor(amount: Decimal, unit: Fraction) -> int:
    return Fraction(amount) // unit
