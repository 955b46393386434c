"""What nobody owns is taken away, and nothing else: on the real parts and the simulated venue."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.guardian import GuardianActivities
from activities.guardian_messages import LookInput, LookReport, TellInput
from activities.ports import ActivityPorts
from desk.errors import NotSent, Unavailable
from desk.identity import MarketId, OrderIdentity, Slot
from desk.orders import CancelOutcome
from desk.ownership import Finding, FindingKind
from desk.records import ControlDecision
from desk.units import Side
from infra.postgres.engine import open_database
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.sending import send

LOOK = LookInput(
    venue="ocx", account="main", owners=("market/", "flatten/"), hedge="hedge/", clear_s=10
)
BY_HAND = ("by-hand-1", "by-hand-2")


def ours(*levels: int) -> tuple[str, ...]:
    """Ids as a session of this market makes them."""
    return tuple(
        OrderIdentity(tag=MARKET.tag, epoch=1, cycle=7, slot=Slot(Side.BUY, level)).encode()
        for level in levels
    )


async def rest(desk: Desk, *client_order_ids: str) -> None:
    """Rest a bid far from the market under each id, as a session that is no more did."""
    await desk.ports.ledger.open_epoch(MARKET, "worker-0/1", "run")
    for client_order_id in client_order_ids:
        await send(desk, client_order_id, lots=100)


async def buy(desk: Desk, lots: int) -> None:
    """Hold a position, and have it booked as a session would."""
    await send(desk, ours(9)[0], lots=lots, taking=True)
    venue = await desk.ports.venues.venue("ocx", "main")
    (instrument,) = [one for one in await venue.instruments() if one.symbol == MARKET.symbol]
    await desk.ports.ledger.remember_instrument(instrument)
    async with asyncio.timeout(20):
        while not (fills := await venue.account.fills(instrument, 0)):
            await asyncio.sleep(0.05)
    await desk.ports.ledger.book_fills(MARKET, fills)


async def look(desk: Desk, request: LookInput = LOOK, **ports: object) -> LookReport:
    guardian = GuardianActivities(replace(desk.ports, **ports))  # type: ignore[arg-type]
    return await desk.run(guardian.look_for_unowned, request)


async def rows(database_url: str, query: str) -> list[tuple[object, ...]]:
    database = open_database(database_url)
    try:
        found = await database.transaction(lambda connection: connection.execute(text(query)))
        return [tuple(row) for row in found]
    finally:
        await database.close()


def resting(desk: Desk) -> set[str]:
    """Client order ids of what rests in the venue's engine."""
    return {str(order.client_order_id) for order in desk.venue.engine.open_orders("main")}


def kinds(report: LookReport) -> list[FindingKind]:
    return [finding.kind for finding in report.findings]


@asynccontextmanager
async def running(client: Client, workflow_id: str) -> AsyncIterator[None]:
    """A workflow that is open under this id; nobody serves it."""
    handle = await client.start_workflow(
        "MarketWorkflow", id=workflow_id, task_queue=str(uuid.uuid4())
    )
    try:
        yield
    finally:
        await handle.terminate()


@dataclass
class Holders:
    """Answers in turn who holds the lease; the last answer again and again. None: Redis is away."""

    answers: list[str | None] = field(default_factory=lambda: [None])

    async def holders(self, markets: Sequence[MarketId]) -> Mapping[MarketId, str]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise Unavailable("redis: away")
        return {market: answer for market in markets if answer}


class NoLedger:
    """Postgres is away."""

    async def quoted(self, venue: str, account: str) -> bool:
        raise Unavailable("postgres: away")

    async def exposures(self, venue: str, account: str, symbols: Sequence[str]) -> Any:
        raise Unavailable("postgres: away")


@dataclass
class Stubborn:
    """The venue's directory, with a venue that refuses cancels as long as `refusals` last."""

    ports: ActivityPorts
    refusals: int

    async def venue(self, name: str, account: str) -> Any:
        return _Stubborn(await self.ports.venues.venue(name, account), self)


class _Stubborn:
    def __init__(self, real: Any, given: Stubborn) -> None:
        self._real, self._given = real, given

    def __getattr__(self, name: str) -> Any:
        return self if name == "execution" else getattr(self._real, name)

    async def cancel(self, instrument: Any, client_order_id: str) -> CancelOutcome:
        if self._given.refusals > 0:
            self._given.refusals -= 1
            raise NotSent("cancel: no connection")
        done: CancelOutcome = await self._real.execution.cancel(instrument, client_order_id)
        return done


# --- orders ---------------------------------------------------------------------------------


async def test_orders_nobody_owns_are_taken_away_and_those_of_others_are_not(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        await rest(desk, *ours(0, 1, 2), *BY_HAND)
        report = await look(desk)
        assert resting(desk) == set(BY_HAND)
        assert await desk.ports.writer.flush(10)
        again = await look(desk)
    assert (report.ours, report.foreign, report.cleared) == (3, 2, 3)
    assert sorted(kinds(report)) == [FindingKind.FOREIGN, FindingKind.ORDERS]
    assert "3 cancelled, and the venue listed none of ours twice" in report.findings[-1].text
    assert (kinds(again), again.cleared) == ([FindingKind.FOREIGN], 0)
    decisions = await rows(database_url, "SELECT kind, symbol, decided_by FROM control_decisions")
    assert decisions == [("guardian cancelled", "BTC-PERP", "guardian")]


async def test_orders_of_a_held_lease_are_left_alone(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await rest(desk, *ours(0, 1))
        assert await desk.ports.lease.acquire(MARKET, 1, "worker-1/1", 60_000)
        report = await look(desk)
        assert resting(desk) == set(ours(0, 1))
    assert (kinds(report), report.owned) == ([], 1)


@pytest.mark.parametrize("owner", ["market", "flatten"])
async def test_orders_of_a_running_workflow_are_only_those_of_a_laggard(
    open_desk: OpenDesk, owner: str
) -> None:
    async with open_desk() as desk:
        await rest(desk, *ours(0))
        async with running(desk.client, f"{owner}/{MARKET.path}"):
            report = await look(desk)
            assert resting(desk) == set(ours(0)), "its own session gets the time to clear them"
            overdue = await look(desk, replace(LOOK, overdue=(MARKET,)))
            assert resting(desk) == set()
        assert kinds(report) == kinds(overdue) == [FindingKind.LAGGARD]
        assert (report.cleared, overdue.cleared) == (0, 1)


async def test_orders_of_an_account_that_is_being_drilled_are_the_drill_s(
    open_desk: OpenDesk,
) -> None:
    drilled = replace(LOOK, drill="drill/ocx/main")
    async with open_desk() as desk:
        await rest(desk, *ours(0))
        async with running(desk.client, drilled.drill):
            (finding,) = (await look(desk, drilled)).findings
            assert finding.kind is FindingKind.LAGGARD
        (finding,) = (await look(desk, drilled)).findings
        assert finding.kind is FindingKind.ORDERS


async def test_a_workflow_that_was_terminated_owns_nothing(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await rest(desk, *ours(0))
        async with running(desk.client, f"market/{MARKET.path}"):
            pass
        report = await look(desk)
        assert resting(desk) == set()
    assert kinds(report) == [FindingKind.ORDERS]


async def test_a_market_that_starts_in_this_moment_is_not_harmed(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await rest(desk, *ours(0, 1))
        report = await look(desk, holders=Holders(["", "worker-2/1"]))
        assert resting(desk) == set(ours(0, 1))
    assert report.cleared == 0
    assert "somebody owns the market by now" in report.findings[0].text


async def test_without_redis_the_workflow_alone_says_who_owns_a_market(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await rest(desk, *ours(0))
        async with running(desk.client, f"market/{MARKET.path}"):
            owned = await look(desk, replace(LOOK, overdue=(MARKET,)), holders=Holders())
            assert resting(desk) == set(ours(0))
        lone = await look(desk, holders=Holders())
        assert resting(desk) == set()
    assert (kinds(owned), kinds(lone)) == ([], [FindingKind.ORDERS])


async def test_without_the_ledger_orders_go_all_the_same(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await rest(desk, *ours(0, 1))
        report = await look(desk, ownership=NoLedger())
        assert resting(desk) == set()
    assert report.cleared == 2
    assert FindingKind.EXPOSURE not in report.judged
    assert "exposure was not judged: postgres: away" in report.trouble


async def test_an_account_that_this_deployment_never_quoted_is_not_ours_to_clean(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await send(desk, ours(0)[0], lots=100)
        report = await look(desk)
        assert resting(desk) == set(ours(0))
    assert (kinds(report), report.foreign, report.cleared) == ([FindingKind.FOREIGN], 1, 0)
    assert "never quoted the account" in report.trouble


async def test_a_cancel_that_does_not_come_through_is_repeated(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await rest(desk, *ours(0, 1))
        report = await look(desk, venues=Stubborn(desk.ports, refusals=3))
        assert resting(desk) == set()
    assert report.cleared == 2


async def test_what_could_not_be_verified_gone_is_said(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await rest(desk, *ours(0))
        stubborn = Stubborn(desk.ports, refusals=10_000)
        report = await look(desk, replace(LOOK, clear_s=0.3), venues=stubborn)
        assert resting(desk) == set(ours(0))
    assert report.cleared == 0
    assert "could not be verified gone" in report.findings[0].text


async def test_an_account_without_keys_is_left_to_other_workers(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        with pytest.raises(ApplicationError, match="no credential for account desk2") as refusal:
            await look(desk, replace(LOOK, account="desk2"))
    assert (refusal.value.type, refusal.value.non_retryable) == ("NoKeys", False)


# --- exposure -------------------------------------------------------------------------------


async def step(desk: Desk, kind: str, at_ms: int) -> None:
    """Record one step of the market's life."""
    decision = ControlDecision(
        market=MARKET, epoch=1, kind=kind, reason="", by="ana", evidence="", at_ms=at_ms
    )
    await desk.ports.ledger.record_decision(decision)


async def test_a_position_is_known_when_it_was_left_in_good_order(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await desk.ports.ledger.open_epoch(MARKET, "worker-1/1", "run")
        await buy(desk, 500)
        await step(desk, "starting->quoting", 1_000)
        (lost,) = (await look(desk)).findings
        async with running(desk.client, f"flatten/{MARKET.path}"):
            assert (await look(desk)).findings == ()
        assert await desk.ports.lease.acquire(MARKET, 1, "worker-1/1", 60_000)
        assert (await look(desk)).findings == ()
        assert await desk.ports.lease.release(MARKET, 1, "worker-1/1")
        await step(desk, "standing_down->stopped", 2_000)
        await step(desk, "guardian alarm over", 3_000)
        assert (await look(desk)).findings == ()
        await step(desk, "starting->quoting", 4_000)
        assert [one.kind for one in (await look(desk)).findings] == [FindingKind.EXPOSURE]
    assert (lost.kind, lost.market) == (FindingKind.EXPOSURE, MARKET)
    assert lost.held > 0
    assert "starting->quoting" in lost.text


async def test_a_position_whose_market_starts_in_this_moment_is_no_finding(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await desk.ports.ledger.open_epoch(MARKET, "worker-1/1", "run")
        await buy(desk, 500)
        assert len((await look(desk)).findings) == 1
        report = await look(desk, holders=Holders(["", "", "worker-2/1"]))
    assert report.findings == ()


async def test_a_position_other_than_the_books_say_is_found(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await desk.ports.ledger.open_epoch(MARKET, "worker-1/1", "run")
        await buy(desk, 500)
        await step(desk, "standing_down->stopped", 2_000)
        await send(desk, "by-hand-3", lots=100, taking=True)
        (found,) = (await look(desk)).findings
    assert "our books say" in found.text


async def test_a_market_that_was_never_ours_is_nobody_s_business(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await send(desk, "by-hand-4", lots=100, taking=True)
        report = await look(desk)
    assert report.findings == ()


# --- telling --------------------------------------------------------------------------------


async def test_a_person_hears_what_began_and_what_is_over(
    open_desk: OpenDesk, database_url: str
) -> None:
    lost = Finding(kind=FindingKind.ORDERS, market=MARKET, text="2 orders rest", since_ms=1)
    blind = Finding(kind=FindingKind.BLIND, market=None, text="it could not look", since_ms=1)
    async with open_desk() as desk:
        guardian = GuardianActivities(desk.ports)
        for told in (
            TellInput(venue="ocx", account="main", begun=(lost, blind)),
            TellInput(venue="ocx", account="main", over=(lost,)),
        ):
            await desk.run(guardian.tell_findings, told)
    alerts = await rows(database_url, "SELECT symbol, severity, text FROM alerts ORDER BY id")
    assert [(symbol, severity) for symbol, severity, _ in alerts] == [
        ("BTC-PERP", "critical"),
        (None, "warning"),
        ("BTC-PERP", "info"),
    ]
    assert "docs/runbooks/guardian-alarm.md" in str(alerts[0][2])
    assert "ocx/main" in str(alerts[1][2])
