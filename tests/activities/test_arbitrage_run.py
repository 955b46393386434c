"""A set is taken whole or not at all; whatever moves between claim and fire, nothing leaves."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from desk.arbitrage_ports import Claim, ClaimGranted, ClaimRefusal, ClaimRefused, ClaimStage
from desk.arbitrage_records import TradeStage
from desk.errors import Unavailable
from desk.records import Kill
from desk.units import Side
from quoting.arbitrage.report import RunEnd
from tests.activities.arbitrage_set import ASKS, RULES, SetDesk, set_desk, until
from tests.activities.conftest import OpenDesk
from tests.activities.hedge_venue import Parts
from venues.ocx.simulator.settings import SeedAccount

SECOND = SeedAccount(
    name="second",
    api_key_secret="ocx_sk_" + "b2" * 16,
    perps_collateral=Decimal(100_000),
    rate_per_minute=60_000,
)
DEAR = {**ASKS, "B": ("0.40", 20)}


def watching(cup: SetDesk) -> bool:
    return cup.run_now is not None and cup.run_now.look.state == "watching"


async def test_a_set_is_taken_whole_and_stays_locked(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        report = await cup.run()
        assert (report.end, report.trade is not None) == (RunEnd.TRADED, True), report
        assert cup.held == (10, 10, 10)
        assert [(one["symbol"], one["lots"], one["price"]) for one in cup.orders()] == [
            ("CUP-A", 10, 18),
            ("CUP-B", 10, 28),
            ("CUP-C", 10, 48),
        ]
        (trade,) = await cup.trades()
        fees = Decimal("9.4") * Decimal("0.0005")
        assert (trade.stage, trade.fired.units) == (TradeStage.BALANCED, Decimal(10))
        assert sum(part.amount for part in trade.locked) == Decimal("9.4") + fees
        assert trade.edge == Decimal("0.6") - fees
        (claim,) = await cup.claims()
        assert (claim.stage, claim.capital) == (ClaimStage.HELD, trade.locked)
        assert (report.standing.complete, report.standing.owes) == (Decimal(10), False)
        assert report.locked == Decimal("9.4") + fees
        assert report.trade is not None
        assert 0 < report.trade.sent_us < 1_000_000


async def test_without_an_edge_the_window_passes_and_nothing_is_sent(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show(DEAR)
        report = await cup.run(window_s=1.0)
        assert (report.end, report.trade, cup.orders()) == (RunEnd.WINDOW, None, [])
        assert dict(report.look.passed).get("no_edge", 0) > 0
        assert report.look.best_edge is not None
        assert report.look.best_edge < 0


async def test_an_edge_gone_between_claim_and_fire_is_given_up(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()

        async def go_away() -> None:
            assert cup.run_now is not None
            looks = cup.run_now.look.looks
            cup.rest("CUP-B", Side.SELL, ("0.28", 0), ("0.40", 20))
            await until(lambda: cup.run_now is not None and cup.run_now.look.looks > looks)

        cup.after_claim(go_away)
        report = await cup.run(window_s=5.0)
        assert (report.end, cup.orders()) == (RunEnd.WINDOW, [])
        assert dict(report.look.passed)["no_edge"] > 0
        assert (await cup.claims(), await cup.trades()) == ([], ())


@pytest.mark.parametrize("by", ["board", "process", "file"])
async def test_a_kill_between_claim_and_fire_lets_nothing_leave(
    open_desk: OpenDesk, by: str
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        ports, kill = cup.desk.ports, Kill(scope="fleet", reason="drill", by="ana", at_ms=1)

        struck = []

        async def strike() -> None:
            struck.append(1)
            if by == "file":
                (cup.desk.state_dir / "KILL").touch()
            elif by == "process":
                ports.gates.close(kill)
            else:
                await ports.board.set(kill)
                await asyncio.sleep(0.3)

        cup.after_claim(strike)
        report = await cup.run(window_s=6.0)
        assert (report.end, cup.orders()) == (RunEnd.WINDOW, [])
        assert dict(report.look.passed)["gate"] > 0
        assert ("KILL file" if by == "file" else "drill") in report.look.gate
        assert (struck, await cup.claims()) == ([1], [])


async def test_nothing_is_fired_while_claims_cannot_be_asked(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        asked = []

        async def claim(wanted: object) -> object:
            asked.append(wanted)
            raise Unavailable("cut off")

        cup.ports["claims"] = Parts(cup.desk.ports.claims, claim=claim)
        report = await cup.run(window_s=1.0)
        assert (report.end, cup.orders()) == (RunEnd.WINDOW, [])
        keys = [one.key.trade for one in asked]  # type: ignore[attr-defined]
        assert keys == list(range(1, len(keys) + 1)), "an id nobody knows the fate of is not reused"


async def test_a_refused_claim_is_counted_and_asked_again(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        real, refused = cup.desk.ports.claims, []

        async def claim(asked: Claim) -> ClaimGranted | ClaimRefused:
            answer = await real.claim(asked)
            refused.append(answer.reason if isinstance(answer, ClaimRefused) else None)
            return answer

        cup.ports["claims"] = Parts(real, claim=claim)
        report = await cup.run()
        assert (report.end, refused[-1]) == (RunEnd.TRADED, None)
        assert refused[0] is not None, "armed just now, nothing is granted at first"
        assert dict(report.look.passed)[f"claim_{refused[0].value}"] > 0


async def test_a_stale_leg_is_no_leg(open_desk: OpenDesk) -> None:
    rules = replace(RULES, max_age_ms=1_000)
    async with set_desk(open_desk, rules=rules) as cup:
        cup.show()
        async with cup.running(window_s=8.0) as task:
            await until(lambda: watching(cup))
            await asyncio.sleep(1.2)
            for turn in range(20):  # two legs go on changing, the third says nothing
                for name in ("A", "C"):
                    price, lots = ASKS[name]
                    cup.rest(f"CUP-{name}", Side.SELL, (price, lots + turn))
                await asyncio.sleep(0.1)
            assert cup.run_now is not None
            passed = dict(cup.run_now.look.passed)
            assert passed["stale_leg"] > 0
            assert cup.orders() == []
            for name in ("A", "B", "C"):  # the third speaks again
                price, lots = ASKS[name]
                cup.rest(f"CUP-{name}", Side.SELL, (price, lots + 50))
            report = await task
        assert (report.end, cup.held) == (RunEnd.TRADED, (10, 10, 10))


async def test_two_sets_on_two_accounts_never_take_more_than_is_shown(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk, others=(SECOND,)) as cup:
        other = SetDesk(cup.desk, name="cup2", account="second")
        real, refused = cup.desk.ports.claims, []

        async def claim(asked: Claim) -> ClaimGranted | ClaimRefused:
            answer = await real.claim(asked)
            if isinstance(answer, ClaimRefused):
                refused.append(answer.reason)
            else:  # whoever is first waits until the other has asked for the same lots
                await until(lambda: ClaimRefusal.SIZE in refused, within_s=1.9)
            return answer

        cup.ports["claims"] = other.ports["claims"] = Parts(real, claim=claim)
        few = {name: (price, 15) for name, (price, _) in ASKS.items()}
        cup.show({**few, "B": ("0.40", 15)})
        async with cup.running() as one, other.running() as two:
            for each in (cup, other):
                await until(lambda run=each: watching(run))  # type: ignore[misc]
            await asyncio.sleep(3.0)  # just armed, claims grant nothing
            cup.show(few)
            await asyncio.wait({one, two})
        held = [sum(both) for both in zip(cup.held, other.held, strict=True)]
        assert held == [15, 15, 15], "all that was shown, and no more"
        log = cup.desk.venue.engine.events(0)
        unfilled = [event for event in log if event["event"] == "OrderCancelled"]
        assert unfilled == [], "no order found less than it had claimed"
        assert {run.result().end for run in (one, two)} == {RunEnd.TRADED}


async def test_a_lost_lease_ends_the_run_before_it_fires(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show(DEAR)
        async with cup.running(window_s=20.0) as task:
            await until(lambda: watching(cup))
            market, ports = cup.legs[1], cup.desk.ports
            fence = await ports.lease.fence(market)
            assert await ports.lease.release(market, fence, cup.owner)
            assert await ports.lease.acquire(market, fence + 1, "somebody", 60_000)
            cup.show()
            report = await task
        assert (report.end, cup.orders()) == (RunEnd.BLOCKED, [])
        assert "lease" in report.reason


async def test_an_emptied_redis_grants_nothing_until_armed_again(
    open_desk: OpenDesk, redis_url: str
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show(DEAR)
        async with cup.running(window_s=20.0) as task:
            await until(lambda: watching(cup))
            await asyncio.sleep(3.0)
            await _flush(redis_url)
            await cup.desk.ports.board.rearm([])
            cup.show()
            await asyncio.sleep(2.0)
            assert cup.run_now is not None
            assert dict(cup.run_now.look.passed)["claim_not_armed"] > 0
            assert cup.orders() == []
            task.cancel()


async def _flush(redis_url: str) -> None:
    from redis.asyncio import Redis  # noqa: PLC0415

    redis = Redis.from_url(redis_url)
    await redis.flushdb()
    await redis.aclose()
