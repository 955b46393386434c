"""What can go wrong at a venue, forked first by what we may conclude from it."""

from desk.orders import RejectReason


class VenueError(Exception):
    """Anything a venue adapter raises."""


class Refused(VenueError):
    """The venue answered no: nothing happened. `reason` says why in shared words."""

    def __init__(
        self, reason: RejectReason, message: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{reason.value}: {message}")
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s


class Unresolved(VenueError):
    """Sent, outcome unknown (time-out, cut connection, 5xx, unreadable answer). Never repeat."""


class OutOfReach(Unresolved):
    """The venue's history does not go back so far; whole from `reaches_ms` on (venue time)."""

    def __init__(self, message: str, reaches_ms: int) -> None:
        super().__init__(message)
        self.reaches_ms = reaches_ms


class NotSent(VenueError):
    """Certainly not sent (no connection, local budget exhausted). Safe to send again."""


class Unavailable(Exception):
    """One of our own services (Redis, Postgres, Temporal) cannot be reached or not be trusted."""


class ConfigurationFault(Exception):
    """Bad input or settings: one sentence that names the field and the remedy. Never retried."""
