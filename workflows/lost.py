"""Sessions that end without a word of their own: what their activity's failure says of them.

A failure is never the end of a market's life: somebody has to take its orders away.
"""

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    RetryState,
    TimeoutError,  # noqa: A004 - Temporal's own word for a heartbeat that did not come
)

from desk.lifecycle import SessionReason

_AWAY = frozenset({"Unavailable", "NotSent", "Unresolved", "RefusedForNow", "NotCleared"})
"""Types of failures that are no fault of ours: a service or the venue does not answer."""

_HANDED_OVER = "CancelledError"
"""Type of the failure of an activity whose worker was asked to stop."""


def why_lost(error: ActivityError, *, asked: bool) -> tuple[SessionReason, str]:
    """What a session's end counts as, and one sentence; `asked`: the workflow wanted it to end.

    A worker that was stopped in good order hands over: the next one quotes on.
    """
    cause = error.cause
    if asked or isinstance(cause, CancelledError):
        return SessionReason.CANCELLED, "no worker held the session"
    if isinstance(cause, TimeoutError):
        return SessionReason.WORKER_LOST, "its worker was not heard of any more"
    kind = cause.type if isinstance(cause, ApplicationError) else None
    if kind == _HANDED_OVER:
        return SessionReason.CANCELLED, "its worker was stopped"
    said = cause.message if isinstance(cause, ApplicationError) else str(cause or error)
    if error.retry_state is RetryState.NON_RETRYABLE_FAILURE:
        return SessionReason.UNFIT, said
    if kind in _AWAY:
        return SessionReason.AWAY, said
    # A bug: the name of the error may be all it says.
    return SessionReason.FAILED, str(cause or error)
