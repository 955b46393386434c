"""What became of a workflow that was started, or is asked, as a person's command tells it.

The one rule: one that failed is told with the sentence it failed with, as RefusedBySafety.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Protocol

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from desk.errors import ConfigurationFault
from flotilla.failures import RefusedBySafety, innermost, unanswered

QUERY: Final = timedelta(seconds=2)
"""How long a status may take to come; a workflow that no worker has taken up gives none."""

_LOOK_S = 0.2


class Status(Protocol):
    """The answer to a `status` query."""

    @property
    def state(self) -> StrEnum:
        """The state the workflow is in."""


async def state_after_start(
    handle: WorkflowHandle[Any, Any],
    status: Callable[[], Awaitable[Status]],
    *,
    starting: StrEnum,
    looks: int,
) -> str:
    """The state that followed `starting`; a sentence when there is none after so many looks."""
    for _ in range(looks):
        description = await handle.describe()
        if description.status is WorkflowExecutionStatus.FAILED:
            try:
                await handle.result()
            except WorkflowFailureError as failure:
                raise RefusedBySafety(innermost(failure)) from failure
        try:
            state = (await status()).state
        except RPCError:
            state = starting  # no worker has taken it up yet
        if state is not starting:
            return state.value
        await asyncio.sleep(_LOOK_S)
    return "starting, no worker has answered yet; is 'flotilla worker' running?"


@asynccontextmanager
async def asking(what: str, *, absent: str) -> AsyncIterator[None]:
    """Ask a workflow within the block; `absent` is the sentence for one that does not run.

    Raises ConfigurationFault with that, RefusedBySafety when it failed, Unavailable without answer.
    """
    try:
        yield
    except WorkflowFailureError as error:
        raise RefusedBySafety(f"{what} failed: {innermost(error)}") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ConfigurationFault(absent) from error
        raise unanswered(what, error) from error
