"""The daily round over tables that grow: who is asked for it, and when.

The rule: it is a schedule like the brakes' own, so that a worker puts it right when it is gone;
nothing is dropped for its age while two clocks disagree about the day.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from desk.ports import AlertPort
from flotilla.day_ties import tell_untied, tolerance_of
from infra.postgres.alerts import PostgresAlerts
from infra.postgres.engine import Database
from infra.postgres.history import PostgresHistory
from infra.postgres.partitions import MonthsKept, database_time, keep_partitions
from infra.postgres.times import to_ms
from infra.settings import Settings
from workflows import names
from workflows.upkeep import LONGEST_RUN
from workflows.upkeep_messages import KeepTables

_EVERY: Final = timedelta(days=1)
_AT: Final = timedelta(hours=3, minutes=40)
_CATCH_UP: Final = timedelta(hours=12)
_APART: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """The schedule of one fleet's daily round."""

    account: KeepTables

    @property
    def schedule_id(self) -> str:
        """Id of its schedule."""
        return names.upkeep_schedule_id(self.account.fleet)

    @property
    def note(self) -> str:
        """What a person reads beside it."""
        return "Makes months of growing tables, drops old ones; kept by every flotilla worker."

    def schedule(self) -> Schedule:
        """The schedule as it has to be."""
        return Schedule(
            action=ScheduleActionStartWorkflow(
                names.UPKEEP_WORKFLOW,
                self.account,
                id=self.schedule_id,
                task_queue=names.CONTROL_QUEUE,
                execution_timeout=LONGEST_RUN,
                static_summary="months of tables that grow",
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=_EVERY, offset=_AT)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
        )


def _utc_now() -> datetime:
    return datetime.now(UTC)


def upkeep_of(
    database: Database,
    settings: Settings,
    alerts: AlertPort,
    clock: Callable[[], datetime] = _utc_now,
) -> Callable[[], Awaitable[str]]:
    """One round over this database by these settings; it gives what was done, in a sentence.

    It is the database's time that counts. While `clock`, ours, is more than a day from it, one of
    them is wrong: months are made and none dropped, and a person is told.
    """

    async def keep() -> str:
        now, ours = await database_time(database), clock()
        agreed = abs(now - ours) <= _APART
        if not agreed:
            await alerts.alert(
                None,
                "warning",
                f"nothing old was dropped: it is {now:%Y-%m-%d %H:%M} UTC by PostgreSQL and "
                f"{ours:%Y-%m-%d %H:%M} UTC by this worker; put the wrong clock right",
            )
        kept = await keep_partitions(
            database,
            now,
            settings.keep_months,
            order_months=settings.keep_orders_months,
            drop=agreed,
        )
        tied = await tell_untied(
            PostgresHistory(database),
            alerts,
            PostgresAlerts(database).told,
            settings.days(),
            to_ms(now),
            tolerance_of(settings),
        )
        return f"{words(kept)}; {tied}"

    return keep


def words(kept: MonthsKept) -> str:
    """What a round did."""
    parts = [
        f"{what} {', '.join(names_)}"
        for what, names_ in (
            ("made", kept.made),
            ("dropped", kept.dropped),
            ("left in the default partition, too full:", kept.crowded),
        )
        if names_
    ]
    if kept.orders_deleted:
        parts.append(f"deleted {kept.orders_deleted} orders")
    if kept.more:
        parts.append("more is left for the next round")
    return "; ".join(parts) or "nothing was due"
