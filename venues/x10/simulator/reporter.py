"""Turns what happens in the engine into order states and account messages, in the same order.

Every change of an order is told exactly once; a message shows the state right after its event.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from desk.orders import Liquidity, TimeInForce
from desk.units import NS_PER_MS, Lots
from venues.simulation.clock import VenueClock
from venues.simulation.clockwork import LIQUIDATION_TAG
from venues.simulation.engine import Engine
from venues.simulation.events import (
    CancelReason,
    Event,
    FundingPaid,
    Liquidated,
    MoneyMoved,
    OrderAccepted,
    OrderCancelled,
    PositionChanged,
    Trade,
)
from venues.simulation.untold import Untold
from venues.simulation.views import AccountTrade, BalanceView, PositionView
from venues.x10.simulator import shapes
from venues.x10.simulator.customers import Customers
from venues.x10.simulator.numbers import Numbers
from venues.x10.simulator.outbox import Message, Outbox
from venues.x10.simulator.register import OrderRecord, Register, Status
from venues.x10.simulator.settings import ReplaceEvents, SimulatorSettings

_NEVER_MS = 253_402_300_799_000
_REASONS = {
    CancelReason.REPLACED: "ORDER_REPLACED",
    CancelReason.NOT_FILLED: "NO_LIQUIDITY",
    CancelReason.SELF_TRADE: "SELF_TRADE_PROTECTION",
    CancelReason.REDUCE_ONLY: "REDUCE_ONLY_FAILED",
    CancelReason.EXPIRED: "DISABLED_MARKET",
}


class Reporter:
    """Listens to the engine for all accounts."""

    def __init__(
        self,
        settings: SimulatorSettings,
        engine: Engine,
        customers: Customers,
        register: Register,
        outbox: Outbox,
        numbers: Numbers,
        clock: VenueClock,
        untold: Untold,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._customers = customers
        self._register = register
        self._outbox = outbox
        self._numbers = numbers
        self._clock = clock
        self._untold = untold
        self._known = frozenset[str]()
        self._after_next: dict[str, Message] = {}

    def open(self) -> None:
        """Start listening, for the accounts there are now."""
        self._known = frozenset(self._customers.names())
        self._engine.subscribe(self._on_event)

    def order_message(self, record: OrderRecord) -> Message:
        """An order as the account stream tells it."""
        return "ORDER", {"isSnapshot": False, "orders": [self.order(record)]}

    def order(self, record: OrderRecord) -> dict[str, Any]:
        """An order as every read shows it."""
        instrument = self._engine.market_rules(record.symbol).instrument
        return shapes.order(instrument, self._customers.of_name(record.account).number, record)

    def position(self, account: str, symbol: str) -> dict[str, Any]:
        """A position as the engine has it."""
        return self.position_of(account, self._engine.position(account, symbol))

    def position_of(self, account: str, view: PositionView) -> dict[str, Any]:
        """A position in the shape every read has."""
        customer = self._customers.of_name(account)
        return shapes.position(
            self._engine.market_rules(view.symbol).instrument,
            number=self._numbers.position(view.position_id),
            account=customer.number,
            leverage=customer.leverage[view.symbol],
            view=view,
        )

    def balance(self, account: str) -> dict[str, Any]:
        """The account's money as the engine has it."""
        return self.balance_of(self._engine.balance(account), self._engine.positions(account))

    def balance_of(self, view: BalanceView, held: Sequence[PositionView]) -> dict[str, Any]:
        """An account's money in the shape every read has."""
        worths = (
            shapes.worth(self._engine.market_rules(one.symbol).instrument, one) for one in held
        )
        exposure = sum(worths, Decimal(0))
        return shapes.balance(view, exposure, self._clock.told_ms())

    def reject(self, record: OrderRecord, status: str, reason: str) -> None:
        """End an order that the matching engine did not take."""
        record.cancelled = record.lots - record.filled
        self._end(record, status, reason, self._clock.told_ms())
        self._outbox.post(record.account, self.order_message(record))

    # --- events -----------------------------------------------------------------------------

    def _on_event(self, event: Event) -> None:
        match event:
            case OrderAccepted():
                self._accepted(event)
            case OrderCancelled():
                self._cancelled(event)
            case Trade():
                self._traded(event)
            case PositionChanged():
                self._tell_position(event)
            case FundingPaid() | MoneyMoved() | Liquidated():
                self._tell_balance(event.account)
            case _:
                pass

    def _accepted(self, event: OrderAccepted) -> None:
        if event.account not in self._known:
            return
        book = self._register.of(event.account)
        record = book.by_external.get(event.client_order_id or "")
        if record is None:
            record = self._unasked(event)
            book.add(record)
        self._register.bind(record, event.order_id)
        record.status = Status.PARTIALLY_FILLED if record.filled else Status.NEW
        if self._settings.streams.hostile:
            self._outbox.post(event.account, self._triggered(record))
        self._outbox.post(event.account, self.order_message(record))
        held = self._after_next.pop(event.account, None)
        if held is not None:
            self._outbox.post(event.account, held)

    def _unasked(self, event: OrderAccepted) -> OrderRecord:
        """An order that came by no call: a liquidation, or a stranger's in the account's name."""
        number, now_ms = self._numbers.order(), self._clock.told_ms()
        rests = event.time_in_force is TimeInForce.GTC
        unnamed = "liquidation" if event.tag == LIQUIDATION_TAG else "web"
        return OrderRecord(
            number=number,
            external_id=event.client_order_id or f"{unnamed}-{number}",
            account=event.account,
            symbol=event.symbol,
            kind="MARKET" if event.price is None else "LIMIT",
            side=event.side,
            lots=event.lots,
            price=event.price or 0,
            reduce_only=event.reduce_only,
            post_only=event.post_only,
            time_in_force="GTT" if event.price and rests else "IOC",
            expiry_ms=_NEVER_MS,
            created_ms=now_ms,
            updated_ms=now_ms,
        )

    def _triggered(self, record: OrderRecord) -> Message:
        """A state and a field that no document names for a limit order."""
        shown = self.order(record) | {"status": "TRIGGERED", "novelty": {"depth": [1, None]}}
        return "ORDER", {"isSnapshot": False, "orders": [shown], "extra": True}

    def _cancelled(self, event: OrderCancelled) -> None:
        record = self._register.of_engine(event.order_id)
        if record is None:
            return
        record.cancelled += event.lots
        record.updated_ms = self._clock.told_ms()
        if not event.remaining:
            status, reason = self._ending(event.reason)
            self._end(record, status, reason, record.updated_ms)
        message = self.order_message(record)
        new_first = self._settings.orders.replace_events is ReplaceEvents.NEW_FIRST
        if event.reason is CancelReason.REPLACED and new_first:
            self._after_next[event.account] = message
        else:
            self._outbox.post(event.account, message)

    def _ending(self, reason: CancelReason) -> tuple[str, str]:
        """Status and reason of an order that ends unfilled (section 7)."""
        orders = self._settings.orders
        match reason:
            case CancelReason.REPLACE_FAILED:
                return orders.failed_replace_status, orders.failed_replace_reason
            case CancelReason.DEAD_MAN:
                return Status.CANCELLED, self._settings.dead_man.cancel_reason
            case CancelReason.TIMED_OUT:
                return Status.EXPIRED, "NONE"
            case CancelReason.LIQUIDATION | CancelReason.UNFUNDED:
                hostile = self._settings.streams.hostile
                return Status.CANCELLED, "NEGATIVE_EQUITY" if hostile else "NOT_ENOUGH_FUNDS"
            case _:
                return Status.CANCELLED, _REASONS.get(reason, "NONE")

    def _end(self, record: OrderRecord, status: str, reason: str, now_ms: int) -> None:
        record.status, record.reason, record.updated_ms = status, reason, now_ms
        self._register.close(record)

    def _traded(self, event: Trade) -> None:
        sides = (
            (event.maker_order_id, event.maker_remaining, False),
            (event.taker_order_id, event.taker_remaining, True),
        )
        for order_id, remaining, taker in sides:
            record = self._register.of_engine(order_id)
            if record is not None:
                self._filled(record, event, remaining, taker=taker)

    def _filled(self, record: OrderRecord, event: Trade, remaining: Lots, *, taker: bool) -> None:
        trade = _side_of(record, event, taker=taker)
        record.filled += event.lots
        record.cost += event.lots * event.price
        record.fee += trade.fee
        record.updated_ms = self._clock.told_ms()
        record.status = Status.PARTIALLY_FILLED
        if not remaining:
            self._end(record, Status.FILLED, "NONE", record.updated_ms)
        instrument = self._engine.market_rules(record.symbol).instrument
        number = self._customers.of_name(record.account).number
        shown = shapes.fill(instrument, number, record.number, trade)
        messages = [self.order_message(record)]
        if not self._untold.hides(trade.trade_id):
            messages.append(("TRADE", {"isSnapshot": False, "trades": [shown]}))
        if self._settings.orders.trade_event_first:
            messages.reverse()
        for message in messages:
            self._outbox.post(record.account, message)

    def _tell_position(self, event: PositionChanged) -> None:
        if event.account not in self._known:
            return
        shown = self.position(event.account, event.symbol)
        self._outbox.post(event.account, ("POSITION", {"isSnapshot": False, "positions": [shown]}))
        self._tell_balance(event.account)

    def _tell_balance(self, account: str) -> None:
        if account in self._known:
            shown = self.balance(account)
            self._outbox.post(account, ("BALANCE", {"isSnapshot": False, "balance": shown}))


def _side_of(record: OrderRecord, event: Trade, *, taker: bool) -> AccountTrade:
    return AccountTrade(
        trade_id=event.taker_trade_id if taker else event.maker_trade_id,
        account=record.account,
        symbol=event.symbol,
        order_id=event.taker_order_id if taker else event.maker_order_id,
        client_order_id=record.external_id,
        tag="liquidation" if record.external_id.startswith("liquidation-") else None,
        side=record.side,
        price=event.price,
        lots=event.lots,
        liquidity=Liquidity.TAKER if taker else Liquidity.MAKER,
        fee=event.taker_fee if taker else event.maker_fee,
        at_ms=event.at_ns // NS_PER_MS,
    )
