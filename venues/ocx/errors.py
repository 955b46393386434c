"""What an answer of OCX that is not a success means, status first, then the code in its body."""

from dataclasses import dataclass

import msgspec

from desk.errors import Refused, Unresolved, VenueError
from desk.orders import RejectReason

_BY_CODE = {
    "INSUFFICIENT_MARGIN": RejectReason.MARGIN,
    "POST_ONLY_WOULD_TAKE": RejectReason.POST_ONLY,
    "DUPLICATE_CLIENT_ORDER_ID": RejectReason.DUPLICATE,
    "MARKET_HALTED": RejectReason.HALTED,
    "REDUCE_ONLY_VIOLATION": RejectReason.REDUCE_ONLY,
    "PRICE_BAND": RejectReason.PRICE_BAND,
    "MIN_QUANTITY": RejectReason.INVALID,
    "INVALID_PRECISION": RejectReason.INVALID,
    "INVALID_REQUEST": RejectReason.INVALID,
    "UNKNOWN_MARKET": RejectReason.UNKNOWN_MARKET,
    "UNKNOWN_ORDER": RejectReason.UNKNOWN_ORDER,
    "ORDER_RATE_LIMIT": RejectReason.RATE_LIMITED,
    "UNAUTHORIZED": RejectReason.AUTH,
    "FORBIDDEN": RejectReason.FORBIDDEN,
}
_BY_STATUS = {
    400: RejectReason.INVALID,
    401: RejectReason.AUTH,
    403: RejectReason.FORBIDDEN,
    404: RejectReason.UNKNOWN_MARKET,
    409: RejectReason.DUPLICATE,
    422: RejectReason.OTHER,
    429: RejectReason.RATE_LIMITED,
}
_BRANCHING = frozenset({400, 404, 409, 422})
_UNTOUCHED = frozenset({400, 401, 403, 429})
_REQUEST_TIMEOUT = 408
_MESSAGE_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A definite no. `untouched`: certainly nothing at the venue changed.

    `retry_after_s` is what the body asks for; headers are read elsewhere.
    """

    status: int
    reason: RejectReason
    code: str
    message: str
    untouched: bool
    retry_after_s: float | None


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    error: object = None
    code: object = None
    message: object = None
    retry_after_ms: object = None


_decode = msgspec.json.Decoder(_Body).decode


def reason_of(code: str | None) -> RejectReason | None:
    """Shared word for a code of the venue, None for one we do not know."""
    return _BY_CODE.get(code or "")


def complaint(status: int, body: bytes) -> Complaint | None:
    """What a definite refusal says; None when the status leaves the outcome unknown."""
    if not 400 <= status < 500 or status == _REQUEST_TIMEOUT:
        return None
    told = _read(body)
    code = str(told.code or told.error or "")
    by_status = _BY_STATUS.get(status, RejectReason.INVALID)
    known = reason_of(code) if status in _BRANCHING else None
    after_ms = told.retry_after_ms
    return Complaint(
        status=status,
        reason=known or by_status,
        code=code,
        message=f"{status} {code} {told.message or ''}".strip()[:_MESSAGE_LENGTH],
        untouched=status in _UNTOUCHED,
        retry_after_s=after_ms / 1_000 if isinstance(after_ms, int | float) else None,
    )


def error_of(label: str, status: int, body: bytes) -> VenueError:
    """The error to raise for an answer of a read or a cancel that is not 2xx."""
    found = complaint(status, body)
    if found is None:
        return Unresolved(f"{label}: status {status}")
    message = f"{label}: {found.message}"
    return Refused(found.reason, message, retry_after_s=found.retry_after_s)


def _read(body: bytes) -> _Body:
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError):
        return _Body()
