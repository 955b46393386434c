"""Records as columns of arrays, so that any number of rows is one statement of constant text."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256

from desk.orders import Fill, OutcomeKind
from desk.payments import Payment
from desk.records import (
    ControlDecision,
    EquityMark,
    FillSeen,
    KillAnswer,
    OrderAnswered,
    OrderEnded,
    OrderSent,
)
from infra.postgres.times import to_time

Columns = dict[str, list[object]]


def columns(names: Sequence[str], rows: Iterable[Sequence[object]]) -> Columns:
    """Parameters of a bulk statement: one array a column; empty when there are no rows."""
    arrays = [list(column) for column in zip(*rows, strict=True)]
    return dict(zip(names, arrays, strict=True)) if arrays else {}


def printable(text: str) -> str:
    """Free text as PostgreSQL can keep it: NUL and broken surrogates become question marks."""
    return text.replace("\x00", "?").encode("utf-8", "replace").decode("utf-8")


def sent_columns(records: Iterable[OrderSent]) -> Columns:
    """Columns of `journal.ORDERS_SENT`, the first sending of each order."""
    first: dict[tuple[object, str], OrderSent] = {}
    for record in records:
        key = record.market, record.client_order_id
        first[key] = min(first.get(key, record), record, key=_sending)
    return columns(
        (
            *("venue", "account", "symbol", "client_order_id", "epoch", "batch_id"),
            *("side", "price_ticks", "lots", "reduce_only", "sent_at", "tick_size", "lot_size"),
        ),
        (
            (
                *(sent.market.venue, sent.market.account, sent.market.symbol),
                *(sent.client_order_id, sent.epoch, sent.batch_id, sent.side.value),
                *(sent.price, sent.lots, sent.reduce_only, to_time(sent.sent_at_ms)),
                *(sent.tick_size, sent.lot_size),
            )
            for sent in first.values()
        ),
    )


def answered_columns(records: Iterable[OrderAnswered]) -> Columns:
    """Columns of `journal.ORDERS_ANSWERED`, the last certain answer of each order."""
    last: dict[tuple[object, str], OrderAnswered] = {}
    for record in records:
        key = record.market, record.client_order_id
        last[key] = _better(last[key], record) if key in last else record
    return columns(
        (
            *("venue", "account", "symbol", "client_order_id"),
            *("outcome", "venue_order_id", "message", "answered_at"),
        ),
        (
            (
                *(answer.market.venue, answer.market.account, answer.market.symbol),
                *(answer.client_order_id, answer.kind.value, answer.venue_order_id),
                *(printable(answer.message), to_time(answer.answered_at_ms)),
            )
            for answer in last.values()
        ),
    )


def ended_columns(records: Iterable[OrderEnded]) -> Columns:
    """Columns of `journal.ORDERS_ENDED`, the earliest end of each order."""
    first: dict[tuple[object, str], OrderEnded] = {}
    for record in records:
        key = record.market, record.client_order_id
        first[key] = min(first.get(key, record), record, key=_ending)
    return columns(
        ("venue", "account", "symbol", "client_order_id", "ended_at", "ending"),
        (
            (
                *(ended.market.venue, ended.market.account, ended.market.symbol),
                *(ended.client_order_id, to_time(ended.ended_at_ms), printable(ended.how)),
            )
            for ended in first.values()
        ),
    )


def fill_columns(heard: Iterable[FillSeen]) -> Columns:
    """Columns of `booking.BOOK_FILLS`, one row a trade: the first word on it.

    But a fee from the venue itself counts before an estimate, and a mid or the name of an order
    before none.
    """
    trades: dict[tuple[str, str, str], FillSeen] = {}
    for seen in heard:
        key = seen.fill.venue, seen.fill.account, seen.fill.trade_id
        trades[key] = _merged(trades[key], seen) if key in trades else seen
    return columns(
        (
            *("venue", "account", "symbol", "trade_id", "side", "price_ticks", "lots"),
            *("liquidity", "fee", "fee_estimated", "traded_at"),
            *("client_order_id", "venue_order_id", "mid"),
            *("tick_size", "lot_size", "multiplier"),
        ),
        (
            (
                *(fill.venue, fill.account, fill.symbol, fill.trade_id, fill.side.value),
                *(fill.price, fill.lots, fill.liquidity.value, fill.fee, fill.fee_estimated),
                *(to_time(fill.traded_at_ms), fill.client_order_id, fill.venue_order_id),
                *(_finite(seen.mid), seen.tick_size, seen.lot_size, seen.multiplier),
            )
            for seen in trades.values()
            for fill in (seen.fill,)
        ),
    )


def payment_columns(payments: Iterable[Payment]) -> Columns:
    """Columns of `payments.BOOK_PAYMENTS`."""
    return columns(
        ("venue", "account", "kind", "payment_id", "symbol", "amount", "paid_at"),
        (
            (
                *(payment.venue, payment.account, payment.kind.value, payment.payment_id),
                *(payment.symbol, payment.amount, to_time(payment.paid_at_ms)),
            )
            for payment in payments
        ),
    )


def equity_columns(marks: Iterable[EquityMark]) -> Columns:
    """Columns of `journal.EQUITY`."""
    return columns(
        (
            *("venue", "account", "symbol", "epoch", "at"),
            *("pnl", "peak", "position_lots", "mid"),
        ),
        (
            (
                *(mark.market.venue, mark.market.account, mark.market.symbol, mark.epoch),
                *(to_time(mark.at_ms), mark.pnl, mark.peak, mark.position, mark.mid),
            )
            for mark in marks
        ),
    )


def decision_columns(decisions: Iterable[ControlDecision]) -> Columns:
    """Columns of `journal.DECISIONS`; the digest of its content is a decision's identity."""
    return columns(
        (
            *("venue", "account", "symbol", "epoch", "kind", "reason"),
            *("decided_by", "evidence", "at", "digest"),
        ),
        (
            (
                *((market.venue, market.account, market.symbol) if market else (None,) * 3),
                *(decision.epoch, decision.kind, printable(decision.reason), decision.by),
                *(printable(decision.evidence), to_time(decision.at_ms)),
                sha256(repr(decision).encode("utf-8", "replace")).hexdigest(),
            )
            for decision in decisions
            for market in (decision.market,)
        ),
    )


def answer_columns(answers: Iterable[KillAnswer]) -> Columns:
    """Columns of `journal.KILL_ANSWERS`."""
    return columns(
        ("scope", "set_at", "venue", "account", "symbol", "stage", "at", "evidence"),
        (
            (
                *(answer.scope, to_time(answer.set_at_ms)),
                *(answer.market.venue, answer.market.account, answer.market.symbol),
                *(answer.stage.value, to_time(answer.at_ms), printable(answer.evidence)),
            )
            for answer in answers
        ),
    )


def _sending(sent: OrderSent) -> int:
    return sent.sent_at_ms


def _better(one: OrderAnswered, other: OrderAnswered) -> OrderAnswered:
    worse, best = sorted((one, other), key=_weight)
    return best if best.venue_order_id else replace(best, venue_order_id=worse.venue_order_id)


def _weight(answer: OrderAnswered) -> tuple[bool, int, str, str]:
    # How a send ended does not become unknown again, whatever a clock says.
    certain = answer.kind is not OutcomeKind.UNRESOLVED
    return certain, answer.answered_at_ms, answer.kind.value, printable(answer.message)


def _ending(ended: OrderEnded) -> tuple[int, str]:
    return ended.ended_at_ms, printable(ended.how)


def _merged(first: FillSeen, again: FillSeen) -> FillSeen:
    fill: Fill = first.fill
    if fill.fee_estimated and not again.fill.fee_estimated:
        fill = replace(fill, fee=again.fill.fee, fee_estimated=False)
    fill = replace(
        fill,
        client_order_id=fill.client_order_id or again.fill.client_order_id,
        venue_order_id=fill.venue_order_id or again.fill.venue_order_id,
    )
    return replace(first, fill=fill, mid=first.mid if first.mid is not None else again.mid)


def _finite(mid: Decimal | None) -> Decimal | None:
    # A fill is never lost for a mid that is no number.
    return mid if mid is not None and mid.is_finite() else None
