"""What an answer of X10 that is not a success means: the code in its body first, then the status.

A code of the venue's own checks says that nothing happened, whatever status carries it.
"""

from dataclasses import dataclass

import msgspec

from desk.errors import Refused, Unresolved, VenueError
from desk.orders import RejectReason

_R = RejectReason
_BY_CODE = {
    400: _R.INVALID,
    401: _R.AUTH,
    403: _R.FORBIDDEN,
    404: _R.INVALID,
    422: _R.INVALID,
    429: _R.RATE_LIMITED,
    1000: _R.UNKNOWN_MARKET,
    1001: _R.UNKNOWN_MARKET,
    1002: _R.HALTED,
    1003: _R.UNKNOWN_MARKET,
    1004: _R.AUTH,
    1008: _R.AUTH,
    1009: _R.FORBIDDEN,
    1010: _R.HALTED,
    1011: _R.HALTED,
    1012: _R.HALTED,
    1014: _R.HALTED,
    1049: _R.INVALID,
    1050: _R.INVALID,
    1052: _R.MARGIN,
    1053: _R.INVALID,
    1100: _R.AUTH,
    1101: _R.AUTH,
    1102: _R.AUTH,
    1122: _R.INVALID,
    1126: _R.OTHER,
    1127: _R.OTHER,
    1134: _R.DUPLICATE,
    1136: _R.REDUCE_ONLY,
    1137: _R.REDUCE_ONLY,
    1138: _R.REDUCE_ONLY,
    1140: _R.MARGIN,
    1141: _R.PRICE_BAND,
    1142: _R.UNKNOWN_ORDER,
    1145: _R.MARGIN,
    1147: _R.MARGIN,
    1148: _R.MARGIN,
    1500: _R.AUTH,
    10501: _R.MARGIN,
}
"""x10.md section 15; codes 1120 to 1146 that are not listed are faults of the order's shape."""
_SHAPE = range(1120, 1147)
_BY_STATUS = {401: _R.AUTH, 403: _R.FORBIDDEN, 429: _R.RATE_LIMITED}
_UNKNOWN_CODES = frozenset({500, 1006})
_NOT_OURS_TO_FIND = frozenset({1000, 1001, 1003, 1004, 1008})
EDIT_ORDER_NOT_FOUND = 1142
BAD_SIGNATURE = 1101
RULES_CHANGED = frozenset({1120, 1121, 1123, 1124, 1125, 1128})
"""Codes that say our copy of the market's rules or fees is old."""
_REQUEST_TIMEOUT = 408
_MESSAGE_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A definite no: nothing at the venue changed. `code` is 0 when the venue gave none."""

    status: int
    code: int
    reason: RejectReason
    message: str

    @property
    def not_found(self) -> bool:
        """Whether it says that what was named does not exist; no code is documented for that."""
        if self.code in _NOT_OURS_TO_FIND:
            return False
        if self.status == 404 or self.code in {404, EDIT_ORDER_NOT_FOUND}:
            return True
        text = self.message.lower()
        return "not found" in text or "not_found" in text or "notfound" in text


class _Error(msgspec.Struct, frozen=True):
    code: object = None
    message: object = None


class _Envelope(msgspec.Struct, frozen=True):
    status: object = None
    error: object = None


_decode = msgspec.json.Decoder(_Envelope).decode


def complaint(status: int, body: bytes) -> Complaint | None:
    """What a refusal says; None for a success, and where the outcome stays unknown.

    `failed` tells these two apart.
    """
    told = _told(body)
    if not failed(status, body):
        return None
    code, message = _read(told)
    if code in _UNKNOWN_CODES or status == _REQUEST_TIMEOUT:
        return None
    reason = _reason(code)
    if reason is None:
        if status >= 500 or (status < 400 and told is None):
            return None
        reason = _BY_STATUS.get(status, _R.INVALID if status >= 400 else _R.OTHER)
    text = f"{status} {code or ''} {message}".replace("  ", " ").strip()
    return Complaint(status=status, code=code, reason=reason, message=text[:_MESSAGE_LENGTH])


def failed(status: int, body: bytes) -> bool:
    """Whether an answer is no success: another status than 2xx, or an error envelope."""
    if not 200 <= status < 300:
        return True
    told = _told(body)
    return told is not None and (told.error is not None or told.status == "ERROR")


def error_of(label: str, status: int, body: bytes, retry_after_s: float | None) -> VenueError:
    """The error to raise for an answer of a read or a cancel that is no success."""
    found = complaint(status, body)
    if found is None:
        return Unresolved(f"{label}: status {status}")
    return Refused(found.reason, f"{label}: {found.message}", retry_after_s=retry_after_s)


def _reason(code: int) -> RejectReason | None:
    known = _BY_CODE.get(code)
    if known is None and code in _SHAPE:
        return _R.INVALID
    return known


def _told(body: bytes) -> _Envelope | None:
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _read(told: _Envelope | None) -> tuple[int, str]:
    """Code and message; a code in words (`NOT_FOUND`) goes into the message."""
    error = told.error if told is not None else None
    if not isinstance(error, dict):
        return 0, "" if error is None else str(error)
    code, message = error.get("code"), str(error.get("message") or "")
    if isinstance(code, int) and not isinstance(code, bool):
        return code, message
    if isinstance(code, str) and code.isascii() and code.isdecimal():
        return int(code), message
    return 0, message if code is None else f"{code} {message}"
