"""Answers and refusals, and how refusals are written in either documented style.

A refusal means nothing was applied, unless its text says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from desk.orders import RejectReason
from venues.ocx.simulator.settings import ErrorStyle, SimulatorSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful REST answer: `body` is JSON-ready; `cookie` None leaves the cookie alone."""

    body: Any
    status: int = 200
    cookie: str | None = None


class ApiError(Exception):
    """A refusal with an HTTP status. `details` are figures as text."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, str] | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.retry_after_ms = retry_after_ms


def invalid(message: str, code: str = "INVALID_REQUEST") -> ApiError:
    """A malformed request."""
    return ApiError(400, code, message)


def unknown_market(symbol: str) -> ApiError:
    """A market that is not listed."""
    return ApiError(404, "UNKNOWN_MARKET", f"there is no market {symbol}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meaning:
    status: int
    code: str


_REASONS: dict[RejectReason, _Meaning] = {
    RejectReason.POST_ONLY: _Meaning(status=422, code="POST_ONLY_WOULD_TAKE"),
    RejectReason.MARGIN: _Meaning(status=422, code="INSUFFICIENT_MARGIN"),
    RejectReason.DUPLICATE: _Meaning(status=409, code="DUPLICATE_CLIENT_ORDER_ID"),
    RejectReason.RATE_LIMITED: _Meaning(status=429, code="ORDER_RATE_LIMIT"),
    RejectReason.AUTH: _Meaning(status=401, code="UNAUTHORIZED"),
    RejectReason.FORBIDDEN: _Meaning(status=403, code="FORBIDDEN"),
    RejectReason.UNKNOWN_MARKET: _Meaning(status=404, code="UNKNOWN_MARKET"),
    RejectReason.UNKNOWN_ORDER: _Meaning(status=404, code="UNKNOWN_ORDER"),
    RejectReason.HALTED: _Meaning(status=409, code="MARKET_HALTED"),
    RejectReason.PRICE_BAND: _Meaning(status=422, code="PRICE_BAND"),
    RejectReason.REDUCE_ONLY: _Meaning(status=422, code="REDUCE_ONLY_VIOLATION"),
    RejectReason.INVALID: _Meaning(status=400, code="INVALID_REQUEST"),
    RejectReason.NOT_FILLED: _Meaning(status=422, code="NOT_FILLED"),
    RejectReason.OTHER: _Meaning(status=422, code="BATCH_REJECTED"),
}

_FAMILIES = {
    400: "ValidationError",
    401: "AuthError",
    403: "ForbiddenError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "OrderRejected",
    429: "RateLimitError",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A business rejection in the venue's words; `details` use the venue's field names."""

    reason: RejectReason
    message: str
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The machine code before any renaming."""
        return _REASONS[self.reason].code

    def error(self) -> ApiError:
        """The whole request is refused with this."""
        meaning = _REASONS[self.reason]
        details = {_DETAILS.get(key, key): value for key, value in self.details.items()}
        return ApiError(meaning.status, meaning.code, self.text(), details=details)

    def text(self) -> str:
        """Message for people; margin figures are part of it."""
        figures = ", ".join(f"{key} {value}" for key, value in self.details.items())
        return f"{self.message} ({figures})" if figures else self.message


_DETAILS = {"required": "requiredIm", "available": "availableIm"}


class ErrorWriter:
    """Writes refusals in the style the settings ask for."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._style = settings.error_style
        self._names = settings.code_names

    def code(self, code: str) -> str:
        """A code under its configured name."""
        return self._names.get(code, code)

    def body(self, error: ApiError) -> dict[str, Any]:
        """JSON-ready body of a refusal."""
        code = self.code(error.code)
        body: dict[str, Any]
        if self._style is ErrorStyle.DOCS:
            body = {"error": code, "message": error.message}
        else:
            family = _FAMILIES.get(error.status, "ServerError")
            if error.code == "INSUFFICIENT_MARGIN":
                family = "MarginError"
            body = {"error": family, "code": code, "message": error.message}
            if error.details:
                body["details"] = error.details
        if error.retry_after_ms is not None:
            body["retryAfterMs"] = error.retry_after_ms
        return body
