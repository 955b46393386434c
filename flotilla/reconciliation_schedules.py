"""Schedules that compare every account we have keys for with our books: orders, and all the rest.

The one rule: they run whether markets do or not, never two at once; a run that was kept out is
noticed by the next one, because the record has a gap.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.reconciliation_messages import ReconcileKind
from flotilla.accounts import accounts_with_credentials
from infra.settings import Settings
from venues.registry import BUILDERS
from workflows import names
from workflows.reconciliation import LONGEST_RUN
from workflows.reconciliation_messages import AfterSources, ReconcileAccount

_LEAST_CATCH_UP: Final = timedelta(seconds=10)  # the least the server takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """One kind of comparison of one account, and how often it is due."""

    account: ReconcileAccount

    @property
    def schedule_id(self) -> str:
        """Id of its schedule."""
        one = self.account
        return names.reconciliation_schedule_id(one.fleet, one.venue, one.account, one.kind.value)

    @property
    def note(self) -> str:
        """What a person reads beside it."""
        return "Compares this account with our books; kept by every flotilla worker."

    def schedule(self) -> Schedule:
        """The schedule as it has to be.

        One missed run is made up for after an outage; older ones would compare the same moment.
        """
        one, every = self.account, timedelta(seconds=self.account.every_s)
        return Schedule(
            action=ScheduleActionStartWorkflow(
                names.RECONCILIATION_WORKFLOW,
                one,
                id=self.schedule_id,
                task_queue=names.CONTROL_QUEUE,
                execution_timeout=LONGEST_RUN[one.kind],
                static_summary=f"{one.kind.value} of {one.venue}/{one.account} against our books",
                typed_search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(names.VENUE, one.venue),
                        SearchAttributePair(names.FLEET_ID, one.fleet),
                    ]
                ),
            ),
            spec=ScheduleSpec(
                # Accounts take turns, so that not all of them are read in the same moment.
                intervals=[ScheduleIntervalSpec(every=every, offset=self._turn() % every)]
            ),
            policy=SchedulePolicy(
                overlap=ScheduleOverlapPolicy.SKIP, catchup_window=max(_LEAST_CATCH_UP, every)
            ),
        )

    def _turn(self) -> timedelta:
        return timedelta(seconds=sum(self.schedule_id.encode()))


def cadences(settings: Settings) -> tuple[Cadence, ...]:
    """Both kinds for each account that these settings bring a credential for."""
    every_s = {
        ReconcileKind.ORDERS: settings.reconcile_orders_every_s,
        ReconcileKind.ACCOUNT: settings.reconcile_account_every_s,
    }
    return tuple(
        Cadence(account=comparison(settings, venue, account, kind, every))
        for venue in sorted(BUILDERS)
        for account in accounts_with_credentials(
            [*settings.venue(venue).values, *settings.venue(venue).secrets]
        )
        for kind, every in every_s.items()
    )


def comparison(
    settings: Settings, venue: str, account: str, kind: ReconcileKind, every_s: int
) -> ReconcileAccount:
    """What a run is told, by these settings."""
    return ReconcileAccount(
        venue=venue,
        account=account,
        fleet=settings.fleet,
        kind=kind,
        every_s=every_s,
        tolerance=settings.reconcile_tolerance,
        tolerance_bps=settings.reconcile_tolerance_bps,
        untold_bps=settings.reconcile_untold_bps,
        sources=AfterSources(settings.reconcile_sources),
    )
