"""What a market's workflow may ask the world: preflight, take over, stand down, record.

Every one may run twice: reads are reads, and cancels repeat.
"""

from collections.abc import Sequence
from contextlib import suppress

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.beating import beat, beating
from activities.break_gate import keep_gates
from activities.deciding import keep_decision
from activities.failures import as_application_errors
from activities.held_by_set import why_a_sets
from activities.listing import chosen, listed
from activities.market_day import recall_latches
from activities.messages import (
    DecisionInput,
    PreflightInput,
    PreflightReport,
    SessionInput,
    SessionResult,
    StandDownInput,
    TakeOverInput,
    TakeOverReport,
)
from activities.ports import ActivityPorts
from activities.recovery import account_for_orders, epoch_seen, next_epoch
from activities.session import host_session
from desk.drills import Drill, why_blocked
from desk.errors import ConfigurationFault, Unavailable, VenueError
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill
from desk.permit import wants_answers
from desk.ports import DeadManPort
from desk.quoting.against_market import against_market
from desk.records import Kill, KillEffect
from desk.trading_day import moment
from quoting.agreement import StandDownReport, agree
from quoting.clearing import clear, clear_and_tell
from quoting.journal import orders_of, record_found
from quoting.permission import standing_kills, wait_for_lease

_GONE = "gone when it stood down"
_CLEAR_S = 60.0
_AGREE_S = 5.0


class MarketActivities:
    """Activities of one worker; ports are shared by all markets of the process."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def preflight(self, request: PreflightInput) -> PreflightReport:
        """Check everything that must hold before a market may be quoted; change nothing."""
        with as_application_errors():
            venue, instrument = await chosen(self._ports.venues, request.market)
            if not instrument.active:
                raise ConfigurationFault(
                    f"symbol: {request.market.venue} does not let {request.market.symbol} be "
                    "quoted just now; try again later, or choose another market"
                )
            if problems := _problems(request, instrument):
                raise ConfigurationFault("; ".join(problems))
            if why := await why_a_sets(self._ports, request.market):
                raise ConfigurationFault(f"symbol: {why}")
            await recall_latches(self._ports, request.market)
            await keep_gates(self._ports, request.market)
            standing = await standing_kills(self._ports.board, self._ports.ledger, request.market)
            kills = self._ports.gates.merged(request.market, tuple(standing))
            if kills or self._ports.kill_file.present():
                raise ApplicationError(
                    _killed_sentence(request.market, kills), type="Killed", non_retryable=True
                )
            if blocked := why_blocked(await self._failed_drills(request.market)):
                raise ApplicationError(blocked, type="Killed", non_retryable=True)
            offset_ms = await venue.clock_offset_ms()
            if abs(offset_ms) > request.limits.max_clock_offset_ms:
                raise ConfigurationFault(
                    f"clock: this machine and {request.market.venue} differ by {offset_ms} ms, "
                    f"more than max_clock_offset_ms {request.limits.max_clock_offset_ms}; "
                    "set this machine's clock"
                )
            balance = await venue.account.balance()
            if balance.equity <= 0:
                raise ConfigurationFault(
                    f"account: {request.market.account} at {request.market.venue} has no "
                    "collateral; fund it before quoting"
                )
            await self._ports.ledger.remember_instrument(instrument)
            epoch = await next_epoch(
                self._ports, request.market, self._ports.worker, request.run_id
            )
        return PreflightReport(
            life_epoch=epoch,
            tick_size=instrument.tick_size,
            lot_size=instrument.lot_size,
            maker_fee_bps=instrument.maker_fee_bps,
            clock_offset_ms=offset_ms,
        )

    @activity.defn
    async def quote_session(self, request: SessionInput) -> SessionResult:
        """Quote until the window ends, something goes wrong, or the workflow cancels."""
        with as_application_errors():
            return await host_session(self._ports, request)

    @activity.defn
    async def take_over(self, request: TakeOverInput) -> TakeOverReport:
        """Cancel everything, take the lease under a new epoch, cancel again, list zero twice."""
        with as_application_errors():
            venue, instrument = await chosen(self._ports.venues, request.market)
            # Orders go first, whoever holds the lease; cancelling is always safe.
            first = await clear_and_tell(
                venue, instrument, self._ports.clock, give_up_s=1.0, beat=beat
            )
            seen = await epoch_seen(self._ports, venue, instrument, request.market, first.found)
            epoch = await next_epoch(
                self._ports, request.market, request.owner, request.run_id, seen=seen
            )
            await wait_for_lease(
                self._ports.lease,
                request.market,
                epoch,
                request.owner,
                request.lease_ttl_ms,
                beat=beat,
            )
            report = await clear(
                venue, instrument, self._ports.clock, give_up_s=_CLEAR_S, beat=beat
            )
            if not report.verified:
                raise ApplicationError(f"orders not cleared: {report.message}", type="NotCleared")
            await account_for_orders(self._ports, request.market, epoch, first.found)
            if request.give_back:
                await self._ports.lease.release(request.market, epoch, request.owner)
        return TakeOverReport(epoch=epoch, attempts=report.attempts)

    @activity.defn
    async def stand_down(self, request: StandDownInput) -> StandDownReport:
        """Look a last time, book what is missing, compare, and release the lease."""
        with as_application_errors():
            venue, instrument = await listed(self._ports.venues, request.market)
            await self._ports.writer.flush(_AGREE_S)
            missed: list[Fill] = []
            # A long history is many pages.
            async with beating():
                report = await agree(
                    request.market,
                    instrument,
                    venue,
                    self._ports.ledger,
                    life_epoch=request.life_epoch,
                    beat=beat,
                    booked=missed.extend,
                )
            if report.venue_open_orders:
                # Stopped is said on evidence: cancel again, and have the whole look repeated.
                await clear(venue, instrument, self._ports.clock, give_up_s=_CLEAR_S, beat=beat)
                raise ApplicationError(
                    f"{report.venue_open_orders} orders rested at the last look", type="NotCleared"
                )
            if not report.ledger_equals_venue:
                await self._ports.alerts.alert(
                    request.market, "critical", f"books disagree: {report.difference}"
                )
            orders = orders_of(missed)
            record_found(self._ports.writer, self._ports.clock, request.market, orders, _GONE)
            await account_for_orders(self._ports, request.market, request.epoch)
            if venue.dead_man is not None:
                await self._disarm(request.market, venue.dead_man)
            await self._ports.lease.release(request.market, request.epoch, request.owner)
        return report

    @activity.defn
    async def record_decision(self, request: DecisionInput) -> None:
        """Keep one control decision, and tell a person when asked to."""
        with as_application_errors():
            await keep_decision(self._ports, request, "warning" if request.alert else "")

    async def _failed_drills(self, market: MarketId) -> Sequence[Drill]:
        """Drills that forbid a start; a market marked for drills may be drilled again."""
        marked = market in self._ports.drills.markets
        return () if marked else await self._ports.drills.book.failed()

    async def _disarm(self, market: MarketId, timer: DeadManPort) -> None:
        """Release the last brake, unless any process works on another market of the account.

        Looked at before and after: a session takes its lease before it arms. Where anything fails
        the timer runs out by itself, which is safe.
        """
        with suppress(VenueError, Unavailable):
            if await self._ports.lease.shared(market):
                return
            if await timer.release(market.path) and await self._ports.lease.shared(market):
                await timer.keep(market.path)


def _problems(request: PreflightInput, instrument: Instrument) -> list[str]:
    """What contradicts itself, or else the market's own rules, in sentences."""
    found = [*request.parameters.problems(), *request.limits.problems()]
    return found or list(against_market(request.parameters, instrument))


def _killed_sentence(market: MarketId, kills: Sequence[Kill]) -> str:
    if not kills:
        return f"{market.path}: the KILL file is present; remove it before starting"
    kill = next((kill for kill in kills if kill.until_ms is None and wants_answers(kill)), None)
    held = next((kill for kill in kills if kill.effect is KillEffect.HOLD), None)
    if kill is None and held is not None:
        return (
            f"{market.path}: books disagree at scope {held.scope} ({held.reason}); "
            "settle it with 'flotilla breaks settle' before starting"
        )
    if kill is None:
        kill = max(kills, key=lambda one: one.until_ms or 0)
        return (
            f"{market.path}: stopped at scope {kill.scope} by {kill.by} ({kill.reason}); "
            f"it may start again at {moment(kill.until_ms or 0)}"
        )
    return (
        f"{market.path}: killed at scope {kill.scope} by {kill.by} ({kill.reason}); "
        f"lift it with 'flotilla unkill --scope {kill.scope} --by NAME --reason WHY'"
    )
