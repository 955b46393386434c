"""What a dead run may have sent is worked off under its own ids; nothing else is taken for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from desk.arbitrage_ports import ClaimRefused
from desk.arbitrage_records import TradeStage
from desk.errors import Unavailable
from desk.identity import MarketId, OrderIdentity, Slot
from desk.orders import RejectReason
from desk.units import Side
from quoting.arbitrage.report import RunEnd
from tests.activities.arbitrage_set import SetDesk, set_desk, until
from tests.activities.conftest import OpenDesk
from tests.activities.hedge_venue import HeldNetwork, Parts
from tests.activities.set_desk import buy
from tests.activities.test_arbitrage_run_round import PAIRS, circle, show


@dataclass
class Death:
    """A worker that fires, and dies before its trade is on record; `late` symbols are held back."""

    late: tuple[str, ...]
    dead: bool = False
    network: HeldNetwork = field(default_factory=HeldNetwork)
    sent: dict[str, str] = field(default_factory=dict)
    """Ids of the orders it handed over, by symbol."""

    def part(self, market: MarketId, venue: Any) -> Any:
        """See a leg's venue through it."""
        if self.dead:
            return venue

        def send(batch: Any, instrument: Any) -> Any:
            self.sent[market.symbol] = batch.value.orders[0].client_order_id
            if market.symbol not in self.late:
                return venue.execution.send(batch, instrument)
            self.network.held.append((venue.execution, batch, instrument))
            return asyncio.get_running_loop().create_future()

        return Parts(venue, execution=Parts(venue.execution, send=send))

    async def strike(self, cup: SetDesk) -> None:
        """Let it fire and die."""
        real = cup.desk.ports.writer

        def record(what: Any) -> None:
            if type(what).__name__ != "TradeFired":
                real.record(what)

        async def opened(_: Any) -> Any:
            await asyncio.Event().wait()

        cup.ports["writer"] = Parts(real, record=record)
        cup.ports["trades"] = Parts(cup.desk.ports.trades, opened=opened)
        async with cup.running() as task:
            await until(lambda: len(self.sent) == len(cup.symbols))
            await asyncio.sleep(0.3)
            for _ in range(2):  # asked once it would see the trade to its end
                task.cancel()
                await asyncio.sleep(0.05)
        assert await cup.trades() == ()
        cup.ports.clear()
        self.dead = True

    async def ids(self, cup: SetDesk) -> None:
        """The trade on record has the very ids that were sent."""
        (trade,) = await cup.trades()
        assert {one.market.symbol: one.client_order_id for one in trade.fired.legs} == self.sent


async def forget(cup: SetDesk) -> None:
    """Redis loses the claims of the set."""
    for claim in await cup.claims():
        assert await cup.desk.ports.claims.release(claim.key)
    assert await cup.claims() == []


async def others_buy(cup: SetDesk, market: MarketId, lots: int) -> None:
    """Somebody else had the market, and traded under an epoch of its own."""
    await cup.desk.ports.ledger.open_epoch(market, "market/x", "run")
    await buy(cup.desk, market, lots)


async def settled(cup: SetDesk) -> None:
    """Every trade is over, and nothing is claimed."""
    assert {one.stage for one in await cup.trades()} == {TradeStage.SETTLED}
    assert await cup.claims() == []


@asynccontextmanager
async def dead_cup(open_desk: OpenDesk, *late: str) -> AsyncIterator[tuple[SetDesk, Death]]:
    death = Death(late)
    async with set_desk(open_desk, part=death.part) as cup:
        cup.show()
        await death.strike(cup)
        yield cup, death


@asynccontextmanager
async def dead_circle(open_desk: OpenDesk, *late: str) -> AsyncIterator[tuple[SetDesk, Death]]:
    death = Death(late)
    async with circle(open_desk, part=death.part) as cup:
        show(cup)
        await death.strike(cup)
        yield cup, death


@pytest.mark.parametrize("flushed", [False, True])
async def test_a_leg_without_fills_is_completed_under_its_own_id(
    open_desk: OpenDesk, flushed: bool
) -> None:
    async with dead_cup(open_desk, "CUP-B") as (cup, death):
        assert cup.held == (10, 0, 10)
        if flushed:
            await forget(cup)
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (10, 10, 10)), report
        await death.ids(cup)
        (late,) = await death.network.let_go()
        assert late.orders[0].reason is RejectReason.DUPLICATE
        assert cup.held == (10, 10, 10)
        (trade,) = await cup.trades()
        assert [one.lots for one in trade.fired.legs] == [10, 10, 10]
        assert trade.locked


async def test_a_claim_whose_orders_are_all_late_is_on_record_and_not_released(
    open_desk: OpenDesk,
) -> None:
    async with dead_cup(open_desk, "CUP-A", "CUP-B", "CUP-C") as (cup, death):
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (0, 0, 0)), report
        await death.ids(cup)
        await settled(cup)
        death.network.held = death.network.held[:1]
        await death.network.let_go()
        assert cup.held == (10, 0, 0)
        report = await cup.run(watch=False)
        assert len(set(cup.held)) == 1, "complete, or traded back"
        assert len(await cup.trades()) == 1, report


@pytest.mark.parametrize("flushed", [False, True])
async def test_a_round_whose_fill_comes_after_the_look_is_owed(
    open_desk: OpenDesk, flushed: bool
) -> None:
    async with dead_circle(open_desk, *PAIRS) as (cup, death):
        if flushed:
            await forget(cup)
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (0, 0, 0)), report
        assert len(await cup.trades()) == (0 if flushed else 1)
        death.network.held = [one for one in death.network.held if one[1].value.symbol == PAIRS[0]]
        await death.network.let_go()
        assert cup.held[0] > 0
        report = await cup.run(watch=False)
        assert (report.end, report.standing.owes) == (RunEnd.BALANCED, False), report
        done = [held != 0 for held in cup.held]
        assert done in ([False] * 3, [True] * 3), "went round whole, or not at all"
        await death.ids(cup)
        await settled(cup)


@pytest.mark.parametrize("flushed", [False, True])
async def test_a_round_that_lost_a_leg_is_worked_off(open_desk: OpenDesk, flushed: bool) -> None:
    async with dead_circle(open_desk, PAIRS[2]) as (cup, death):
        bought, sold, _ = cup.held
        assert bought > 0 > sold
        if flushed:
            await forget(cup)
        report = await cup.run(watch=False)
        assert (report.end, report.standing.owes) == (RunEnd.BALANCED, False), report
        await death.ids(cup)
        await settled(cup)
        (trade,) = await cup.trades()
        meant = {one.market.symbol: one.lots for one in trade.fired.legs}
        (asked,) = (one[1].value.orders[0].lots for one in death.network.held)
        assert meant[PAIRS[2]] == (pytest.approx(asked, rel=0.06) if flushed else asked)
        before = cup.held
        (late,) = await death.network.let_go()
        if late.orders[0].reason is not RejectReason.DUPLICATE:
            assert cup.held != before
            again = await cup.run(watch=False)
            assert not again.standing.owes, "it was owed, and worked off"
        assert any(cup.held) is all(cup.held)


async def test_fills_of_another_owner_are_never_taken_for_the_sets(open_desk: OpenDesk) -> None:
    async with circle(open_desk) as cup:
        show(cup)
        await others_buy(cup, cup.legs[0], 500)
        real = cup.desk.ports.claims

        async def claim(asked: Any) -> Any:
            await real.claim(asked)
            raise Unavailable("redis: timed out")

        async def release(_: Any) -> Any:
            raise Unavailable("redis: timed out")

        cup.ports["claims"] = Parts(real, claim=claim, release=release)
        await cup.run(window_s=1.0)
        (stray,) = await cup.claims()
        cup.ports.clear()
        before = len(cup.orders())
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (500, 0, 0)), report
        assert len(cup.orders()) == before, "nothing was fired, so nothing is owed"
        (trade,) = await cup.trades()
        assert (trade.fired.key, trade.edge) == (stray.key, Decimal(0))
        await settled(cup)


async def test_a_claim_that_came_to_nothing_is_given_up_by_its_own_run(
    open_desk: OpenDesk,
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        await cup.desk.ports.ledger.open_epoch(cup.legs[0], "market/x", "run")
        real, asked = cup.desk.ports.claims, asyncio.Event()

        async def claim(wanted: Any) -> Any:
            if isinstance(answer := await real.claim(wanted), ClaimRefused):
                return answer
            asked.set()
            raise Unavailable("redis: timed out")

        async def release(key: Any) -> Any:
            if cup.held == (0, 0, 0) and not cup.orders():
                raise Unavailable("redis: timed out")
            return await real.release(key)

        cup.ports["claims"] = Parts(real, claim=claim, release=release)
        async with cup.running() as task:
            await asked.wait()
            assert len(await cup.claims()) == 1
            await buy(cup.desk, cup.legs[0], 3)  # a surprise: the run looks, and has it traded back
            report = await task
        assert (report.end, cup.held) == (RunEnd.BALANCED, (0, 0, 0)), report
        assert await cup.claims() == []


async def test_a_hand_trade_is_traded_back_under_ids_of_the_run_that_found_it(
    open_desk: OpenDesk,
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        await others_buy(cup, cup.legs[0], 3)
        run, legs = await cup.made(watch=False)
        report = await run.run()
        assert (report.end, cup.held) == (RunEnd.BALANCED, (0, 0, 0)), report
        (trade,) = await cup.trades()
        assert trade.fired.key.epoch == report.epoch
        told = {one.market: OrderIdentity.decode(one.client_order_id) for one in trade.fired.legs}
        assert {market: one and one.epoch for market, one in told.items()} == {
            leg.market: leg.epoch for leg in legs
        }
        assert told[cup.legs[0]] == OrderIdentity(
            tag=cup.legs[0].tag, epoch=legs[0].epoch, cycle=1, slot=Slot(Side.SELL, 0), exit=True
        )
