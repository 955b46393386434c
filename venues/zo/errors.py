"""What the engine's refusals and the HTTP statuses mean (zo.md sections 2.6, 4.5 and 7).

A receipt with an error proves that nothing was executed, but for DUPLICATE and DROPPED.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from desk.errors import Refused, Unresolved, VenueError
from desk.orders import RejectReason
from venues._transport.rate_limit import RateNews
from venues.zo.schema import nord_pb2 as pb

_MESSAGE_LENGTH = 300
_REQUEST_TIMEOUT = 408
SESSION_GONE: Final = frozenset(
    {
        pb.Error.SESSION_NOT_FOUND,
        pb.Error.SIGNATURE_VERIFICATION,
        pb.Error.INVALID_SIGNATURE,
    }
)
CLOCK_OFF: Final = frozenset(
    {pb.Error.TIMESTAMP, pb.Error.TIMESTAMP_OUT_OF_THRESHOLD, pb.Error.TIMESTAMP_STALE}
)
_UNKNOWN_OUTCOME = frozenset({pb.Error.DUPLICATE, pb.Error.DROPPED})
_REASONS: Mapping[RejectReason, tuple[int, ...]] = {
    RejectReason.DUPLICATE: (pb.Error.DUPLICATE, pb.Error.REPEATED_ORDER_ID),
    RejectReason.AUTH: (
        pb.Error.INVALID_SIGNATURE,
        pb.Error.SESSION_NOT_FOUND,
        pb.Error.SIGNATURE_VERIFICATION,
        pb.Error.SIGNATURE_MALFORMED_PUBLIC_KEY,
        pb.Error.SIGNATURE_INVALID_LENGTH,
    ),
    RejectReason.FORBIDDEN: (
        pb.Error.USER_NOT_FOUND,
        pb.Error.INVALID_ORDER_OWNER,
        pb.Error.ACCOUNT_NOT_FOUND,
        pb.Error.ACCOUNT_INVALID_OWNER,
        pb.Error.DUST_ACCOUNT,
        pb.Error.UNAUTHENTICATED_L1_ACTION,
        pb.Error.ACTION_NOT_ALLOWED,
        *range(185, 188),
    ),
    RejectReason.UNKNOWN_MARKET: (pb.Error.MARKET_NOT_FOUND, pb.Error.TOKEN_NOT_FOUND),
    RejectReason.UNKNOWN_ORDER: (pb.Error.ORDER_NOT_FOUND,),
    RejectReason.MARGIN: (*range(160, 165), *range(224, 230), pb.Error.POSITION_SIZE_LIMIT),
    RejectReason.POST_ONLY: (pb.Error.POST_ONLY_MUST_NOT_FILL_ANY_OPPOSITE_ORDERS,),
    RejectReason.NOT_FILLED: (
        pb.Error.IMMEDIATE_ORDER_GOT_NO_FILLS,
        pb.Error.FAILED_TO_FILL_LIMIT,
        pb.Error.ORDER_EXECUTION_FILL_OR_KILL,
    ),
    RejectReason.REDUCE_ONLY: (
        pb.Error.ONLY_IMMEDIATE_ORDERS_ALLOWED,
        pb.Error.ORDER_REDUCE_IS_POST_ONLY,
        pb.Error.ORDER_SIZE_EXCEEDS_POSITION_SIZE,
        pb.Error.CAN_REDUCE_POSITION_ONLY_IF_ALL_ORDERS_ARE_CANCELED,
        pb.Error.POSITION_NOT_FOUND,
    ),
    RejectReason.HALTED: (
        pb.Error.MAINTENANCE,
        pb.Error.TOKEN_NOT_READY,
        pb.Error.FUNDING_OVERFLOW,
        *range(192, 195),
    ),
    RejectReason.PRICE_BAND: (
        pb.Error.PRICE,
        pb.Error.ORDER_EXECUTION_LIMIT_PRICE,
        pb.Error.ORDER_EXECUTION_SELL_PRICE,
    ),
    RejectReason.INVALID: (
        pb.Error.ORDER_SIZE_ZERO,
        *range(11, 15),
        pb.Error.TOO_MANY_OPEN_ORDERS,
        *range(32, 36),
        pb.Error.DECODE_FAILURE_2025,
        pb.Error.CLIENT_ORDER_ID_TOO_LARGE,
        pb.Error.INVALID,
        pb.Error.ENCODED_ACTION_TOO_LARGE,
        *range(240, 242),
        *range(243, 246),
        *range(256, 259),
    ),
}
_BY_CODE = {code: reason for reason, codes in _REASONS.items() for code in codes}
_BY_STATUS = {
    401: RejectReason.AUTH,
    403: RejectReason.FORBIDDEN,
    429: RejectReason.RATE_LIMITED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineError:
    """An error receipt. `certain`: nothing was executed."""

    code: int
    name: str
    reason: RejectReason
    certain: bool

    @property
    def message(self) -> str:
        """Number and name, for people."""
        return f"{self.code} {self.name}"


def engine_error(receipt: pb.Receipt, names: Mapping[int, str] | None = None) -> EngineError | None:
    """The error in a receipt, None when it has none; zero is an error (zo.md section 0.3).

    `names` are those of the venue's own schema, for numbers this program does not know.
    """
    if receipt.WhichOneof("kind") != "err":
        return None
    code = int(receipt.err)
    return EngineError(
        code=code,
        name=name_of(code) or (names or {}).get(code, "UNKNOWN_ERROR"),
        reason=_BY_CODE.get(code, RejectReason.OTHER),
        certain=code not in _UNKNOWN_OUTCOME,
    )


def name_of(code: int) -> str:
    """Name of an error number, empty for one we do not know."""
    known = pb.Error.DESCRIPTOR.values_by_number.get(code)
    return "" if known is None else known.name


def raise_engine_error(label: str, error: EngineError) -> None:
    """Refused, or Unresolved where the engine leaves the outcome open."""
    text = f"{label}: {error.message}"
    if not error.certain:
        raise Unresolved(text)
    raise Refused(error.reason, text)


def status_error(label: str, status: int, body: bytes, news: RateNews) -> VenueError:
    """The error for an answer whose status is not 200; 5xx and time-outs leave it open."""
    text = f"{label}: status {status}"
    if not 400 <= status < 500 or status == _REQUEST_TIMEOUT:
        return Unresolved(text)
    reason = _BY_STATUS.get(status, RejectReason.INVALID)
    return Refused(reason, f"{text} {_told(body)}".strip(), retry_after_s=news.retry_after_s)


def _told(body: bytes) -> str:
    """Printable start of a body that is not a web page."""
    text = body[:_MESSAGE_LENGTH].decode("utf-8", "replace").strip()
    return "" if text.startswith("<") or text == "null" or not text.isprintable() else text
