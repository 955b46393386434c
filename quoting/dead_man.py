"""The dead-man's switch: a lease that ran out unreleased is claimed, and its orders are cancelled.

The one rule: no cancel without a claim confirmed right before it. A claim that is refused says
that a new session owns the market, or that somebody else is at work on it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from desk.control_ports import LostLeases
from desk.errors import ConfigurationFault, Unavailable, VenueError
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import VenueOrder
from desk.ports import AlertPort, Clock, LedgerReader, LedgerWriter, Venue, VenueDirectory
from desk.records import ControlDecision, LostLease
from desk.units import NS_PER_MS, NS_PER_S
from quoting.clearing import ClearReport, clear_and_tell, summed
from quoting.journal import record_found
from quoting.unguarded import Unguarded

FIRED: Final = "dead-man fired"
"""Kind of the control decision that says so."""

_RUNBOOK = "docs/runbooks/dead-man-fired.md"
_CLAIM_MS = 5_000
_AT_ONCE = 64
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0
_LEFT_TO_OTHERS_S = 0.6
_FIRST_ALARM_S, _LONGEST_ALARM_S = 5.0, 300.0
_FIRST_TELLING_S, _LONGEST_TELLING_S = 5.0, 60.0


class DeadManPorts(Protocol):
    """The ports this file uses."""

    @property
    def worker(self) -> str:
        """This process, as claims and records name it."""

    @property
    def lost(self) -> LostLeases:
        """Where leases run out."""

    @property
    def venues(self) -> VenueDirectory:
        """Where orders rest."""

    @property
    def writer(self) -> LedgerWriter:
        """Where it is recorded, also while Postgres is away."""

    @property
    def ledger(self) -> LedgerReader:
        """Whose orders have ended."""

    @property
    def alerts(self) -> AlertPort:
        """Who is told."""

    @property
    def clock(self) -> Clock:
        """Our clock."""


@dataclass(slots=True, kw_only=True)
class _Case:
    """One lost lease under our care. `alarm_ns` is when a person hears next that it still is."""

    lost: LostLease
    alarm_ns: int
    alarm_wait_s: float = _FIRST_ALARM_S
    rounds: int = 0
    trouble: str = ""
    confirmed_ns: int | None = None
    found: dict[str, VenueOrder] = field(default_factory=dict)
    cancelled: int | None = None

    @property
    def key(self) -> tuple[MarketId, int]:
        """A market's epoch: no other lease has the same."""
        return self.lost.market, self.lost.epoch


class DeadMan:
    """Watches the leases of a whole fleet. `tell` takes sentences for the log.

    It needs no Temporal, waits for no Postgres, and heeds no kill: cancelling is always allowed.
    """

    def __init__(
        self, ports: DeadManPorts, *, poll_s: float, tell: Callable[[str], object]
    ) -> None:
        self._ports = ports
        self._poll_s = poll_s
        self._tell = tell
        self._away = False
        self._working: set[tuple[MarketId, int]] = set()
        self._cases: dict[tuple[MarketId, int], _Case] = {}
        self._unguarded = Unguarded()
        self._room: dict[tuple[str, str], asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(_AT_ONCE)
        )
        self._instruments: dict[MarketId, Instrument] = {}
        self._listings: dict[tuple[str, str], asyncio.Task[str]] = {}

    async def run(self) -> None:
        """Watch until cancelled; nothing that venues or services do ends it."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                found = await self._expired()
                for lost in found:
                    self._take(lost, tasks)
                if not self._away:
                    self._miss_others(found, tasks)
                await asyncio.sleep(self._poll_s)

    async def _expired(self) -> tuple[LostLease, ...]:
        try:
            found = tuple(await self._ports.lost.expired())
        except Unavailable as trouble:
            if not self._away:
                self._tell(f"leases cannot be watched, and no session may quote: {trouble}")
            self._away = True
            return ()
        if self._away:
            self._tell("leases are watched again")
        self._away = False
        listed = {(lost.market, lost.epoch) for lost in found}
        self._cases = {key: case for key, case in self._cases.items() if key in listed}
        return found

    def _take(self, lost: LostLease, tasks: asyncio.TaskGroup) -> None:
        alarm_ns = self._ports.clock.monotonic_ns() + int(_FIRST_ALARM_S * NS_PER_S)
        fresh = _Case(lost=lost, alarm_ns=alarm_ns)
        case = self._cases.setdefault(fresh.key, fresh)
        if case.key not in self._working and not self._unguarded.covers(lost.market):
            self._working.add(case.key)
            tasks.create_task(self._handle(case, tasks))

    async def _handle(self, case: _Case, tasks: asyncio.TaskGroup) -> None:
        """One lost lease to its end. A bug here must not stop the watch over the others."""
        try:
            await self._rescue(case, tasks)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            path = case.lost.market.path
            self._tell(f"{path}: clearing after a lost lease failed: {error!r}")
            await asyncio.sleep(_LONGEST_WAIT_S)
        finally:
            self._working.discard(case.key)

    async def _rescue(self, case: _Case, tasks: asyncio.TaskGroup) -> None:
        market = case.lost.market
        try:
            venue = await self._ports.venues.venue(market.venue, market.account)
        except ConfigurationFault as fault:
            self._leave_to_others(market, fault)
            return
        report = await self._until_clear(case, venue, tasks)
        if report is None:
            if case.rounds:
                self._tell(f"{market.path}: somebody else took it over while it was being cleared")
            return
        if await self._settled(case.lost):
            await self._conclude(case, report)

    def _leave_to_others(self, market: MarketId, fault: ConfigurationFault) -> None:
        if self._unguarded.leave(market):
            self._tell(
                f"{market.path}: its lease ran out, and this process cannot clear "
                f"{market.venue}/{market.account}, which is left to others: {fault}"
            )

    def _miss_others(self, found: tuple[LostLease, ...], tasks: asyncio.TaskGroup) -> None:
        """Say that what was left to others is still as it was."""
        for lost in self._unguarded.overdue(found, self._ports.clock.monotonic_ns()):
            text = (
                f"orders of epoch {lost.epoch} may still rest: its lease ran out "
                f"{_utc(lost.expired_at_ms)}, nobody has cleared it since, and this process has "
                f"no settings of {lost.market.venue}/{lost.market.account}; give them to a "
                f"guardian, see {_RUNBOOK} (by {self._ports.worker})"
            )
            tasks.create_task(self._tell_person(lost.market, text))

    # --- clearing ----------------------------------------------------------------------------

    async def _until_clear(
        self, case: _Case, venue: Venue, tasks: asyncio.TaskGroup
    ) -> ClearReport | None:
        """Rounds of claim, cancel and look, for ever; None when it is somebody else's.

        Between rounds the claim is given back: we may be the one without a way to the venue.
        """
        wait_s = _LEFT_TO_OTHERS_S
        while True:
            try:
                async with self._room[(case.lost.market.venue, case.lost.market.account)]:
                    report = await self._round(case, venue, tasks)
                if report is None or report.verified:
                    return report
                case.trouble = report.message
            except (Unavailable, VenueError, ConfigurationFault) as trouble:
                case.trouble = str(trouble) or type(trouble).__name__
            self._alarm(case, tasks)
            with suppress(Unavailable):  # the claim ends by itself
                await self._ports.lost.yield_claim(case.lost, self._ports.worker)
            await asyncio.sleep(wait_s)
            wait_s = min(_LONGEST_WAIT_S, wait_s * 2)

    async def _round(
        self, case: _Case, venue: Venue, tasks: asyncio.TaskGroup
    ) -> ClearReport | None:
        """One cancel-all and its two looks, under a fresh claim; None when there is no claim."""
        market = case.lost.market
        if not await self._claimed(case.lost):
            return None
        if market not in self._instruments:
            await self._learn(market, venue, tasks)
            if not await self._claimed(case.lost):
                return None
        case.rounds += 1
        keeping = tasks.create_task(self._keep(case.lost))
        try:
            report = await clear_and_tell(
                venue, self._instruments[market], self._ports.clock, give_up_s=0.0
            )
        finally:
            keeping.cancel()
        case.found.update({order.venue_order_id: order for order in report.found})
        case.cancelled = summed(case.cancelled, report.cancelled)
        if case.confirmed_ns is None:
            case.confirmed_ns = report.confirmed_ns
        return report

    async def _claimed(self, lost: LostLease) -> bool:
        return await self._ports.lost.claim(lost, self._ports.worker, _CLAIM_MS)

    async def _keep(self, lost: LostLease) -> None:
        """Hold the claim through a round, which a slow venue can make longer than it."""
        while True:
            await asyncio.sleep(_CLAIM_MS / 3_000)
            with suppress(Unavailable):
                await self._claimed(lost)

    async def _learn(self, market: MarketId, venue: Venue, tasks: asyncio.TaskGroup) -> None:
        """Know the market's instrument: one listing serves every market of the account."""
        account = (market.venue, market.account)
        if account not in self._listings:
            self._listings[account] = tasks.create_task(self._list(account, venue))
        trouble = await asyncio.shield(self._listings[account])
        if market not in self._instruments:
            raise Unavailable(trouble or f"{market.venue} lists no market {market.symbol}")

    async def _list(self, account: tuple[str, str], venue: Venue) -> str:
        """What went wrong, empty when nothing did; its failure is for those who wait for it."""
        try:
            for instrument in await venue.instruments():
                self._instruments[MarketId(*account, instrument.symbol)] = instrument
        except Exception as error:  # noqa: BLE001 - it must not end the group it runs in
            return f"{type(error).__name__}: {error}"
        finally:
            del self._listings[account]
        return ""

    # --- saying so ---------------------------------------------------------------------------

    async def _settled(self, lost: LostLease) -> bool:
        """Strike it off. False when another did, or a new session came: they say what was done."""
        unanswered, wait_s = False, _FIRST_WAIT_S
        while True:
            try:
                # After a call without an answer, a no may be the echo of our own yes.
                return await self._ports.lost.settle(lost) or unanswered
            except Unavailable:
                unanswered = True
            await asyncio.sleep(wait_s)
            wait_s = min(_LONGEST_WAIT_S, wait_s * 2)

    async def _conclude(self, case: _Case, report: ClearReport) -> None:
        """Record what was done and seen, then tell a person."""
        lost = case.lost
        found = await self._end_orders(case)
        text = (
            f"the lease of epoch {lost.epoch}, held by {lost.owner}, ran out; every order was "
            "cancelled and the venue listed zero twice"
        )
        evidence = (
            f"expired {_utc(lost.expired_at_ms)}, cancels confirmed {self._at(case.confirmed_ns)}, "
            f"listed zero twice {self._at(report.verified_ns)}, rounds {case.rounds}, "
            f"cancelled {'unknown' if case.cancelled is None else case.cancelled}, "
            f"of these listed before {', '.join(found) or 'none'}, by {self._ports.worker}"
        )
        self._ports.writer.record(
            ControlDecision(
                market=lost.market,
                epoch=lost.epoch,
                kind=FIRED,
                reason=text,
                by=self._ports.worker,
                evidence=evidence,
                at_ms=self._ports.clock.wall_ns() // NS_PER_MS,
            )
        )
        await self._tell_person(lost.market, f"{FIRED}: {text} ({evidence}); see {_RUNBOOK}")

    async def _end_orders(self, case: _Case) -> tuple[str, ...]:
        """Nothing of it rests by our books either; ids of ours that rested when it was cleared."""
        ports, lost = self._ports, case.lost
        found = record_found(
            ports.writer, ports.clock, lost.market, case.found.values(), f"cleared: {FIRED}"
        )
        with suppress(Unavailable):  # what is left open is freed by a reconciliation
            now_ms = ports.clock.wall_ns() // NS_PER_MS
            await ports.ledger.end_orders(lost.market, lost.epoch, f"cleared: {FIRED}", now_ms)
        return found

    async def _tell_person(self, market: MarketId, text: str) -> None:
        """Alert until it is recorded; what cannot be recorded is in the log all the same."""
        wait_s = _FIRST_TELLING_S
        while True:
            try:
                await self._ports.alerts.alert(market, "critical", text)
            except Unavailable:
                await asyncio.sleep(wait_s)
                wait_s = min(_LONGEST_TELLING_S, wait_s * 2)
            else:
                return

    def _alarm(self, case: _Case, tasks: asyncio.TaskGroup) -> None:
        """Say at growing intervals that orders may rest; clearing does not wait for it."""
        now_ns = self._ports.clock.monotonic_ns()
        if now_ns < case.alarm_ns:
            return
        case.alarm_wait_s = min(_LONGEST_ALARM_S, case.alarm_wait_s * 2)
        case.alarm_ns = now_ns + int(case.alarm_wait_s * NS_PER_S)
        tasks.create_task(self._alarm_once(case.lost, case.trouble))

    async def _alarm_once(self, lost: LostLease, trouble: str) -> None:
        text = (
            f"orders of epoch {lost.epoch} may still rest: its lease ran out "
            f"{_utc(lost.expired_at_ms)} and clearing fails ({trouble}); it is tried on"
        )
        try:
            await self._ports.alerts.alert(lost.market, "critical", text)
        except Unavailable as away:
            self._tell(f"{lost.market.path}: {text}; {away}")

    def _at(self, moment_ns: int | None) -> str:
        if moment_ns is None:
            return "unknown"
        clock = self._ports.clock
        return _utc((clock.wall_ns() - clock.monotonic_ns() + moment_ns) // NS_PER_MS)


def _utc(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1_000, UTC).isoformat(timespec="milliseconds")
