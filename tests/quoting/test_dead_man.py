"""A lost lease is claimed once and its market cleared, whatever else is away; a held one never."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.errors import NotSent, Unresolved, VenueError
from desk.identity import MarketId
from desk.records import OrderEnded, OrderSent
from quoting.dead_man import FIRED, DeadMan
from tests.quoting.dead_man_world import START_MS, World, now_s, play, until

BTC = MarketId("ocx", "main", "BTC-PERP")
ETH = MarketId("x10", "main", "ETH-USD")
DAY_S = 86_400.0


@asynccontextmanager
async def watching(*guardians: DeadMan) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(one.run()) for one in guardians]
    try:
        yield
        assert not any(task.done() for task in tasks), "a watch ended by itself"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_lost_lease_is_cleared_settled_recorded_and_told() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        async with watching(world.guardian()):
            await asyncio.sleep(1)
            assert venue.opened == 0
            world.leases.lose(BTC)
            await until(lambda: bool(world.alerts.told), within_s=2)
        market = venue.markets["BTC-PERP"]
        assert (market.orders, market.cancels, market.listings) == (0, 1, 3), (
            "one look before, two after"
        )
        assert world.leases.lost == {}
        (decision,) = world.decisions()
        assert (decision.market, decision.epoch, decision.kind) == (BTC, 7, FIRED)
        assert decision.by == "guardian-1"
        expired = datetime.fromtimestamp(START_MS / 1_000, UTC)
        for words in (
            f"expired {expired:%Y-%m-%dT%H:%M:%S}",
            "confirmed 20",
            "zero twice 20",
            "cancelled 3",
        ):
            assert words in decision.evidence
        ((_, severity, text),) = world.alerts.told
        assert severity == "critical"
        assert text.startswith(f"{FIRED}: the lease of epoch 7, held by dead/1, ran out")
        sent = {one.client_order_id for one in world.ledger.records if isinstance(one, OrderSent)}
        over = {one.client_order_id for one in world.ledger.records if isinstance(one, OrderEnded)}
        assert len(sent) == 3, "what rested is on record, whether or not anybody recorded it"
        assert sent == over
        assert all(one in decision.evidence for one in sent)
        assert world.ended == [(BTC, 7)], "and nothing of the epoch rests by our books"

    play(scene)


def test_a_lease_somebody_holds_is_left_alone() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        lost = world.leases.lose(BTC)
        world.leases.refuses = True  # it was renewed between the look and the claim
        async with watching(world.guardian()):
            await until(lambda: world.leases.events.count(("claim", BTC.path, False)) >= 3)
        assert venue.markets["BTC-PERP"].cancels == 0
        assert world.leases.lost == {BTC: lost}
        assert world.decisions() == []
        assert world.alerts.told == []

    play(scene)


def test_it_stops_at_once_when_a_new_session_takes_the_market() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        venue.trouble = NotSent("no connection")
        venue.troubles = [NotSent("no connection")] * 3
        world.leases.lose(BTC)
        async with watching(world.guardian()):
            await asyncio.sleep(3)
            venue.trouble = None
            world.leases.take_over(BTC)
            await asyncio.sleep(0.1)
            before = venue.markets["BTC-PERP"].cancels
            await asyncio.sleep(60)
        assert venue.markets["BTC-PERP"].cancels == before
        assert world.decisions() == []
        assert ("settle", BTC.path, True) not in world.leases.events

    play(scene)


def test_a_session_that_comes_during_a_round_keeps_its_orders_from_the_second() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        world.leases.lose(BTC)
        async with watching(world.guardian()):
            await until(lambda: venue.markets["BTC-PERP"].listings == 2)
            world.leases.take_over(BTC)
            venue.markets["BTC-PERP"].orders = 6
            await asyncio.sleep(60)
        assert venue.markets["BTC-PERP"].cancels == 1
        assert venue.markets["BTC-PERP"].orders == 6
        assert world.decisions() == []
        assert len(world.said) == 1
        assert "took it over" in world.said[0]

    play(scene)


def test_a_session_that_comes_before_the_settling_is_not_struck_off() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        world.leases.lose(BTC)
        async with watching(world.guardian()):
            await until(lambda: venue.markets["BTC-PERP"].cancels == 1)
            world.leases.take_over(BTC)
            await asyncio.sleep(60)
        assert venue.markets["BTC-PERP"].listings == 3
        assert world.leases.events[-1] == ("settle", BTC.path, False)
        assert world.decisions() == []
        assert world.alerts.told == []

    play(scene)


def test_a_venue_that_is_away_is_tried_for_ever_and_alarmed_ever_less_often() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        venue.trouble = Unresolved("no answer in time")
        world.leases.lose(BTC)
        async with watching(world.guardian()):
            await asyncio.sleep(DAY_S / 24)
            times = [at_s for at_s, _, _ in world.alerts.told]
            gaps = [late - early for early, late in pairwise(times)]
            assert times[0] == pytest.approx(5, abs=2.1)
            assert gaps[:4] == pytest.approx([10, 20, 40, 80], abs=2.1)
            assert max(gaps) == pytest.approx(300, abs=2.1)
            assert all("no answer in time" in text for _, _, text in world.alerts.told)
            venue.trouble = None
            await until(lambda: bool(world.decisions()), within_s=5)
        assert venue.markets["BTC-PERP"].orders == 0
        assert len(world.decisions()) == 1

    play(scene)


def test_one_venues_trouble_does_not_delay_another() -> None:
    async def scene() -> None:
        world = World()
        silent = world.venue("ocx", *[f"M{number}" for number in range(200)])
        silent.slow_s = 10.0
        silent.trouble = Unresolved("no answer in time")
        world.venue("x10", "ETH-USD")
        for symbol in silent.markets:
            world.leases.lose(MarketId("ocx", "main", symbol))
        async with watching(world.guardian()):
            await asyncio.sleep(30)
            world.leases.lose(ETH)
            await until(lambda: bool(world.decisions()), within_s=1)
        assert world.decisions()[0].market == ETH

    play(scene)


def test_many_markets_of_a_dead_worker_are_cleared_side_by_side() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", *[f"M{number}" for number in range(200)])
        for symbol in venue.markets:
            world.leases.lose(MarketId("ocx", "main", symbol))
        async with watching(world.guardian()):
            await until(lambda: len(world.decisions()) == 200, within_s=5)
        assert venue.listed == 1
        assert all(market.cancels == 1 for market in venue.markets.values())

    play(scene)


def test_of_two_guardians_one_does_it() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        venue.slow_s = 4.0  # a round is longer than a claim lasts
        world.leases.lose(BTC)
        async with watching(world.guardian("guardian-1"), world.guardian("guardian-2")):
            await until(lambda: bool(world.decisions()))
            await asyncio.sleep(60)
        assert len(world.decisions()) == 1
        assert venue.markets["BTC-PERP"].cancels == 1
        assert len(world.alerts.told) == 1

    play(scene)


def test_a_second_guardian_takes_over_from_one_that_dies_at_work() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        venue.trouble = NotSent("no connection")
        world.leases.lose(BTC)
        async with watching(world.guardian("guardian-1")):
            await asyncio.sleep(3)
        venue.trouble = None
        async with watching(world.guardian("guardian-2")):
            await until(lambda: bool(world.decisions()), within_s=7)
        assert world.decisions()[0].by == "guardian-2"

    play(scene)


def test_a_venue_without_settings_is_told_once_and_left_to_others() -> None:
    async def scene() -> None:
        world = World()
        world.leases.lose(BTC)
        world.leases.lose(MarketId("ocx", "main", "ETH-PERP"))
        async with watching(world.guardian()):
            await asyncio.sleep(DAY_S / 24)
            world.venue("x10", "ETH-USD")
            world.leases.lose(ETH)
            await until(lambda: bool(world.decisions()), within_s=2)
        (said,) = world.said
        assert "base_url" in said
        assert "left to others" in said
        assert not any("ocx" in path for _, path, _ in world.leases.events)

    play(scene)


def test_an_account_that_nobody_has_settings_for_is_alarmed_once() -> None:
    async def scene() -> None:
        world = World()
        btc = world.leases.lose(BTC)
        world.leases.lose(MarketId("ocx", "main", "ETH-PERP"))
        world.leases.lose(ETH)
        async with watching(world.guardian()):
            await asyncio.sleep(14)
            assert world.alerts.told == []
            await asyncio.sleep(2)
            assert len(world.alerts.told) == 2, "one an account"
            world.leases.away = True
            await asyncio.sleep(30)
            world.leases.away = False
            await asyncio.sleep(DAY_S / 24)
            assert len(world.alerts.told) == 2
            world.leases.lost.clear()
            await asyncio.sleep(1)
            world.leases.lose(BTC, epoch=btc.epoch + 1)
            await asyncio.sleep(16)
        accounts = ["ocx/main" in text for _, _, text in world.alerts.told]
        assert sorted(accounts) == [False, True, True]
        assert all(severity == "critical" for _, severity, _ in world.alerts.told)
        assert all("no settings of" in text for _, _, text in world.alerts.told)

    play(scene)


def test_an_account_left_to_others_who_clear_it_in_time_is_not_alarmed() -> None:
    async def scene() -> None:
        world = World()
        async with watching(world.guardian()):
            for epoch in range(20):
                world.leases.lose(BTC, epoch=epoch)
                await asyncio.sleep(10)
                world.leases.lost.clear()
        assert world.alerts.told == []

    play(scene)


def test_an_outage_of_redis_is_told_once_and_survived() -> None:
    async def scene() -> None:
        world = World()
        world.venue("ocx", "BTC-PERP")
        async with watching(world.guardian()):
            for _ in range(2):
                world.leases.away = True
                await asyncio.sleep(30)
                world.leases.away = False
                await asyncio.sleep(1)
            world.leases.lose(BTC)
            await until(lambda: bool(world.decisions()), within_s=2)
        told = [text.partition(",")[0] for text in world.said]
        assert told == ["leases cannot be watched", "leases are watched again"] * 2

    play(scene)


def test_redis_dying_under_a_rescue_stops_cancels_and_alarms() -> None:
    """Without Redis nobody can say that the market has no new owner."""

    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        venue.troubles = [NotSent("no connection")] * 2
        world.leases.lose(BTC)
        async with watching(world.guardian()):
            await until(lambda: venue.markets["BTC-PERP"].cancels == 1)
            world.leases.away = True
            await asyncio.sleep(30)
            assert venue.markets["BTC-PERP"].cancels == 1
            assert "redis: away" in world.alerts.told[0][2]
            world.leases.away = False
            await until(lambda: bool(world.decisions()), within_s=5)

    play(scene)


def test_a_lost_answer_to_the_settling_loses_no_record() -> None:
    async def scene() -> None:
        world = World()
        world.venue("ocx", "BTC-PERP")
        world.leases.settle_answers_lost = 1
        world.leases.lose(BTC)
        async with watching(world.guardian()):
            await until(lambda: bool(world.decisions()), within_s=3)
            await asyncio.sleep(10)
        assert len(world.decisions()) == 1

    play(scene)


def test_a_person_is_told_when_postgres_is_back_and_nothing_waits_for_it() -> None:
    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP", "ETH-PERP")
        world.alerts.away = True
        world.leases.lose(BTC)
        async with watching(world.guardian()):
            await until(lambda: world.alerts.tries >= 2)
            world.leases.lose(MarketId("ocx", "main", "ETH-PERP"))
            await until(lambda: venue.markets["ETH-PERP"].orders == 0, within_s=1)
            await asyncio.sleep(200)
            assert len(world.decisions()) == 2
            world.alerts.away = False
            await until(lambda: len(world.alerts.told) == 2, within_s=61)
            await asyncio.sleep(200)
        assert len(world.alerts.told) == 2

    play(scene)


def test_a_bug_in_one_market_is_told_and_does_not_stop_the_watch() -> None:
    async def scene() -> None:
        world = World()
        broken = world.venue("ocx", "BTC-PERP")
        broken.troubles = [ValueError("no such thing")] * 3
        world.venue("x10", "ETH-USD")
        world.leases.lose(BTC)
        async with watching(world.guardian()):
            await until(lambda: bool(world.said))
            world.leases.lose(ETH)
            await until(lambda: len(world.decisions()) == 2, within_s=20)
        assert {decision.market for decision in world.decisions()} == {BTC, ETH}
        assert len(world.said) == 3
        assert "no such thing" in world.said[0]

    play(scene)


def test_a_market_the_venue_does_not_list_is_alarmed() -> None:
    async def scene() -> None:
        world = World()
        world.venue("ocx", "ETH-PERP")
        world.leases.lose(BTC)
        async with watching(world.guardian()):
            await until(lambda: bool(world.alerts.told))
        assert "ocx lists no market BTC-PERP" in world.alerts.told[0][2]

    play(scene)


TROUBLES = st.sampled_from([None, NotSent("busy"), Unresolved("cut"), VenueError("odd")])


@given(
    troubles=st.lists(TROUBLES, max_size=12),
    redis=st.lists(st.booleans(), max_size=12),
    taken_s=st.none() | st.floats(0.1, 6.0),
    guardians=st.integers(1, 3),
)
def test_every_cancel_follows_a_claim_and_every_end_is_recorded_once(
    troubles: list[Exception | None], redis: list[bool], taken_s: float | None, guardians: int
) -> None:
    """Whatever fails when: nothing is cancelled unclaimed, and what is lost is cleared."""

    async def scene() -> None:
        world = World()
        venue = world.venue("ocx", "BTC-PERP")
        venue.troubles = list(troubles)
        world.leases.lose(BTC)
        async with watching(*(world.guardian(f"g{number}") for number in range(guardians))):
            for away in redis:
                world.leases.away = away
                await asyncio.sleep(0.5)
            world.leases.away = False
            if taken_s is not None:
                await asyncio.sleep(taken_s)
                taken = BTC in world.leases.lost
                world.leases.lost.pop(BTC, None)
            else:
                taken = False
            await asyncio.sleep(120)
        events = [event for event in world.leases.events if event[0] != "settle"]
        for before, event in pairwise([("none", "", False), *events]):
            if event[0] == "cancel":
                assert before == ("claim", BTC.path, True)
        settled = world.leases.events.count(("settle", BTC.path, True))
        told = len(world.decisions())
        assert settled == (0 if taken else 1)
        # Whose settling went unanswered cannot know that another did it meanwhile.
        assert told >= settled if any(redis) else told == settled
        assert told <= guardians
        assert taken or venue.markets["BTC-PERP"].orders == 0
        assert now_s() < DAY_S

    play(scene)


def test_who_has_no_way_to_the_venue_leaves_it_to_who_has() -> None:
    async def scene() -> None:
        world = World()
        cut_off = World(leases=world.leases, ledger=world.ledger, alerts=world.alerts)
        venue = world.venue("ocx", "BTC-PERP")
        cut_off.venue("ocx", "BTC-PERP").trouble = NotSent("no line")
        world.leases.lose(BTC)
        async with watching(cut_off.guardian("the-worker-that-was-cut-off")):
            await until(lambda: bool(world.leases.claims))
            async with watching(world.guardian("guardian-2")):
                await until(lambda: venue.markets["BTC-PERP"].orders == 0, within_s=3)
                await until(lambda: not world.leases.lost, within_s=3)

    play(scene)


def test_two_without_a_way_alarm_all_the_same() -> None:
    async def scene() -> None:
        world = World()
        world.venue("ocx", "BTC-PERP").trouble = NotSent("no line")
        world.leases.lose(BTC)
        async with watching(world.guardian("guardian-1"), world.guardian("guardian-2")):
            await asyncio.sleep(60)
        at_s = [moment for moment, _, _ in world.alerts.told]
        assert at_s, "nobody was told"
        assert at_s[0] < 15
        assert len(at_s) <= 12, "two watches, each at growing intervals"

    play(scene)
