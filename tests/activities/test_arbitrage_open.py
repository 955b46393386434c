"""A set begins only where its legs are a set, nobody has them, and what they hold is explained."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.arbitrage import ArbitrageActivities
from activities.arbitrage_messages import LeaveSetInput, ReleaseSetInput, SetPlan, TellSetInput
from desk.arbitrage_records import SetLeg, TradeStage
from desk.identity import MarketId
from desk.units import Side
from quoting.arbitrage.report import SetKind
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.hedge_venue import forgetful
from tests.activities.set_desk import (
    CAPS,
    MARKETS,
    ONE,
    OWNER,
    PLAN,
    TWO,
    buy,
    decisions,
    fired,
    open_set,
    rows,
    running,
)
from venues.simulation.hand import CROWD

PAIRS = tuple(
    MarketId("ocx", "main", f"{pair}-SPOT") for pair in ("BTC-USDC", "ETH-USDC", "ETH-BTC")
)

SPOT = {"FLOTILLA_VENUE_OCX__SPOT_ROUTE": "perps"}


def with_legs(*legs: MarketId) -> SetPlan:
    return replace(PLAN, legs=legs)


class Venues:
    """The directory, with every venue changed."""

    def __init__(self, desk: Desk, change: Callable[[Any], Any]) -> None:
        self._desk, self._change = desk, change

    async def venue(self, name: str, account: str) -> Any:
        return self._change(await self._desk.ports.venues.venue(name, account))


async def test_a_set_that_is_one_begins_with_its_claims_armed(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        assert not await desk.ports.claims.armed()
        report = await open_set(desk)
        assert await desk.ports.claims.armed()
        leases = await desk.ports.holders.holders(PLAN.legs)
    assert report.standing == ""
    assert leases == {}, "the run takes them"
    found = await decisions(database_url)
    assert [one[:3] for one in found] == [
        ("arbitrage started", "EVENT1-OUT1", "flotilla"),
        ("arbitrage started", "EVENT1-OUT2", "flotilla"),
    ]


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (with_legs(ONE, MARKET), "ocx/main/BTC-PERP carries no settlement identity"),
        (with_legs(ONE, MarketId("ocx", "main", "NONE")), "legs: ocx has no market NONE"),
        (replace(PLAN, kind=SetKind.TRIANGLE), "event1: 2 pairs are given; a triangle has three"),
        (
            replace(PLAN, rules=replace(PLAN.rules, max_units=Decimal(0))),
            "max_units: 0 is not above zero",
        ),
        (
            replace(PLAN, kind=SetKind.TRIANGLE, legs=PAIRS),
            "account:ocx/main=… BTC",
        ),
    ],
    ids=["no settlement", "not listed", "no triangle", "unsound rules", "no cap of BTC"],
)
async def test_what_is_no_set_is_refused_in_words(
    open_desk: OpenDesk, plan: SetPlan, sentence: str
) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS, **SPOT) as desk:
        with pytest.raises(ApplicationError) as refusal:
            await open_set(desk, plan)
    assert sentence in refusal.value.message
    assert (refusal.value.type, refusal.value.non_retryable) == ("ConfigurationFault", True)


async def test_a_triangle_with_caps_for_each_currency_begins(open_desk: OpenDesk) -> None:
    caps = ", ".join(
        f"{scope}=100 {currency}"
        for scope in ("fleet", "account:ocx/main")
        for currency in ("USDC", "BTC", "ETH")
    )
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=caps, **SPOT) as desk:
        report = await open_set(desk, replace(PLAN, kind=SetKind.TRIANGLE, legs=PAIRS))
    assert report.standing == ""


async def test_without_caps_nothing_could_ever_be_taken(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS) as desk:
        with pytest.raises(ApplicationError) as refusal:
            await open_set(desk)
    for scope in ("fleet=… USDC", "account:ocx/main=… USDC", "FLOTILLA_ARBITRAGE_CAPS"):
        assert scope in refusal.value.message


async def test_a_venue_that_takes_an_id_twice_is_refused(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        with pytest.raises(ApplicationError, match="could fill twice; take legs at other venues"):
            await open_set(desk, venues=Venues(desk, forgetful))


async def test_a_leg_somebody_holds_is_refused_and_a_dead_run_of_ours_is_not(
    open_desk: OpenDesk,
) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        assert await desk.ports.lease.acquire(ONE, 1, "arbitrage/event1/earlier", 60_000)
        assert await desk.ports.lease.acquire(TWO, 1, "arbitrage/event10/run", 60_000)
        with pytest.raises(ApplicationError, match="EVENT1-OUT2 is held by arbitrage/event10/run"):
            await open_set(desk)
        assert await desk.ports.lease.release(TWO, 1, "arbitrage/event10/run")
        await open_set(desk)


@pytest.mark.parametrize("owner", ["market", "flatten"])
async def test_a_leg_whose_market_runs_is_refused_also_without_a_lease(
    open_desk: OpenDesk, owner: str
) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        async with running(desk.client, f"{owner}/{TWO.path}"):
            with pytest.raises(ApplicationError, match=f"legs: {owner}/{TWO.path} runs"):
                await open_set(desk)
        await open_set(desk)


async def test_a_leg_of_another_set_that_is_paused_is_refused(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        await desk.ports.ledger.open_epoch(ONE, "arbitrage/event2/run-9", "run-9")
        async with running(desk.client, "arbitrage/event2"):
            with pytest.raises(ApplicationError, match="stop that first with 'flotilla arb stop"):
                await open_set(desk)
        await desk.ports.ledger.open_epoch(ONE, OWNER, "run-1")
        async with running(desk.client, "arbitrage/event1"):
            await open_set(desk)


async def test_a_position_that_no_trade_explains_is_refused(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        await buy(desk, ONE, 5)
        for lots, stage in ((4, TradeStage.FIRED), (50, TradeStage.SETTLED)):
            await fired(desk, lots, stage=stage)
            with pytest.raises(ApplicationError) as refusal:
                await open_set(desk)
            assert "holds 5 lots and the trades of event1 on record explain at most 4" in str(
                refusal.value
            )
        await fired(desk, 1)
        assert (await open_set(desk)).standing == "5 of ocx/main/EVENT1-OUT1"


async def test_what_ended_begins_only_for_a_set_that_has_something_to_settle(
    open_desk: OpenDesk,
) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        desk.venue.world.settle({ONE.symbol: 1_000, TWO.symbol: 0})
        with pytest.raises(ApplicationError, match="EVENT1-OUT1 that is traded now"):
            await open_set(desk)
        await fired(desk, 5)
        await open_set(desk)


async def test_a_name_stays_that_of_its_legs(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        old = [
            SetLeg(market=leg, side=Side.BUY, epoch=1)
            for leg in (ONE, MarketId("ocx", "main", "EVENT0-OUT2"))
        ]
        await desk.ports.trades.open_set("event1", "outcome_set", old, OWNER, "run-0", beyond=0)
        with pytest.raises(ApplicationError) as refusal:
            await open_set(desk)
        assert "name: event1 had other legs before (ocx/main/EVENT0-OUT2)" in str(refusal.value)
        await open_set(desk, replace(PLAN, name="event1-b", owner="arbitrage/event1-b/run-1"))


async def test_books_out_of_step_are_refused(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        await fired(desk, 100)
        await buy(desk, ONE, 5)
        desk.venue.engine.tampering.set_position("main", ONE.symbol, 7, against=CROWD)
        with pytest.raises(ApplicationError, match="out of step: ledger has 5 lots, the venue 7"):
            await open_set(desk)


async def test_what_is_decided_is_on_record_with_its_name(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        activities = ArbitrageActivities(desk.ports)
        key = await fired(desk, 5)
        release = ReleaseSetInput(plan=PLAN, epoch=1, owed="owed: -3", by="ana", reason="by hand")
        assert await desk.run(activities.release_set, release) == 1
        assert await desk.run(activities.release_set, release) == 0, "again changes nothing"
        (trade,) = await desk.ports.trades.recent(5, "event1")
        tell = TellSetInput(
            plan=PLAN,
            epoch=1,
            kind="arbitrage handed over",
            reason="owed: -3; see docs/runbooks/arbitrage.md",
            by="flotilla",
            severity="critical",
        )
        await desk.run(activities.tell_set, tell)
        told = await rows(database_url, "SELECT symbol, severity, text FROM alerts")
        leave = LeaveSetInput(plan=PLAN, epoch=1, reason="stopped by ana", by="ana")
        await desk.run(activities.leave_set, leave)
    assert (trade.fired.key, trade.stage) == (key, TradeStage.HANDED_OVER)
    assert (trade.steps[-1].by, trade.steps[-1].reason) == ("ana", "by hand")
    ((symbol, severity, text),) = told
    assert (symbol, severity) == ("EVENT1-OUT1", "critical")
    assert str(text).startswith("arbitrage handed over: event1: owed: -3")
    found = await decisions(database_url)
    assert found[0] == ("arbitrage released", "EVENT1-OUT1", "ana", "by hand")
    assert [one[:2] for one in found[2:]] == [
        ("arbitrage handed over", "EVENT1-OUT1"),
        ("arbitrage stopped", "EVENT1-OUT1"),
        ("arbitrage stopped", "EVENT1-OUT2"),
    ]
