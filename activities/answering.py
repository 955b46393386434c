"""Brings one market's answer to a kill as far as it can be brought: by evidence, never by belief.

The one rule: cancels go first, and "listed zero" is said only after the gate was seen closed.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError

from activities.kill_messages import AnswerInput, MarketAnswer, StageSeen
from activities.killed_workflow import KilledWorkflow
from activities.listing import listed
from activities.ports import ActivityPorts
from desk.errors import ConfigurationFault, Unavailable, VenueError
from desk.instrument import Instrument
from desk.ports import Venue
from desk.records import Kill, KillAnswer, KillEffect, KillStage
from desk.units import NS_PER_MS, NS_PER_S
from quoting.arbitrage.firing import CLAIM_MS
from quoting.clearing import ClearReport, clear

_GATE_S: Final = 6.0
_LOOK_S: Final = 0.2
_FIRST_CLEAR_S: Final = 1.0
_CLEAR_S: Final = 8.0
# A session whose lease Redis forgot believes in it, and may send, until it would have run out.
_LEASE_MS: Final = 3_000
# No session confirms a lease of three seconds, or a board, that long without Redis.
_REDIS_AWAY_S: Final = 5.0
_TRIES_WITHOUT_SETTINGS: Final = 5
_VENUE_S: Final = 8.0

# Owners that add no risk: they cancel, verify or reduce, and hedges look at kills by themselves.
_QUOTES_NOTHING: Final = ("flatten/", "stand-down/", "clear/", "hedge/")

# A set fires what it claimed before the kill was on the board, where no claim is granted any more.
_SET: Final = "arbitrage/"
_FIRES_WITHIN_NS: Final = (CLAIM_MS + 1_000) * NS_PER_MS


def answered(kill: Kill, stages: Sequence[StageSeen] | None) -> bool:
    """Whether a market has said all that a kill asks of it."""
    seen = {one.stage for one in stages or ()}
    wanted = {KillStage.GATE_CLOSED, KillStage.CANCELS_SENT, KillStage.LISTED_ZERO}
    if kill.effect is KillEffect.FLATTEN:
        wanted.add(KillStage.FLAT)
    return wanted <= seen


class Answering:
    """One try for one market. `beat` is called on every round (heartbeats)."""

    def __init__(
        self,
        ports: ActivityPorts,
        client: Client,
        request: AnswerInput,
        *,
        beat: Callable[[], None],
    ) -> None:
        self._ports = ports
        self._request = request
        self._workflow = KilledWorkflow(client, request)
        self._kill = request.kill
        self._market = request.market
        self._beat = beat
        self._stages = {one.stage: one for one in request.known}
        self._waiting = ""
        self._unverified = ""
        self._keyless = 0
        self._nobody_since_ns: int | None = None
        self._on_board_since_ns: int | None = None

    async def run(self) -> MarketAnswer:
        """Answer, and record what was seen. Never raises for what services and venues do."""
        if not self._answered():
            try:
                venue, instrument = await listed(
                    self._ports.venues, self._market, within_s=_VENUE_S
                )
            except ConfigurationFault as fault:
                await self._without_settings(str(fault))
            except (VenueError, TimeoutError) as trouble:
                await self._gate(within_s=0.0)
                self._wait_for(f"{self._market.venue}: {str(trouble) or 'no answer'}")
                await self._stop_workflow()
            else:
                await self._answer(venue, instrument)
        await self._record()
        return MarketAnswer(
            market=self._market,
            stages=tuple(sorted(self._stages.values(), key=lambda one: one.at_ms)),
            waiting_for=self._waiting,
            unverified=self._unverified,
            keyless=self._keyless,
        )

    async def _answer(self, venue: Venue, instrument: Instrument) -> None:
        if KillStage.LISTED_ZERO not in self._stages:
            if not await self._gate(within_s=0.0):
                # Whoever holds the gate open: orders go first.
                await self._clear(venue, instrument, _FIRST_CLEAR_S)
            runs = await self._stop_workflow()
            if not await self._gate(within_s=_GATE_S):
                return
            self._cleared(await self._clear(venue, instrument, _CLEAR_S))
        else:
            runs = await self._workflow.runs()
        if self._kill.effect is KillEffect.FLATTEN and KillStage.LISTED_ZERO in self._stages:
            await self._flat(venue, instrument, runs=runs)

    # --- the gate ----------------------------------------------------------------------------

    async def _gate(self, *, within_s: float) -> bool:
        """Whether nobody may quote this market any more; waits for a lease to run out."""
        if KillStage.GATE_CLOSED in self._stages:
            return True
        clock, away_since_ns = self._ports.clock, None
        began_ns = clock.monotonic_ns()
        while True:
            self._beat()
            now_ns = clock.monotonic_ns()
            try:
                evidence, open_because = await self._lease()
                away_since_ns = None
            except Unavailable as trouble:
                away_since_ns = away_since_ns or now_ns
                away_s = (now_ns - away_since_ns) / NS_PER_S
                open_because = f"the leases cannot be read: {trouble}"
                evidence = (
                    f"{self._ports.worker} could not reach Redis for {away_s:.0f} s; as it sees "
                    "it, no lease is confirmed"
                )
                if away_s < _REDIS_AWAY_S:
                    evidence = ""
            if evidence:
                self._see(KillStage.GATE_CLOSED, evidence)
                return True
            if (now_ns - began_ns) / NS_PER_S >= within_s:
                self._wait_for(open_because)
                return False
            await asyncio.sleep(_LOOK_S)

    async def _lease(self) -> tuple[str, str]:
        """Evidence that the gate is closed, or else who holds it open."""
        owner = (await self._ports.holders.holders([self._market])).get(self._market)
        if owner is None:
            if self._ran_out():
                return "nobody holds the lease, so nobody may send", ""
            return "", "nobody holds the lease, but one that Redis forgot may not have run out yet"
        self._nobody_since_ns = None
        if owner.startswith(_QUOTES_NOTHING):
            return f"{owner.partition('/')[0]} holds the lease, which adds no risk", ""
        if owner.startswith(_SET):
            return await self._set(owner)
        return "", f"{owner} holds the lease and has not said that it stopped"

    async def _set(self, owner: str) -> tuple[str, str]:
        """The same of a market that a set holds: it goes on taking off what is owed."""
        if self._kill.at_ms not in await self._ports.board.named(self._kill.scope):
            self._on_board_since_ns = None
            return "", f"{owner} holds the lease, and the kill is not on the board yet"
        now_ns = self._ports.clock.monotonic_ns()
        # Not since the kill was said: the board may have been told much later.
        self._on_board_since_ns = self._on_board_since_ns or now_ns
        if now_ns - self._on_board_since_ns < _FIRES_WITHIN_NS:
            return "", f"{owner} holds the lease, and may fire what it claimed before the kill"
        return f"{owner} holds the lease; no claim is granted and none from before lives", ""

    def _ran_out(self) -> bool:
        """Whether no lease can be older than the kill, or than the first look that found none."""
        clock = self._ports.clock
        now_ns = clock.monotonic_ns()
        self._nobody_since_ns = self._nobody_since_ns or now_ns
        since_ms = clock.wall_ns() // NS_PER_MS - self._kill.at_ms
        return max(since_ms, (now_ns - self._nobody_since_ns) // NS_PER_MS) >= _LEASE_MS

    # --- the orders --------------------------------------------------------------------------

    async def _clear(self, venue: Venue, instrument: Instrument, give_up_s: float) -> ClearReport:
        report = await clear(
            venue, instrument, self._ports.clock, give_up_s=give_up_s, beat=self._beat
        )
        if report.confirmed_ns is not None:
            self._see(
                KillStage.CANCELS_SENT,
                f"{self._ports.worker}: the venue confirmed the cancel-all",
                report.confirmed_ns,
            )
        return report

    def _cleared(self, report: ClearReport) -> None:
        if not report.verified:
            self._wait_for(f"{self._market.venue}: {report.message or 'no answer'}")
            return
        seen = f"{self._ports.worker}: zero orders listed twice, {report.attempts} rounds"
        # A venue that confirms no cancel has shown by its lists that none was needed.
        self._see(KillStage.CANCELS_SENT, seen, report.verified_ns)
        self._see(KillStage.LISTED_ZERO, seen, report.verified_ns)

    # --- the position ------------------------------------------------------------------------

    async def _flat(self, venue: Venue, instrument: Instrument, *, runs: bool) -> None:
        try:
            position = await venue.account.position(instrument)
        except VenueError as trouble:
            self._wait_for(f"{self._market.venue}: {trouble}")
            return
        if position.lots == 0:
            self._see(KillStage.FLAT, f"{self._ports.worker}: the venue's position is zero")
            return
        self._wait_for(f"{position.lots} lots are left to flatten")
        if not runs:
            try:
                await self._workflow.flatten()
            except RPCError as trouble:
                self._wait_for(f"its flatten could not be started: {trouble}")

    # --- the workflow ------------------------------------------------------------------------

    async def _stop_workflow(self) -> bool:
        """Have the market's workflow stand down, unless it does; whether it runs."""
        try:
            return await self._workflow.stop()
        except RPCError as trouble:
            self._wait_for(f"its workflow cannot be asked: {trouble.status.name.lower()}")
        return True

    async def _by_its_workflow(self) -> None:
        """What the workflow verified when it stood down under this kill."""
        with suppress(RPCError):
            last = await self._workflow.stood_down()
            if last is None or last.orders:
                return
            said = "its workflow stood down"
            for stage in (KillStage.CANCELS_SENT, KillStage.LISTED_ZERO):
                self._see_at(stage, f"{said}: zero orders at the last look", last.at_ms)
            if self._kill.effect is KillEffect.FLATTEN and last.position == 0:
                self._see_at(KillStage.FLAT, f"{said}: the venue's position is zero", last.at_ms)

    # --- a venue nobody has settings for ------------------------------------------------------

    async def _without_settings(self, fault: str) -> None:
        """Leave it to other workers; after some tries believe that an unowned market is over."""
        self._keyless = self._request.keyless + 1
        closed = await self._gate(within_s=0.0)
        runs = await self._stop_workflow()
        if closed and not runs:
            await self._by_its_workflow()
        self._wait_for(f"no worker with settings looked yet: {fault}")
        if not closed or runs or self._keyless <= _TRIES_WITHOUT_SETTINGS or self._begun():
            return
        with suppress(Unavailable):
            if self._kill.effect is KillEffect.FLATTEN and await self._holds():
                return
            if self._market not in {one.market for one in await self._ports.lost.expired()}:
                self._unverified = (
                    f"{fault}; its workflow does not run and its last owner gave the lease up in "
                    "good order"
                )

    def _begun(self) -> bool:
        """Whether somebody who has the settings came further, and will end it."""
        return not {KillStage.REQUESTED, KillStage.GATE_CLOSED}.issuperset(self._stages)

    async def _holds(self) -> bool:
        """Whether the ledger knows of a position in the market."""
        market = self._market
        booked = await self._ports.ownership.exposures(
            market.venue, market.account, (market.symbol,)
        )
        return any(one.market == market and one.quantity for one in booked)

    # --- noting ------------------------------------------------------------------------------

    def _answered(self) -> bool:
        return answered(self._kill, tuple(self._stages.values()))

    def _see(self, stage: KillStage, evidence: str, seen_ns: int | None = None) -> None:
        clock = self._ports.clock
        now_ns = clock.monotonic_ns()
        ago_ns = now_ns - (seen_ns or now_ns)
        self._see_at(stage, evidence, (clock.wall_ns() - ago_ns) // NS_PER_MS)

    def _see_at(self, stage: KillStage, evidence: str, seen_ms: int) -> None:
        at_ms = max(seen_ms, self._kill.at_ms)
        self._stages.setdefault(stage, StageSeen(stage=stage, at_ms=at_ms, evidence=evidence))

    def _wait_for(self, why: str) -> None:
        self._waiting = why

    async def _record(self) -> None:
        """What is not in the record yet was not answered; the next try brings it there."""
        if self._answered():
            self._waiting = ""
        try:
            for one in self._stages.values():
                await self._ports.answers.note(
                    KillAnswer(
                        scope=self._kill.scope,
                        set_at_ms=self._kill.at_ms,
                        market=self._market,
                        stage=one.stage,
                        at_ms=one.at_ms,
                        evidence=one.evidence,
                    )
                )
        except Unavailable as trouble:
            self._waiting = f"the record: {trouble}"
