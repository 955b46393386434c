"""Levers on an account's books: money in and out, funding now, and what nobody of ours did.

What a lever does in the open is told like anything else; what it does behind the system's back is
told by no event.
"""

from decimal import Decimal
from typing import Any, Protocol

import msgspec
from aiohttp import web

from desk.instrument import Instrument
from desk.orders import RejectReason
from desk.units import Side
from venues.simulation.hand import CROWD
from venues.simulation.lever import LeverRefused, LeverTable, bad, decode, positive, signed
from venues.simulation.orders import OrderReport, OrderRequest
from venues.simulation.stage import Stage
from venues.simulation.views import Bucket


class Transfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Deposit or withdraw quote currency, which payment histories show."""

    account: str
    amount: str
    bucket: Bucket = Bucket.PERPS


class FundingNow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Pay funding once more, at this rate of notional; longs pay when it is positive."""

    market_id: str
    rate: str


class Stranger(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Place an order in an account's name that its owner knows nothing of.

    `client_order_id` is the text the engine keeps, in the venue's own form. Streams tell of it.
    """

    account: str
    market_id: str
    side: Side
    quantity: str
    price: str
    client_order_id: str | None = None
    post_only: bool = True


class Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Make a position so many signed base units without any fill; streams hear of it if `told`."""

    account: str
    market_id: str
    quantity: str
    told: bool = False


class Money(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Change an account's money by a signed amount that no history shows and no stream tells."""

    account: str
    amount: str


class Reported(Protocol):
    """How a venue writes what became of an order."""

    def report(self, instrument: Instrument, report: OrderReport) -> dict[str, Any]:
        """What became of an order, JSON-ready."""
        ...


class BookLevers:
    """Handlers; `table` is what to register."""

    def __init__(self, stage: Stage, display: Reported) -> None:
        self._stage = stage
        self._display = display

    def table(self) -> LeverTable:
        """All levers of this file."""
        return (
            ("GET", "/_sim/payments", self._payments),
            ("POST", "/_sim/deposit", self._deposit),
            ("POST", "/_sim/withdraw", self._withdraw),
            ("POST", "/_sim/funding", self._funding),
            ("POST", "/_sim/order", self._order),
            ("POST", "/_sim/position", self._position),
            ("POST", "/_sim/balance", self._balance),
        )

    def _payments(self, request: web.Request, _raw: bytes) -> Any:
        account = self._account(request.query.get("account", ""))
        since = request.query.get("since", "0")
        if not since.isdecimal():
            raise bad("since must be a whole number of milliseconds")
        return self._stage.engine.treasury.payments(account, int(since))

    def _deposit(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, Transfer)
        account = self._account(order.account)
        self._stage.engine.treasury.deposit(account, positive(order.amount), order.bucket)
        return {"deposited": order.amount}

    def _withdraw(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, Transfer)
        account, amount = self._account(order.account), positive(order.amount)
        refused = self._stage.engine.treasury.withdraw(account, amount, order.bucket)
        if refused is RejectReason.MARGIN:
            raise LeverRefused(409, "INSUFFICIENT_BALANCE", f"{amount} is more than is free")
        return {"withdrawn": order.amount}

    def _funding(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, FundingNow)
        self._instrument(order.market_id)
        self._stage.engine.treasury.pay_funding(order.market_id, signed(order.rate))
        return {"paid": order.rate}

    def _order(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, Stranger)
        instrument = self._instrument(order.market_id)
        request = OrderRequest(
            symbol=order.market_id,
            side=order.side,
            lots=_lots(instrument, positive(order.quantity)),
            price=instrument.price_ticks(positive(order.price), order.side),
            post_only=order.post_only,
            client_order_id=order.client_order_id,
        )
        report = self._stage.engine.submit(self._account(order.account), request)
        return self._display.report(instrument, report)

    def _position(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, Position)
        instrument = self._instrument(order.market_id)
        lots = _lots(instrument, signed(order.quantity))
        self._stage.engine.tampering.set_position(
            self._account(order.account), order.market_id, lots, against=CROWD, told=order.told
        )
        return {"lots": lots}

    def _balance(self, _request: web.Request, raw: bytes) -> Any:
        order = decode(raw, Money)
        account, amount = self._account(order.account), signed(order.amount)
        self._stage.engine.tampering.move_balance(account, amount, against=CROWD)
        return {"moved": order.amount}

    def _account(self, name: str) -> str:
        if name not in self._stage.accounts():
            raise LeverRefused(404, "UNKNOWN_ACCOUNT", f"there is no account {name}")
        return name

    def _instrument(self, symbol: str) -> Instrument:
        if symbol not in self._stage.listed():
            raise LeverRefused(404, "UNKNOWN_MARKET", f"there is no market {symbol}")
        return self._stage.engine.market_rules(symbol).instrument


def _lots(instrument: Instrument, quantity: Decimal) -> int:
    try:
        return instrument.exact_lots(quantity)
    except ValueError as fault:
        raise bad(f"quantity: {fault}") from None
