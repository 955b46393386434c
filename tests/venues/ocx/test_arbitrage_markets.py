"""The adapter against simulated outcome sets and spot pairs: what an arbitrage needs of them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal

from desk.errors import VenueError
from desk.identity import Slot
from desk.instrument import Instrument
from desk.market import FeedLost
from desk.orders import (
    AccountChange,
    AccountEvent,
    AccountSnapshot,
    Batch,
    BatchOutcome,
    Fill,
    NewOrder,
    OutcomeKind,
    RejectReason,
    TimeInForce,
)
from desk.ports import Venue
from desk.risk.approval import SEAL, Approved
from desk.units import Side
from flotilla.simulated.arbitrage import event_name, outcome_symbol, with_arbitrage
from tests.venues.ocx.scripted import SystemClock
from venues.ocx import build
from venues.ocx.simulator.server import OcxSimulator
from venues.ocx.simulator.settings import FlowKind, SeedAccount, SimulatorSettings
from venues.simulation.faults import Fault, FaultKind
from venues.simulation.hand import CROWD

KEY = "ocx_sk_0123456789abcdef0123456789abcdef"
EVENT = event_name(1)
LEGS = tuple(outcome_symbol(EVENT, number) for number in (1, 2, 3))


@dataclass(slots=True)
class Desk:
    sim: OcxSimulator
    venue: Venue
    instruments: dict[str, Instrument]
    heard: dict[str, list[AccountEvent]] = field(default_factory=dict)

    def offer(self, symbol: str, side: Side, price: str, lots: int) -> None:
        ticks = self.instruments[symbol].exact_ticks(Decimal(price))
        self.sim.engine.set_levels(CROWD, symbol, [(side, ticks, lots)])

    async def take(self, symbol: str, price: str, lots: int, side: Side = Side.BUY) -> BatchOutcome:
        instrument = self.instruments[symbol]
        order = NewOrder(
            slot=Slot(side, 0),
            side=side,
            price=instrument.exact_ticks(Decimal(price)),
            lots=lots,
            client_order_id=f"leg-{symbol}-{len(self.sim.engine.events())}"[:32],
            time_in_force=TimeInForce.IOC,
            post_only=False,
        )
        batch = Batch(batch_id=symbol, symbol=symbol, orders=(order,), replace_all=False)
        return await self.venue.execution.send(Approved(batch, seal=SEAL), instrument)

    def fills(self, symbol: str) -> list[Fill]:
        return [
            fill
            for event in self.heard.get(symbol, ())
            if isinstance(event, AccountSnapshot | AccountChange)
            for fill in event.fills
        ]

    async def until_fills(self, symbol: str, count: int) -> list[Fill]:
        async with asyncio.timeout(5):
            while len({one.trade_id for one in self.fills(symbol)}) < count:
                await asyncio.sleep(0.02)
        return self.fills(symbol)


@asynccontextmanager
async def desk(**own: object) -> AsyncIterator[Desk]:
    bare = SimulatorSettings(accounts=(SeedAccount(name="main", api_key_secret=KEY),), markets=())
    settings = with_arbitrage(bare, events=1, outcomes=3, pairs=True)
    still = tuple(replace(market, flow=FlowKind.NONE) for market in settings.markets)
    async with (
        OcxSimulator(replace(settings, markets=still), random=random.Random(3)) as sim,
        asyncio.TaskGroup() as group,
    ):
        given = {
            "base_url": sim.base_url,
            "api_key": KEY,
            "spot_route": "perps",
            "rate": {"order_per_min": 6_000},
            **own,
        }
        venue = build(given, account="main", clock=SystemClock(), random=random.Random(4))
        tasks = [group.create_task(venue.run())]
        try:
            found = Desk(sim, venue, {one.symbol: one for one in await venue.instruments()})
            for symbol in LEGS:
                sink = found.heard.setdefault(symbol, []).append
                tasks.append(group.create_task(venue.account.run(found.instruments[symbol], sink)))
            async with asyncio.timeout(5):
                while not any(isinstance(one, AccountSnapshot) for one in found.heard[LEGS[-1]]):
                    await asyncio.sleep(0.02)
            yield found
        finally:
            for task in tasks:
                task.cancel()
            await venue.close()


async def test_instruments_carry_what_makes_a_set_and_a_triangle() -> None:
    async with desk() as seen:
        for number, symbol in enumerate(LEGS, start=1):
            told = seen.instruments[symbol]
            assert told.settlement is not None
            assert (told.settlement.event, told.settlement.outcomes) == (EVENT, 3)
            assert told.settlement.outcome == f"OUT{number}"
            assert (told.base, told.quote, told.active) == ("", "USDC", True)
            assert (told.band_low, told.band_high) == (1, 999)
        pairs = {
            (one.base, one.quote) for one in seen.instruments.values() if one.settlement is None
        }
        assert pairs == {("BTC", "USDC"), ("ETH", "USDC"), ("ETH", "BTC")}
        assert all(one.active for one in seen.instruments.values())


async def test_a_missed_leg_is_a_definite_no_and_a_part_is_told() -> None:
    async with desk() as seen:
        for symbol in LEGS:
            seen.offer(symbol, Side.SELL, "0.300", 100)
        seen.sim.faults.add(Fault(kind=FaultKind.LEG_VANISHES, market=LEGS[0]))
        seen.sim.faults.add(Fault(kind=FaultKind.LEG_FILLS_IN_PART, market=LEGS[1], fraction=0.25))
        missed, part, whole = await asyncio.gather(
            *(seen.take(symbol, "0.300", 40) for symbol in LEGS)
        )
        assert missed.orders[0].kind is OutcomeKind.REJECTED
        assert missed.orders[0].reason is RejectReason.NOT_FILLED
        assert (part.orders[0].kind, part.orders[0].filled) == (OutcomeKind.ACCEPTED, 10)
        assert whole.orders[0].filled == 40
        told = [await seen.venue.account.fills(seen.instruments[symbol], 0) for symbol in LEGS]
        assert [sum(one.lots for one in fills) for fills in told] == [0, 10, 40]


async def test_an_end_is_a_fill_of_the_venues_own_and_leaves_the_position_flat() -> None:
    async with desk() as seen:
        for symbol in LEGS:
            seen.offer(symbol, Side.SELL, "0.300", 100)
            await seen.take(symbol, "0.300", 100)
            await seen.until_fills(symbol, 1)
        seen.sim.world.settle({LEGS[0]: 0, LEGS[1]: 1_000, LEGS[2]: 0})
        for symbol, price in zip(LEGS, (0, 1_000, 0), strict=True):
            instrument = seen.instruments[symbol]
            *_, last = await seen.until_fills(symbol, 2)
            assert (last.side, last.price, last.lots) == (Side.SELL, price, 100)
            assert (last.fee_estimated, last.client_order_id) == (False, None)
            assert last.fee == 0
            on_rest = await seen.venue.account.fills(instrument, 0)
            assert {one.trade_id for one in on_rest} == {one.trade_id for one in seen.fills(symbol)}
            assert (await seen.venue.account.position(instrument)).lots == 0
        now = {one.symbol: one for one in await seen.venue.instruments()}
        assert not any(now[symbol].active for symbol in LEGS)
        assert all(now[symbol].settlement is not None for symbol in LEGS)
        fees = sum(one.fee for symbol in LEGS for one in seen.fills(symbol))
        after = (await seen.venue.account.balance()).equity
        assert after == 100_000 + 100 - 90 - fees


async def test_a_pair_quoted_in_btc_trades_and_is_no_exposure() -> None:
    async with desk() as seen:
        symbol = "ETH-BTC-SPOT"
        seen.offer(symbol, Side.SELL, "0.05", 40_000)
        before = await seen.venue.account.balance()
        sent = await seen.take(symbol, "0.05", 40_000)
        assert sent.orders[0].filled == 40_000
        assert (await seen.venue.account.position(seen.instruments[symbol])).lots == 40_000
        assert await seen.venue.account.balance() == before
        assert before.exposure == 0
        beyond = await seen.take(symbol, "0.06", 2_000_000)
        assert beyond.orders[0].reason is RejectReason.MARGIN


async def test_one_legs_feed_goes_silent_and_is_told_lost_while_the_other_lives() -> None:
    async with desk(sse={"heartbeat_timeout_s": 0.5, "book_interval_ms": 50}) as seen:
        heard: dict[str, list[object]] = {symbol: [] for symbol in LEGS[:2]}
        seen.sim.faults.add(Fault(kind=FaultKind.SILENT_STREAM, market=LEGS[0]))
        tasks = [
            asyncio.create_task(seen.venue.feed.run(seen.instruments[symbol], events.append))
            for symbol, events in heard.items()
        ]
        price = 300
        try:
            async with asyncio.timeout(5):
                while not any(isinstance(one, FeedLost) for one in heard[LEGS[0]]):
                    price += 1
                    for symbol in heard:
                        seen.sim.engine.set_levels(CROWD, symbol, [(Side.SELL, price, 10)])
                    await asyncio.sleep(0.05)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert not any(isinstance(one, FeedLost) for one in heard[LEGS[1]])
        assert len(heard[LEGS[1]]) > len(heard[LEGS[0]])


async def test_an_answer_that_comes_too_late_leaves_the_leg_open_and_the_fills_tell() -> None:
    async with desk(request_timeout_s=0.3) as seen:
        symbol = LEGS[0]
        seen.offer(symbol, Side.SELL, "0.300", 100)
        seen.sim.faults.add(
            Fault(kind=FaultKind.SLOW_RESPONSE, market=symbol, method="POST", delay_s=1.0)
        )
        try:
            outcome = await seen.take(symbol, "0.300", 40)
        except VenueError as error:
            raise AssertionError(f"a send told as an error: {error}") from error
        assert outcome.orders[0].kind is OutcomeKind.UNRESOLVED
        (fill,) = await seen.until_fills(symbol, 1)
        assert fill.lots == 40
