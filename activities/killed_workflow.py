"""A killed market's workflow as the kill sees it: asked to stand down, or its end read as evidence.

The one rule: a flatten that was begun goes on, and nothing is concluded from silence.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.kill_messages import AnswerInput
from desk.lifecycle import MarketState
from desk.records import KillEffect

_LEAVING: Final = frozenset(
    {MarketState.FLATTENING.value, MarketState.STANDING_DOWN.value, MarketState.STOPPED.value}
)
_LONGEST_REASON: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class StoodDown:
    """What a market's workflow verified at its last look, and when it ended."""

    at_ms: int
    orders: int
    position: int


class KilledWorkflow:
    """The workflow of the market of one request. Everything raises RPCError, save where said."""

    def __init__(self, client: Client, request: AnswerInput) -> None:
        self._client = client
        self._request = request

    async def stop(self) -> bool:
        """Have it stand down, unless it does already; whether it runs."""
        kill, state = self._request.kill, await self._state()
        if state is None or state in _LEAVING:
            return state is not None
        said = {
            "reason": f"killed at scope {kill.scope} by {kill.by}: {kill.reason}",
            "by": kill.by,
            "flatten": kill.effect is KillEffect.FLATTEN,
            "keep_exit": True,
        }
        handle = self._client.get_workflow_handle(self._request.workflow_id)
        try:
            await handle.signal("stop", said)
        except RPCError as trouble:
            if trouble.status is RPCStatusCode.NOT_FOUND:
                return False  # it ended in this moment
            raise
        return True

    async def runs(self) -> bool:
        """Whether it runs; also when nobody answers, for nothing is concluded from that."""
        with suppress(RPCError):
            return await self._state() is not None
        return True

    async def stood_down(self) -> StoodDown | None:
        """Its last look, when it ended after the kill was set; None otherwise."""
        found = await self._describe()
        if found is None or found.status is not WorkflowExecutionStatus.COMPLETED:
            return None
        ended_ms = 0 if found.close_time is None else int(found.close_time.timestamp() * 1_000)
        if ended_ms < self._request.kill.at_ms:
            return None
        handle = self._client.get_workflow_handle(
            self._request.workflow_id, run_id=found.run_id, result_type=dict
        )
        try:
            final: Mapping[str, Any] = (await handle.result())["final"]
            return StoodDown(
                at_ms=ended_ms,
                orders=int(final["venue_open_orders"]),
                position=int(final["venue_position"]),
            )
        except (WorkflowFailureError, KeyError, TypeError, ValueError):
            return None

    async def flatten(self) -> None:
        """Start a flatten of the market, unless one runs."""
        kill, market = self._request.kill, self._request.market
        wanted = {
            "venue": market.venue,
            "account": market.account,
            "symbol": market.symbol,
            "fleet": self._request.fleet,
            "reason": f"killed at scope {kill.scope}: {kill.reason}"[:_LONGEST_REASON],
            "by": kill.by,
        }
        with suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                self._request.flatten_workflow,
                wanted,
                id=self._request.flatten_id,
                task_queue=self._request.flatten_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"flatten {market.path}: killed",
            )

    async def _state(self) -> str | None:
        """Where it is, None when it does not run."""
        found = await self._describe()
        if found is None or found.status is not WorkflowExecutionStatus.RUNNING:
            return None
        return next(
            (
                str(pair.value)
                for pair in found.typed_search_attributes
                if pair.key.name == self._request.state_attribute
            ),
            MarketState.STARTING.value,
        )

    async def _describe(self) -> WorkflowExecutionDescription | None:
        try:
            return await self._client.get_workflow_handle(self._request.workflow_id).describe()
        except RPCError as trouble:
            if trouble.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
