"""What the guardian may ask the world: look for what nobody owns, and tell a person.

The one rule: nothing is asked of a market that has an owner; see `activities/guardian_look.py`.
"""

from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.beating import beating
from activities.failures import as_application_errors
from activities.guardian_look import Look
from activities.guardian_messages import LookInput, LookReport, TellInput
from activities.ports import ActivityPorts
from desk.errors import ConfigurationFault
from desk.ownership import Finding, FindingKind
from desk.ports import Venue
from desk.records import ControlDecision
from desk.units import NS_PER_MS

RUNBOOK: Final = "docs/runbooks/guardian-alarm.md"

_MILD = frozenset({FindingKind.LAGGARD, FindingKind.BLIND})


class GuardianActivities:
    """Activities of one worker; any worker with the account's keys can do them."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def look_for_unowned(self, request: LookInput) -> LookReport:
        """List the account, cancel orders of ours without an owner, and say what was found."""
        with as_application_errors():
            async with beating():
                return await Look(self._ports, request, await self._venue(request)).run()

    @activity.defn
    async def tell_findings(self, request: TellInput) -> None:
        """Alert what began and what is over, and record both."""
        place = f"{request.venue}/{request.account}"
        with as_application_errors():
            for finding in request.begun:
                severity = "warning" if finding.kind in _MILD else "critical"
                text = f"guardian: {_named(finding, place)}: {finding.text}; see {RUNBOOK}"
                await self._tell(finding, severity, "guardian alarm", text)
            for finding in request.over:
                text = f"guardian: {_named(finding, place)}: over; it was: {finding.text}"
                await self._tell(finding, "info", "guardian alarm over", text)

    async def _tell(self, finding: Finding, severity: str, kind: str, text: str) -> None:
        self._ports.writer.record(
            ControlDecision(
                market=finding.market,
                epoch=None,
                kind=kind,
                reason=finding.kind.value,
                by="guardian",
                evidence=text,
                at_ms=self._ports.clock.wall_ns() // NS_PER_MS,
            )
        )
        await self._ports.alerts.alert(finding.market, severity, text)

    async def _venue(self, request: LookInput) -> Venue:
        try:
            return await self._ports.venues.venue(request.venue, request.account)
        except ConfigurationFault as fault:
            # Another worker may have the keys that this one has not.
            raise ApplicationError(f"{self._ports.worker}: {fault}", type="NoKeys") from fault


def _named(finding: Finding, place: str) -> str:
    return finding.market.path if finding.market else place
