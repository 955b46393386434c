"""Records as columns of arrays, so that any number of rows is one statement of constant text."""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from desk.orders import Fill
from desk.records import ControlDecision, EquityMark, KillAnswer, OrderAnswered, OrderSent
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
    """Columns of `journal.ORDERS_SENT`, the first of each order."""
    first: dict[tuple[object, str], OrderSent] = {}
    for record in records:
        first.setdefault((record.market, record.client_order_id), record)
    return columns(
        (
            *("venue", "account", "symbol", "client_order_id", "epoch", "batch_id"),
            *("side", "price_ticks", "lots", "reduce_only", "sent_at"),
        ),
        (
            (
                *(sent.market.venue, sent.market.account, sent.market.symbol),
                *(sent.client_order_id, sent.epoch, sent.batch_id, sent.side.value),
                *(sent.price, sent.lots, sent.reduce_only, to_time(sent.sent_at_ms)),
            )
            for sent in first.values()
        ),
    )


def answered_columns(records: Iterable[OrderAnswered]) -> Columns:
    """Columns of `journal.ORDERS_ANSWERED`, the last of each order."""
    last = {(record.market, record.client_order_id): record for record in records}
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


def fill_columns(fills: Iterable[Fill]) -> Columns:
    """Columns of `booking.BOOK_FILLS`."""
    return columns(
        (
            *("venue", "account", "symbol", "trade_id", "side", "price_ticks", "lots"),
            *("liquidity", "fee", "fee_estimated", "traded_at"),
            *("client_order_id", "venue_order_id"),
        ),
        (
            (
                *(fill.venue, fill.account, fill.symbol, fill.trade_id, fill.side.value),
                *(fill.price, fill.lots, fill.liquidity.value, fill.fee, fill.fee_estimated),
                *(to_time(fill.traded_at_ms), fill.client_order_id, fill.venue_order_id),
            )
            for fill in fills
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
