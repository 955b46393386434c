"""A loop in one call, and the events that drive it. Times are nanoseconds from zero."""

from dataclasses import replace
from decimal import Decimal

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.market import BookSnapshot
from desk.orders import (
    AccountChange,
    AccountSnapshot,
    Batch,
    BatchOutcome,
    Fill,
    Liquidity,
    OrderOutcome,
    OutcomeKind,
    RejectReason,
    VenuePosition,
)
from desk.permit import Permit
from desk.ports import Capabilities
from desk.quoting.parameters import QuoteParameters
from desk.records import LedgerFacts
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_S, Side
from quoting.actions import Action, SendBatch
from quoting.inbox import Answered
from quoting.loop import MarketLoop
from quoting.setup import LoopSetup

FOREVER = 10**18
PARAMETERS = QuoteParameters(spread_bps=Decimal(10), level_notional=Decimal(600))
MARKET = MarketId("ocx", "main", "BTC-PERP")
INSTRUMENT = Instrument(
    venue="ocx",
    symbol="BTC-PERP",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    maker_fee_bps=Decimal(2),
    taker_fee_bps=Decimal(5),
)
CAPABILITIES = Capabilities(
    atomic_ladder=True,
    replaces_orders=False,
    pushes_order_updates=False,
    pushes_trade_ids=False,
    fills_name_orders=False,
    venue_dead_man=False,
    finds_by_client_id=True,
    max_batch_orders=20,
    client_order_id_length=32,
    settling_ms=500,
)
STEPWISE = replace(
    CAPABILITIES,
    atomic_ladder=False,
    batches_overlap=True,
    replaces_orders=True,
    pushes_order_updates=True,
    pushes_trade_ids=True,
    fills_name_orders=True,
    venue_dead_man=True,
)
EMPTY = LedgerFacts(
    fills=0, position=0, cash=Decimal(0), fees=Decimal(0), last_trade_ms=None, peak_pnl=None
)


def permit() -> Permit:
    return Permit(
        max_clock_offset_ms=2_000,
        max_ledger_behind_s=5.0,
        lease_until_ns=FOREVER,
        board_until_ns=FOREVER,
        clock_offset_ms=0,
    )


def make_loop(
    *,
    limits: RiskLimits | None = None,
    facts: LedgerFacts = EMPTY,
    known: frozenset[str] = frozenset(),
    given: Permit | None = None,
    capabilities: Capabilities = CAPABILITIES,
    parameters: QuoteParameters = PARAMETERS,
) -> MarketLoop:
    setup = LoopSetup(
        market=MARKET,
        instrument=INSTRUMENT,
        epoch=1,
        parameters=parameters,
        limits=limits or RiskLimits(),
        capabilities=capabilities,
        facts=facts,
        known_since_ms=0,
        known=known,
    )
    return MarketLoop(setup, given or permit())


def book(now_ns: int, mid: int = 600_000) -> BookSnapshot:
    return BookSnapshot(
        bids=[(mid - 1 - level, 50_000) for level in range(5)],
        asks=[(mid + 1 + level, 50_000) for level in range(5)],
        sequence=None,
        received_ns=now_ns,
    )


def account(now_ns: int, lots: int = 0, fills: tuple[Fill, ...] = ()) -> AccountSnapshot:
    return AccountSnapshot(
        position=VenuePosition(symbol="BTC-PERP", lots=lots), fills=fills, received_ns=now_ns
    )


def fill(
    trade_id: str, side: Side, price: int, lots: int, client_order_id: str | None = None
) -> Fill:
    return Fill(
        venue="ocx",
        account="main",
        symbol="BTC-PERP",
        trade_id=trade_id,
        side=side,
        price=price,
        lots=lots,
        liquidity=Liquidity.MAKER,
        fee=Decimal(0),
        fee_estimated=True,
        traded_at_ms=1,
        client_order_id=client_order_id,
    )


def change(now_ns: int, lots: int, *fills: Fill) -> AccountChange:
    return AccountChange(
        fills=fills,
        position=VenuePosition(symbol="BTC-PERP", lots=lots),
        received_ns=now_ns,
    )


def accepted(batch: Batch, **changes: object) -> Answered:
    outcome = BatchOutcome(
        batch_id=batch.batch_id,
        orders=tuple(
            OrderOutcome(client_order_id=order.client_order_id, kind=OutcomeKind.ACCEPTED)
            for order in batch.orders
        ),
        old_gone=True,
        sent_ns=1,
        answered_ns=2,
    )
    return Answered(batch=batch, outcome=replace(outcome, **changes))  # type: ignore[arg-type]


def refused(batch: Batch, reason: RejectReason, *, old_gone: bool | None) -> Answered:
    return accepted(
        batch,
        old_gone=old_gone,
        orders=tuple(
            OrderOutcome(
                client_order_id=order.client_order_id, kind=OutcomeKind.REJECTED, reason=reason
            )
            for order in batch.orders
        ),
    )


def unresolved(batch: Batch) -> Answered:
    return accepted(
        batch,
        old_gone=None,
        orders=tuple(
            OrderOutcome(client_order_id=order.client_order_id, kind=OutcomeKind.UNRESOLVED)
            for order in batch.orders
        ),
    )


def sent(actions: list[Action]) -> Batch:
    """The one batch among the actions."""
    (batch,) = [action.approved.value for action in actions if isinstance(action, SendBatch)]
    return batch


def quoting_loop(**options: object) -> tuple[MarketLoop, Batch]:
    """A loop whose first ladder rests, at one second."""
    loop = make_loop(**options)  # type: ignore[arg-type]
    loop.apply(account(NS_PER_S))
    loop.apply(book(NS_PER_S))
    batch = sent(loop.decide(NS_PER_S))
    loop.apply(accepted(batch))
    return loop, batch
