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


class NotSent(VenueError):
    """Certainly not sent (no connection, local budget exhausted). Safe to send again."""


class Unavailable(Exception):
    """One of our own services (Redis, Postgres, Temporal) cannot be reached or not be trusted."""


class ConfigurationFault(Exception):
    """Bad input or settings: one sentence that names the field and the remedy. Never retried."""
