"""How a send of one order ends, by what may be concluded from the answer.

A refusal leaves the order it was to replace untouched, except that 1142 says it is gone
(x10.md section 8.2); an answer that is no answer says nothing of either.
"""

from dataclasses import dataclass

from desk.orders import BatchOutcome, NewOrder, OrderOutcome, OutcomeKind, RejectReason
from venues._transport.http import HttpResponse
from venues.x10.errors import EDIT_ORDER_NOT_FOUND, complaint
from venues.x10.wire import decode_placed


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one order. Times are monotonic nanoseconds, None where nothing happened.

    `code` is the venue's, 0 where it gave none.
    """

    outcome: OrderOutcome
    sent_ns: int | None = None
    answered_ns: int | None = None
    retry_after_s: float | None = None
    code: int = 0


def not_sent(
    order: NewOrder,
    message: str,
    *,
    reason: RejectReason = RejectReason.NOT_SENT,
    retry_after_s: float | None = None,
) -> Answer:
    """No byte of the order left this process, so it may be sent again."""
    return Answer(
        outcome=_told(
            order,
            OutcomeKind.REJECTED,
            reason=reason,
            message=f"not sent: {message}",
            replaced_gone=False,
        ),
        retry_after_s=retry_after_s,
    )


def unresolved(
    order: NewOrder, message: str, *, sent_ns: int, answered_ns: int | None = None
) -> Answer:
    """Nobody knows whether it rests, nor whether what it replaces does."""
    return Answer(
        outcome=_told(order, OutcomeKind.UNRESOLVED, message=message),
        sent_ns=sent_ns,
        answered_ns=answered_ns,
    )


def answered(order: NewOrder, response: HttpResponse, retry_after_s: float | None) -> Answer:
    """What the venue's answer to one order says: accepted is acknowledged, no more."""
    sent_ns, answered_ns = response.sent_ns, response.received_ns
    if 200 <= response.status < 300:
        try:
            placed = decode_placed(response.body)
        except (ValueError, RecursionError):
            placed = None
        if placed is not None and placed.status != "ERROR":
            venue_id = None if placed.data.id is None else str(placed.data.id)
            return Answer(
                outcome=_told(order, OutcomeKind.ACCEPTED, venue_id=venue_id),
                sent_ns=sent_ns,
                answered_ns=answered_ns,
            )
    found = complaint(response.status, response.body)
    if found is None:
        message = f"status {response.status}, unreadable or unknown"
        return unresolved(order, message, sent_ns=sent_ns, answered_ns=answered_ns)
    # A duplicate may be this very order, placed by an attempt whose answer was lost.
    duplicate = found.reason is RejectReason.DUPLICATE
    gone = None if duplicate else found.code == EDIT_ORDER_NOT_FOUND
    return Answer(
        outcome=_told(
            order,
            OutcomeKind.UNRESOLVED if duplicate else OutcomeKind.REJECTED,
            reason=found.reason,
            message=found.message,
            replaced_gone=gone,
        ),
        sent_ns=sent_ns,
        answered_ns=answered_ns,
        retry_after_s=retry_after_s,
        code=found.code,
    )


def together(
    batch_id: str, answers: list[Answer], *, old_gone: bool | None, started_ns: int
) -> BatchOutcome:
    """One outcome of a batch from those of its orders."""
    waits = [one.retry_after_s for one in answers if one.retry_after_s is not None]
    return BatchOutcome(
        batch_id=batch_id,
        orders=tuple(one.outcome for one in answers),
        old_gone=old_gone,
        sent_ns=min((one.sent_ns for one in answers if one.sent_ns), default=started_ns),
        answered_ns=max((one.answered_ns for one in answers if one.answered_ns), default=None),
        retry_after_s=max(waits, default=None),
    )


def _told(
    order: NewOrder,
    kind: OutcomeKind,
    *,
    venue_id: str | None = None,
    reason: RejectReason | None = None,
    message: str = "",
    replaced_gone: bool | None = None,
) -> OrderOutcome:
    return OrderOutcome(
        client_order_id=order.client_order_id,
        kind=kind,
        venue_order_id=venue_id,
        reason=reason,
        message=message,
        replaced_gone=None if order.replaces is None else replaced_gone,
    )
