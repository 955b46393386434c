"""One table from our errors to Temporal's: what may be tried again, and what is final."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from desk.errors import ConfigurationFault, NotSent, Refused, Unavailable, Unresolved
from desk.orders import RejectReason

_MAY_PASS = frozenset({RejectReason.RATE_LIMITED, RejectReason.HALTED, RejectReason.OTHER})


@contextmanager
def as_application_errors() -> Iterator[None]:
    """Turn what ports raise into failures whose type the retry policies name."""
    try:
        yield
    except ConfigurationFault as error:
        raise ApplicationError(str(error), type="ConfigurationFault", non_retryable=True) from error
    except Refused as error:
        final = error.reason not in _MAY_PASS
        kind = "Refused" if final else "RefusedForNow"
        raise ApplicationError(str(error), type=kind, non_retryable=final) from error
    except (NotSent, Unresolved, Unavailable) as error:
        raise ApplicationError(str(error), type=type(error).__name__) from error
