"""Approved batches for tests of adapters: the real gate, with limits too wide to say no."""

from decimal import Decimal

from desk.instrument import Instrument
from desk.orders import Batch
from desk.risk.approval import Approved
from desk.risk.context import GateContext, GateLimits
from desk.risk.gate import review
from desk.risk.limits import RiskLimits
from desk.units import Lots, Ticks

_WIDE = Decimal(10) ** 15


def approve(
    batch: Batch, instrument: Instrument, *, mid_x2: Ticks, position: Lots = 0
) -> Approved[Batch]:
    """Pass a batch through the gate; AssertionError with the gate's sentence when it denies."""
    limits = RiskLimits(
        max_order_notional=_WIDE,
        max_position=_WIDE,
        collar_bps=Decimal(10_000),
        max_orders_per_minute=1_000_000,
    )
    context = GateContext(
        limits=GateLimits.of(instrument, limits),
        mid_x2=mid_x2,
        book_age_ns=0,
        account_age_ns=0,
        position=position,
        working=(),
        orders_last_minute=0,
    )
    verdict = review(batch, context)
    assert isinstance(verdict, Approved), verdict.message
    return verdict
