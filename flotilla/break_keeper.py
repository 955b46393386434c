"""Sees that every open break has its workflow and a closed gate, and that settled ones are heard.

The one rule: what died between two steps is repaired here within seconds, by any worker.
"""

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.break_gate import keep_gate
from activities.ports import ActivityPorts
from desk.breaks import Break
from desk.records import KillEffect
from desk.units import NS_PER_MS
from workflows import names
from workflows.breaks import BreakWorkflow
from workflows.breaks_messages import SettleBreak, StartBreak

_AGAIN = 12
_CURED_MS = 60_000


class BreakKeeper:
    """What one worker knows of the open breaks; `look` every few seconds."""

    def __init__(self, client: Client, ports: ActivityPorts, fleet: str) -> None:
        self._client = client
        self._ports = ports
        self._fleet = fleet
        self._open = frozenset[int]()
        self._looks = 0

    async def look(self) -> None:
        """Compare once. Raises RPCError and Unavailable; the next look repeats what is missing."""
        standing = [one for one in await self._ports.breaks.standing() if self._lasts(one)]
        await self._gates({one.found.scope for one in standing if one.found.kind.closes_gate})
        numbers = frozenset(one.number for one in standing)
        # All of them now and then: somebody may have ended a workflow by hand.
        everyone = self._looks % _AGAIN == 0
        for number in sorted(numbers if everyone else numbers - self._open):
            await begin_break(self._client, self._fleet, number)
        for number in sorted(self._open - numbers):
            await self._tell_settled(number)
        self._open = numbers
        self._looks += 1

    def _lasts(self, known: Break) -> bool:
        """Not one that is being cured this moment by whoever found it."""
        age_ms = self._ports.clock.wall_ns() // NS_PER_MS - known.found.found_at_ms
        return known.found.kind.closes_gate or age_ms > _CURED_MS

    async def _gates(self, wanted: set[str]) -> None:
        kills = await self._ports.ledger.active_kills()
        held = {kill.scope for kill in kills if kill.effect is KillEffect.HOLD}
        for scope in sorted(held ^ wanted):
            structlog.get_logger("flotilla.breaks").info("gate and breaks compared", scope=scope)
            await keep_gate(self._ports, scope)

    async def _tell_settled(self, number: int) -> None:
        handle = self._client.get_workflow_handle(names.break_workflow_id(self._fleet, number))
        try:
            await handle.signal(BreakWorkflow.look)
        except RPCError as trouble:
            if trouble.status is not RPCStatusCode.NOT_FOUND:
                raise


async def begin_break(
    client: Client, fleet: str, number: int, settle: SettleBreak | None = None
) -> None:
    """See that a break's workflow runs, and tell it a decision. Raises RPCError."""
    await client.start_workflow(
        BreakWorkflow.run,
        StartBreak(number=number, fleet=fleet),
        id=names.break_workflow_id(fleet, number),
        task_queue=names.CONTROL_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=f"break {number}",
        start_signal=None if settle is None else "settle",
        start_signal_args=[] if settle is None else [settle],
    )
