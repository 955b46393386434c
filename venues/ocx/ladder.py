"""The body of a `quotes/bulk` call, and what its answer says about every order.

Where an answer leaves one order open, that order is unresolved; nothing is guessed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import msgspec

from desk.instrument import Instrument
from desk.orders import Batch, NewOrder, OrderOutcome, OutcomeKind, RejectReason, TimeInForce
from venues.ocx.errors import reason_of
from venues.ocx.grid import Grid

Lots: TypeAlias = Callable[[str], int]

_LIVE = frozenset({"open", "new", "accepted", "resting", "placed", "partially_filled", "filled"})
_CANCELLED = frozenset({"cancelled", "canceled", "expired"})
_COUNTS = ("placed", "accepted", "created")


class _Level(msgspec.Struct, rename="camel", omit_defaults=True):
    side: str
    price: str
    quantity: str
    client_order_id: str
    time_in_force: str
    post_only: bool
    reduce_only: bool
    margin_mode: str | None = None


class WireAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What the answer says of one order."""

    client_order_id: str | None = None
    order_id: str | None = None
    id: str | None = None
    status: str | None = None
    filled_quantity: str | None = None
    error: object = None
    code: object = None
    message: object = None


class LadderEncoder:
    """Bodies for `quotes/bulk`, through one encoder. ValueError for a price below zero."""

    def __init__(self, *, levels_key: str, margin_mode: str | None) -> None:
        self._levels_key = levels_key
        self._margin_mode = margin_mode
        self._encode = msgspec.json.Encoder().encode

    def body(self, batch: Batch, prices: Grid, sizes: Grid) -> bytes:
        """The request's body; prices and sizes as plain decimal text of the market's decimals."""
        mode, price, size = self._margin_mode, prices.text, sizes.text
        return self._encode(
            {
                "marketId": batch.symbol,
                "quoteId": batch.batch_id,
                "cancelAll": batch.replace_all,
                self._levels_key: [
                    _Level(
                        order.side,
                        price(order.price),
                        size(order.lots),
                        order.client_order_id,
                        order.time_in_force,
                        order.post_only,
                        order.reduce_only,
                        mode,
                    )
                    for order in batch.orders
                ],
            }
        )


def read_answer(orders: tuple[NewOrder, ...], body: bytes, lots: Lots) -> tuple[OrderOutcome, ...]:
    """Outcome of every order after a 2xx. ValueError when the body is not readable at all."""
    told = msgspec.json.decode(body) if body.strip() else {}
    rows, counted = _rows(told)
    if not rows:
        if counted is not None and counted != len(orders):
            return everyone(
                orders, OutcomeKind.UNRESOLVED, message=f"{counted} of {len(orders)} placed"
            )
        return everyone(orders, OutcomeKind.ACCEPTED)
    answers = msgspec.convert(rows, list[WireAnswer])
    by_id = {answer.client_order_id: answer for answer in answers}
    if set(by_id) == {None} and len(answers) == len(orders):
        return tuple(_outcome(*pair, lots) for pair in zip(orders, answers, strict=True))
    return tuple(_outcome(order, by_id.get(order.client_order_id), lots) for order in orders)


def read_close(orders: tuple[NewOrder, ...], body: bytes, lots: Lots) -> tuple[OrderOutcome, ...]:
    """Outcome of a close after a 2xx, which answers with the one order it made of it."""
    alone = body.strip().startswith(b"{")
    return read_answer(orders, b"[" + body + b"]" if alone else body, lots)


def close_body(order: NewOrder, instrument: Instrument, size: Callable[[int], str]) -> bytes:
    """Body of a close; without a quantity where it is less than the venue takes as one."""
    body = {"marketId": instrument.symbol, "clientOrderId": order.client_order_id}
    if order.lots >= instrument.min_lots:
        body["quantity"] = size(order.lots)
    return msgspec.json.encode(body)


def everyone(
    orders: Iterable[NewOrder],
    kind: OutcomeKind,
    *,
    reason: RejectReason | None = None,
    message: str = "",
) -> tuple[OrderOutcome, ...]:
    """The same outcome for every order."""
    return tuple(
        OrderOutcome(
            client_order_id=order.client_order_id, kind=kind, reason=reason, message=message
        )
        for order in orders
    )


def _rows(told: object) -> tuple[list[object], int | None]:
    """The list of orders in an answer, and the number of orders it says were placed."""
    if isinstance(told, list):
        return told, None
    if not isinstance(told, Mapping):
        raise ValueError(f"neither an object nor an array but {type(told).__name__}")  # noqa: TRY004
    rows = told.get("orders")
    counts = [told[name] for name in _COUNTS if isinstance(told.get(name), int)]
    return rows if isinstance(rows, list) else [], counts[0] if counts else None


def _outcome(order: NewOrder, answer: WireAnswer | None, lots: Lots) -> OrderOutcome:
    if answer is None:
        return _told(order, OutcomeKind.UNRESOLVED, message="the answer does not mention it")
    status = (answer.status or "").lower()
    filled = lots(answer.filled_quantity) if answer.filled_quantity else None
    venue_id = answer.order_id or answer.id
    complaint = str(answer.code or answer.error or "")
    message = f"{complaint} {answer.message or ''}".strip()
    if status == "rejected" or (complaint and status not in _LIVE):
        reason = reason_of(complaint) or RejectReason.OTHER
        # A duplicate may be this very order, placed by an earlier attempt.
        duplicate = reason is RejectReason.DUPLICATE
        kind = OutcomeKind.UNRESOLVED if duplicate else OutcomeKind.REJECTED
        return _told(order, kind, venue_id=venue_id, reason=reason, message=message)
    if status in _CANCELLED and not filled:
        return _told(
            order,
            OutcomeKind.REJECTED,
            venue_id=venue_id,
            reason=_why_cancelled(order),
            message=message or status,
            filled=filled,
        )
    if status in _LIVE or status in _CANCELLED or not status:
        return _told(order, OutcomeKind.ACCEPTED, venue_id=venue_id, message=message, filled=filled)
    return _told(
        order, OutcomeKind.UNRESOLVED, venue_id=venue_id, message=f"status {status}", filled=filled
    )


def _why_cancelled(order: NewOrder) -> RejectReason:
    if order.time_in_force is not TimeInForce.GTC:
        return RejectReason.NOT_FILLED
    return RejectReason.POST_ONLY if order.post_only else RejectReason.OTHER


def _told(
    order: NewOrder,
    kind: OutcomeKind,
    *,
    venue_id: str | None = None,
    reason: RejectReason | None = None,
    message: str = "",
    filled: int | None = None,
) -> OrderOutcome:
    return OrderOutcome(
        client_order_id=order.client_order_id,
        kind=kind,
        venue_order_id=venue_id,
        reason=reason,
        message=message,
        filled=filled,
    )
