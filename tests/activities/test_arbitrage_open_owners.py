"""Who has a leg of a set, for everybody else: guardian, markets, hedges and kills."""

import time
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from activities.hedge import HedgeActivities
from activities.hedge_messages import OpenHedgeInput
from activities.messages import PreflightInput
from desk.identity import MarketId
from desk.ownership import SET_STARTED, SET_STOPPED, FindingKind
from desk.quoting.parameters import QuoteParameters
from desk.records import ControlDecision, KillStage
from desk.risk.limits import RiskLimits
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.hedger import PLAN as HEDGE
from tests.activities.set_desk import MARKETS, ONE, OWNER, buy, running
from tests.activities.test_guardian import kinds, look
from tests.activities.test_kill_activities import answer, asked, kill_now, seen

SET = "arbitrage/event1"


async def noted(desk: Desk, kind: str, at_ms: int) -> None:
    decision = ControlDecision(
        market=ONE, epoch=1, kind=kind, reason="", by="ana", evidence="event1", at_ms=at_ms
    )
    await desk.ports.ledger.record_decision(decision)


async def test_complete_sets_are_kept_by_a_stop_and_lost_by_a_termination(
    open_desk: OpenDesk,
) -> None:
    async with open_desk(markets=MARKETS) as desk:
        epoch = await desk.ports.ledger.open_epoch(ONE, OWNER, "run-1")
        await noted(desk, SET_STARTED, 1_000)
        await buy(desk, ONE, 5)
        (lost,) = (await look(desk)).findings
        assert await desk.ports.lease.acquire(ONE, epoch, OWNER, 60_000)
        assert (await look(desk)).findings == ()
        assert await desk.ports.lease.release(ONE, epoch, OWNER)
        async with running(desk.client, SET):
            paused = await look(desk)
        assert (paused.findings, paused.owned) == ((), 1), "paused, it holds no lease"
        await noted(desk, SET_STOPPED, 2_000)
        assert (await look(desk)).findings == ()
        await noted(desk, SET_STARTED, 3_000)
        again = await look(desk)
    assert (lost.kind, lost.market) == (FindingKind.EXPOSURE, ONE)
    assert "its last step was 'arbitrage started'" in lost.text
    assert kinds(again) == [FindingKind.EXPOSURE]


async def test_a_leg_of_a_paused_set_is_neither_quoted_nor_hedged_at(open_desk: OpenDesk) -> None:
    hedge = replace(HEDGE, source=MarketId("ocx", "main", "SOL-PERP"), hedge=MARKET)
    preflight = PreflightInput(
        market=MARKET, parameters=QuoteParameters(), limits=RiskLimits(), run_id="run"
    )
    async with open_desk() as desk:
        await desk.ports.ledger.open_epoch(MARKET, OWNER, "run-1")
        hedges = HedgeActivities(desk.ports)
        async with running(desk.client, SET):
            for work, request in (
                (desk.activities.preflight, preflight),
                (hedges.open_hedge, OpenHedgeInput(plan=hedge, run_id="run")),
            ):
                with pytest.raises(ApplicationError) as refusal:
                    await desk.run(work, request)
                assert f"{MARKET.path} is a leg of {SET}" in refusal.value.message
                assert "flotilla arb stop event1" in refusal.value.message
        await desk.run(desk.activities.preflight, preflight)


async def test_a_set_answers_a_kill_when_nothing_claimed_before_it_lives(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        assert await desk.ports.lease.acquire(MARKET, 1, OWNER, 60_000)
        kill = kill_now(desk)
        untold = await answer(desk, asked(kill))
        assert KillStage.GATE_CLOSED not in seen(untold.stages), "it is on no board"
        assert "not on the board yet" in untold.waiting_for
        # It was said long ago, and the board is told only now.
        kill = replace(kill_now(desk), at_ms=kill.at_ms - 60_000)
        await desk.ports.board.set(kill)
        asked_at = time.monotonic()
        given = await answer(desk, asked(kill))
        took_s = time.monotonic() - asked_at
    assert KillStage.LISTED_ZERO in seen(given.stages)
    assert took_s >= 2.5, "what was claimed just before the kill may be fired that long"
    (closed,) = [one for one in given.stages if one.stage is KillStage.GATE_CLOSED]
    assert closed.evidence.startswith(f"{OWNER} holds the lease; no claim is granted")
