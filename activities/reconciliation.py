"""What a reconciliation may ask the world: one comparison of one account, on record as it was.

The one rule: every run is kept, with both sides or with the trouble that it had; what was skipped
is noticed by the run after it.
"""

import json
from collections.abc import Mapping
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.beating import beating
from activities.failures import as_application_errors
from activities.ports import ActivityPorts
from activities.reconciliation_account import ASKED, DEEP, UNPAID, AccountLook
from activities.reconciliation_balance import MONEY_AGREED
from activities.reconciliation_messages import (
    BlindInput,
    ReconcileInput,
    ReconcileKind,
    ReconcileReport,
)
from activities.reconciliation_orders import OrdersLook
from activities.reconciliation_positions import AGREED
from activities.reconciliation_residuals import RESIDUALS
from activities.reconciliation_side import Compared, as_text
from desk.book_ports import ReconciliationRun
from desk.errors import ConfigurationFault
from desk.ports import Venue
from desk.reconciliation import gap_ms
from desk.units import NS_PER_MS

_SHOWN = 20
_CARRIED = ("anchor", UNPAID)
_CARRIED_OF_THEIRS = (RESIDUALS, ASKED, DEEP)


class ReconciliationActivities:
    """Activities of one worker; any worker with the account's keys can do them."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def reconcile(self, request: ReconcileInput) -> ReconcileReport:
        """Compare once, do what the rules allow, and keep both sides."""
        with as_application_errors():
            async with beating():
                venue = await self._venue(request)
                book = self._ports.reconciliations
                last = await book.last(request.venue, request.account, request.kind.value)
                asked = venue.requests
                seen = await self._compared(request, venue, last)
                cost = venue.requests - asked
                gap_s = _gap_s(request, last)
                await self._keep(request, seen, cost, gap_s)
                standing = await self._ports.breaks.standing(request.venue, request.account)
        return ReconcileReport(
            run_id=request.run_id,
            at_ms=self._now_ms(),
            ours=seen.counts[0],
            theirs=seen.counts[1],
            requests=cost,
            found=len(seen.differences),
            differences=tuple(_sentence(one) for one in seen.differences[:_SHOWN]),
            standing=tuple(one.number for one in standing),
            equity=seen.equity,
            expected=seen.expected,
            gap_s=gap_s,
            trouble=seen.trouble,
        )

    @activity.defn
    async def record_blind(self, request: BlindInput) -> None:
        """Keep a run that could not compare, and tell a person where that is asked for."""
        asked = request.asked
        with as_application_errors():
            last = await self._ports.reconciliations.last(
                asked.venue, asked.account, asked.kind.value
            )
            ours, theirs = _sides(last)
            await self._ports.reconciliations.record(
                ReconciliationRun(
                    run_id=asked.run_id,
                    venue=asked.venue,
                    account=asked.account,
                    kind=asked.kind.value,
                    began_ms=asked.began_ms,
                    ended_ms=self._now_ms(),
                    requests=0,
                    # What later runs continue from must not be lost with this one.
                    ours=as_text({name: ours[name] for name in _CARRIED if name in ours}),
                    theirs=as_text(
                        {name: 0 for name in (AGREED, MONEY_AGREED) if name in theirs}
                        | {name: theirs[name] for name in _CARRIED_OF_THEIRS if name in theirs}
                    ),
                    differences="[]",
                    found=0,
                    trouble=request.trouble,
                )
            )
            if request.tell:
                text = f"{_place(asked)}: the books could not be compared: {request.trouble}"
                await self._ports.alerts.alert(None, "warning", text)

    async def _compared(
        self, request: ReconcileInput, venue: Venue, last: ReconciliationRun | None
    ) -> Compared:
        if request.kind is ReconcileKind.ORDERS:
            return await OrdersLook(self._ports, request, venue).run()
        return await AccountLook(self._ports, request, venue, _sides(last)).run()

    async def _keep(
        self, request: ReconcileInput, seen: Compared, requests: int, gap_s: int
    ) -> None:
        text = ""
        if gap_s:
            text = f"nobody compared the {request.kind.value} of this account for {gap_s} s before"
            seen.note("gap", None, text)
        await self._ports.reconciliations.record(
            ReconciliationRun(
                run_id=request.run_id,
                venue=request.venue,
                account=request.account,
                kind=request.kind.value,
                began_ms=request.began_ms,
                ended_ms=self._now_ms(),
                requests=requests,
                ours=as_text(seen.ours),
                theirs=as_text(seen.theirs),
                differences=as_text(seen.differences),
                found=len(seen.differences),
                trouble=seen.trouble,
            )
        )
        if text:
            await self._ports.alerts.alert(None, "warning", f"{_place(request)}: {text}")

    async def _venue(self, request: ReconcileInput) -> Venue:
        try:
            return await self._ports.venues.venue(request.venue, request.account)
        except ConfigurationFault as fault:
            # Another worker may have the keys that this one has not.
            raise ApplicationError(f"{self._ports.worker}: {fault}", type="NoKeys") from fault

    def _now_ms(self) -> int:
        return self._ports.clock.wall_ns() // NS_PER_MS


def _sides(run: ReconciliationRun | None) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Both sides of a run; empty ones where they cannot be read."""
    if run is None:
        return {}, {}
    try:
        ours, theirs = json.loads(run.ours), json.loads(run.theirs)
    except ValueError:
        return {}, {}
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return {}, {}
    return ours, theirs


def _gap_s(request: ReconcileInput, last: ReconciliationRun | None) -> int:
    began_ms = None if last is None else last.began_ms
    return gap_ms(began_ms, request.began_ms, request.every_s * 1_000) // 1_000


def _place(request: ReconcileInput) -> str:
    return f"{request.venue}/{request.account}"


def _sentence(difference: Mapping[str, Any]) -> str:
    about = f"{difference['kind']} {difference['symbol'] or ''}".strip()
    return f"{about}: {difference['text']}"
