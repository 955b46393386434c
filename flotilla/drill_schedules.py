"""Schedules that rehearse every brake on every marked market; a person may pause or change them.

The one rule: one that is there is left as it is.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)

from desk.drills import DrillKind
from desk.identity import MarketId
from infra.settings import Settings
from workflows import names
from workflows.drill_messages import StartDrill

_ASK: Final = timedelta(seconds=10)
_CATCH_UP: Final = timedelta(hours=6)
_LONGEST_RUN: Final = timedelta(minutes=20)
_NOTE: Final = "Rehearses a brake on a market marked for drills; a failure forbids new starts."


async def make_drill_schedules(client: Client, settings: Settings) -> Sequence[str]:
    """Make those that are missing; their ids. Raises RPCError."""
    made = []
    wanted = [(MarketId.parse(path), kind) for path in settings.drill_markets for kind in DrillKind]
    every = timedelta(days=settings.drill_every_days)
    for number, (market, kind) in enumerate(wanted):
        name = names.drill_schedule_id(settings.fleet, kind.value, market)
        # Spread out: an account is drilled by one at a time, and a second is refused.
        times = ScheduleIntervalSpec(every=every, offset=every * number / len(wanted))
        schedule = _schedule(settings, kind, market, times)
        try:
            await client.create_schedule(name, schedule, rpc_timeout=_ASK)
        except ScheduleAlreadyRunningError:
            continue
        made.append(name)
    return made


def _schedule(
    settings: Settings, kind: DrillKind, market: MarketId, times: ScheduleIntervalSpec
) -> Schedule:
    spec = StartDrill(
        kind=kind,
        venue=market.venue,
        symbol=market.symbol,
        account=market.account,
        fleet=settings.fleet,
    )
    return Schedule(
        action=ScheduleActionStartWorkflow(
            names.DRILL_WORKFLOW,
            spec,
            id=names.drill_workflow_id(market.venue, market.account),
            task_queue=names.CONTROL_QUEUE,
            execution_timeout=_LONGEST_RUN,
            static_summary=f"{kind.value} drill at {market.path}",
        ),
        spec=ScheduleSpec(intervals=[times]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
        state=ScheduleState(note=_NOTE),
    )
