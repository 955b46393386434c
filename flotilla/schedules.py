"""Keeps the schedules of guardian and reconciliation: for each account this process has keys for.

The one rule: a schedule that is missing or says something else is put right; none is ever paused
or removed here, and one that a person paused stays paused, and is complained about.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, Protocol

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from desk.errors import Unavailable
from flotilla.accounts import accounts_with_credentials
from flotilla.drill_schedules import make_drill_schedules
from flotilla.reconciliation_schedules import cadences
from flotilla.upkeep import Daily
from infra.settings import Settings
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from venues.registry import BUILDERS
from workflows import names
from workflows.guardian_messages import ExposurePolicy, GuardAccount
from workflows.messages import Message
from workflows.upkeep_messages import KeepTables

LOOK_EVERY_S: Final = 30.0

_ASK: Final = timedelta(seconds=10)
_CATCH_UP: Final = timedelta(seconds=10)  # the least the server takes
_LONGEST_RUN: Final = timedelta(seconds=120)


class Found(StrEnum):
    """How a schedule was found; all but `PAUSED` are right afterwards."""

    MADE = "made"
    CHANGED = "changed"
    RIGHT = "right"
    PAUSED = "paused"


class Kept(Protocol):
    """A schedule that has to be there."""

    @property
    def account(self) -> Message:
        """What its workflow is given."""

    @property
    def schedule_id(self) -> str:
        """Id of the schedule."""

    @property
    def note(self) -> str:
        """What a person reads beside it."""

    def schedule(self) -> Schedule:
        """The schedule as it has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """One account to guard, and how."""

    account: GuardAccount
    every_s: int

    @property
    def schedule_id(self) -> str:
        """Id of its schedule."""
        return names.guardian_schedule_id(
            self.account.fleet, self.account.venue, self.account.account
        )

    @property
    def note(self) -> str:
        """What a person reads beside it."""
        return "Looks for orders and exposure without an owner; kept by every flotilla worker."

    def schedule(self) -> Schedule:
        """The schedule as it has to be."""
        every = timedelta(seconds=self.every_s)
        return Schedule(
            action=ScheduleActionStartWorkflow(
                names.GUARDIAN_WORKFLOW,
                self.account,
                id=self.schedule_id,
                task_queue=names.CONTROL_QUEUE,
                execution_timeout=_LONGEST_RUN,
                static_summary=f"who owns what at {self.account.venue}/{self.account.account}",
                typed_search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(names.VENUE, self.account.venue),
                        SearchAttributePair(names.FLEET_ID, self.account.fleet),
                    ]
                ),
            ),
            spec=ScheduleSpec(
                # Accounts take turns, so that not all of them are looked at in the same moment.
                intervals=[ScheduleIntervalSpec(every=every, offset=self._turn() % every)]
            ),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
        )

    def _turn(self) -> timedelta:
        return timedelta(seconds=sum(self.schedule_id.encode()))


def watches(settings: Settings) -> tuple[Watch, ...]:
    """One for each account that these settings bring a credential for."""
    return tuple(
        Watch(
            account=GuardAccount(
                venue=name,
                account=account,
                fleet=settings.fleet,
                exposure=ExposurePolicy(settings.guardian_exposure),
            ),
            every_s=settings.guardian_every_s,
        )
        for name in sorted(BUILDERS)
        for account in accounts_with_credentials(
            [*settings.venue(name).values, *settings.venue(name).secrets]
        )
    )


@asynccontextmanager
async def kept_schedules(client: Client, settings: Settings) -> AsyncIterator[None]:
    """The schedules are there when this begins, and are put right until it ends.

    Raises Unavailable when one can be neither found nor made: nobody may quote without it.
    """
    daily = Daily(account=KeepTables(fleet=settings.fleet))
    wanted: tuple[Kept, ...] = (*watches(settings), *cadences(settings), daily)
    try:
        await put_right(client, wanted)
    except RPCError as error:
        raise Unavailable(f"the brakes' schedules cannot be made: {error.message}") from None
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(
            keep_schedules(client, wanted, prepare=lambda: _prepare(client, settings))
        )
        try:
            yield
        finally:
            keeping.cancel()


async def _prepare(client: Client, settings: Settings) -> None:
    """What a server that lost its database lacks besides: columns, and drills."""
    await ensure_search_attributes(client, SEARCH_ATTRIBUTES)
    await make_drill_schedules(client, settings)


async def _nothing() -> None:
    """Where there is nothing to prepare."""


async def keep_schedules(
    client: Client,
    wanted: Sequence[Kept],
    *,
    every_s: float = LOOK_EVERY_S,
    prepare: Callable[[], Awaitable[None]] = _nothing,
) -> None:
    """Look again and again until cancelled; trouble is logged once and is for the next look.

    `prepare` comes before each look: schedules cannot be made without what they refer to.
    """
    log, trouble = structlog.get_logger("flotilla.schedules"), ""
    while True:
        await asyncio.sleep(every_s)
        try:
            await prepare()
            await put_right(client, wanted)
            trouble = ""
        except Exception as error:  # noqa: BLE001 - a brake that fails must not end the worker
            if str(error) != trouble:
                log.warning("schedules not checked", trouble=str(error))
            trouble = str(error)


async def put_right(client: Client, wanted: Sequence[Kept]) -> dict[str, Found]:
    """Make or correct each schedule; how each was found, by id. Raises RPCError."""
    log = structlog.get_logger("flotilla.schedules")
    found = {}
    for watch in wanted:
        found[watch.schedule_id] = how = await _put_right(client, watch)
        if how is Found.PAUSED:
            log.warning("a schedule is paused by hand", schedule=watch.schedule_id)
        elif how is not Found.RIGHT:
            log.info("schedule put right", schedule=watch.schedule_id, how=how.value)
    return found


async def _put_right(client: Client, watch: Kept) -> Found:
    handle = client.get_schedule_handle(watch.schedule_id)
    try:
        described = await handle.describe(rpc_timeout=_ASK)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return await _make(client, watch)
    paused = described.schedule.state.paused
    if await _says(client, described, type(watch.account)) == _wanted(watch):
        return Found.PAUSED if paused else Found.RIGHT

    def corrected(given: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule = watch.schedule()
        schedule.state = given.description.schedule.state
        return ScheduleUpdate(schedule=schedule)

    await handle.update(corrected, rpc_timeout=_ASK)
    return Found.PAUSED if paused else Found.CHANGED


async def _make(client: Client, watch: Kept) -> Found:
    schedule = watch.schedule()
    schedule.state.note = watch.note
    try:
        await client.create_schedule(watch.schedule_id, schedule, rpc_timeout=_ASK)
    except ScheduleAlreadyRunningError:
        return Found.RIGHT  # another worker was faster, and keeps it too
    return Found.MADE


def _wanted(watch: Kept) -> tuple[object, ...]:
    return _facts(watch.schedule(), watch.account)


async def _says(
    client: Client, described: ScheduleDescription, form: type[Message]
) -> tuple[object, ...]:
    action = described.schedule.action
    if not isinstance(action, ScheduleActionStartWorkflow):
        return ()
    try:
        (account,) = await client.data_converter.decode(action.args, [form])
    except (ValueError, RuntimeError):
        return ()
    return _facts(described.schedule, account)


def _facts(schedule: Schedule, account: object) -> tuple[object, ...]:
    """What has to be right; times as the server writes them back."""
    action = schedule.action
    if not isinstance(action, ScheduleActionStartWorkflow):
        return ()
    return (
        action.workflow,
        action.id,
        action.task_queue,
        action.execution_timeout,
        account,
        [(one.every, one.offset or timedelta(0)) for one in schedule.spec.intervals],
        schedule.policy.overlap,
        schedule.policy.catchup_window,
    )
