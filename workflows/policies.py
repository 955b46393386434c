"""Timeouts and retry policies by kind of activity: read, idempotent write, session, exit step."""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy

FINAL_FAILURES: Final = ["ConfigurationFault", "Refused", "Killed"]

READ_TIMEOUT: Final = timedelta(seconds=30)
PREFLIGHT_PATIENCE: Final = timedelta(minutes=5)
READ: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    maximum_interval=timedelta(seconds=10),
    non_retryable_error_types=FINAL_FAILURES,
)

# Cancels, verifications and records may be repeated at will; they never give up.
WRITE_TIMEOUT: Final = timedelta(seconds=90)
WRITE_HEARTBEAT: Final = timedelta(seconds=10)
IDEMPOTENT_WRITE: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    maximum_interval=timedelta(seconds=15),
    non_retryable_error_types=["ConfigurationFault"],
)

# A session that dies is started again by the server, on any worker, with a new epoch. After these
# attempts the workflow has its orders cleared by another worker and decides anew. A frozen process
# can eat five of them: so many polls of its own are open.
SESSION_ATTEMPTS: Final = 6
SESSION_HEARTBEAT: Final = timedelta(seconds=5)
SESSION_MARGIN: Final = timedelta(seconds=120)


def session(attempts: int) -> RetryPolicy:
    """How often, and how soon, the server begins a session anew."""
    return RetryPolicy(
        initial_interval=timedelta(milliseconds=200),
        maximum_interval=timedelta(seconds=10),
        maximum_attempts=attempts,
        non_retryable_error_types=FINAL_FAILURES,
    )


# Clearing what a lost session left: asked again by the workflow, for ever.
CLEAR_PATIENCE: Final = timedelta(seconds=120)
CLEAR_AGAIN: Final = timedelta(seconds=60)

# A market that waits for a break is told; it looks by itself as well, ever more seldom.
_FIRST_BREAK_LOOK_S: Final = 30
_LONGEST_BREAK_LOOK_S: Final = 600


def break_look_s(looks: int) -> float:
    """How long to wait before the next look whether a break still holds a market, from 0 looks."""
    return float(min(_LONGEST_BREAK_LOOK_S, _FIRST_BREAK_LOOK_S << min(looks, 10)))


# An exit step has a deterministic order id: the venue refuses the second of two equal ones.
EXIT_STEP_TIMEOUT: Final = timedelta(seconds=30)
EXIT_STEP_HEARTBEAT: Final = timedelta(seconds=5)
EXIT_STEP: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    maximum_interval=timedelta(seconds=10),
    non_retryable_error_types=["ConfigurationFault"],
)

# A watch or an order that cannot be had in time ends, so that the workflow can tell a person.
HEDGE_MARGIN: Final = timedelta(seconds=60)
HEDGE_ORDER_PATIENCE: Final = timedelta(seconds=120)
HEDGE: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    maximum_interval=timedelta(seconds=4),
    non_retryable_error_types=FINAL_FAILURES,
)

# A run of a set has one attempt: the next one discharges first, so the workflow counts the failures
# and rests longer each time. What is owed is hedged, then reduced, so many runs each; then a person
# has it, and it is only looked at.
RUN_ONCE: Final = RetryPolicy(maximum_attempts=1)
RUN_MARGIN: Final = timedelta(seconds=60)
DISCHARGE_S: Final = 300
HEDGE_RUNS: Final = 5
REDUCE_RUNS: Final = 5
HANDED_OVER_LOOK_S: Final = 60
PAUSED_LOOK_S: Final = 600
_LONGEST_RUN_REST_S: Final = 60


def run_rest_s(tries: int) -> int:
    """How long to wait before the next run of a set, after so many in a row that were no use."""
    return min(_LONGEST_RUN_REST_S, 1 << min(tries - 1, 6)) if tries > 0 else 0
