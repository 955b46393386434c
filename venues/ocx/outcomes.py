"""How a send ends, by what may be concluded: refused, not sent, or unresolved.

A refusal leaves the old ladder unknown unless its status says that nothing was touched.
"""

from desk.orders import Batch, BatchOutcome, OutcomeKind, RejectReason
from venues._transport.http import HttpResponse
from venues.ocx.errors import complaint
from venues.ocx.ladder import everyone


def not_sent(
    batch: Batch,
    at_ns: int,
    message: str,
    *,
    old_gone: bool | None = False,
    retry_after_s: float | None = None,
) -> BatchOutcome:
    """No byte of the orders left this process, so they may be sent again."""
    return BatchOutcome(
        batch_id=batch.batch_id,
        orders=everyone(
            batch.orders,
            OutcomeKind.REJECTED,
            reason=RejectReason.NOT_SENT,
            message=f"not sent: {message}",
        ),
        old_gone=old_gone,
        sent_ns=at_ns,
        retry_after_s=retry_after_s,
    )


def unresolved(batch: Batch, sent_ns: int, answered_ns: int | None, message: str) -> BatchOutcome:
    """Nobody knows whether the orders rest."""
    return BatchOutcome(
        batch_id=batch.batch_id,
        orders=everyone(batch.orders, OutcomeKind.UNRESOLVED, message=message),
        old_gone=None if batch.replace_all else False,
        sent_ns=sent_ns,
        answered_ns=answered_ns,
    )


def refused(batch: Batch, response: HttpResponse, header_retry_s: float | None) -> BatchOutcome:
    """The venue did not answer with success."""
    found = complaint(response.status, response.body)
    if found is None:
        message = f"status {response.status}"
        return unresolved(batch, response.sent_ns, response.received_ns, message)
    # A duplicate may be this very batch, applied by an attempt whose answer was lost.
    duplicate = found.reason is RejectReason.DUPLICATE
    untouched = found.untouched or not batch.replace_all
    return BatchOutcome(
        batch_id=batch.batch_id,
        orders=everyone(
            batch.orders,
            OutcomeKind.UNRESOLVED if duplicate else OutcomeKind.REJECTED,
            reason=found.reason,
            message=found.message,
        ),
        old_gone=False if untouched else None,
        sent_ns=response.sent_ns,
        answered_ns=response.received_ns,
        retry_after_s=found.retry_after_s if header_retry_s is None else header_retry_s,
    )
