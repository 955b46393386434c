"""The venue out of reach, its clock stepped, an owner removed by hand, a second one forged.

Only the way between a process and the venue is cut; the venue itself goes on and keeps its log.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from temporalio.exceptions import WorkflowAlreadyStartedError

from desk.lifecycle import SessionReason
from tests.chaos.forged import forged_session, leases_refused
from tests.chaos.ground import Market
from tests.chaos.invariants import GateClosed, Orphaned
from tests.chaos.matrix import CUT_OFF_S, GONE_S, SLOW_S, Strike, hushed, struck, thawed
from tests.chaos.outages import now_ms
from tests.chaos.verdict import judged, killed
from tests.infra.redis.link import Link

pytestmark = pytest.mark.timeout(400)

_CUT_LOOK_S = 3.0
_CLOCK_S = 60.0
_SKEW_S = 5.0

CUTS: dict[str, Callable[[Link], None]] = {"cut": Link.cut, "frozen": Link.freeze}


@asynccontextmanager
async def _line(market: Market) -> AsyncIterator[tuple[Link, dict[str, str]]]:
    """A line to the venue that can be cut, and the setting that makes a worker take it."""
    link = Link(urlsplit(market.venue.url).port or 0)
    async with link.running():
        name = f"FLOTILLA_VENUE_{market.venue.name.upper()}__BASE_URL"
        yield link, {name: f"http://127.0.0.1:{link.port}"}


def _mend(link: Link) -> None:
    link.mend()
    link.thaw()


async def _nothing_of(market: Market, epoch: int) -> bool:
    return not (await market.log()).left_by(epoch)


@pytest.mark.parametrize("how", CUTS)
async def test_the_way_from_one_worker_to_the_venue_is(market: Market, how: str) -> None:
    """Another worker has a way: it takes over."""
    async with _line(market) as (link, setting):
        await market.worker(**setting)
        await market.start()
        await market.until("the first quotes rest", market.has_quotes)
        await market.hold_a_position()
        await market.worker()
        await market.guardian()
        epoch = await market.epoch()
        await hushed(market)
        at_ms = now_ms()
        CUTS[how](link)
        took = await market.until(
            "nothing of it rests", lambda: _nothing_of(market, epoch), within_s=SLOW_S
        )
        print(f"line {how}: nothing rested after {took:.2f} s")  # noqa: T201
        await hushed(market, on=False)
        await market.until("it quotes anew", lambda: market.quotes_above(epoch), within_s=SLOW_S)
        _mend(link)
        await market.finish(within_s=SLOW_S)
    orphan = Orphaned(epoch=epoch, at_ns=at_ms * 1_000_000, gone_within_s=CUT_OFF_S)
    await judged(market, orphaned=(orphan,))


async def test_the_only_worker_has_no_way_to_the_venue_but_the_guardian_has(
    market: Market,
) -> None:
    async with _line(market) as (link, setting):
        await market.worker(**setting)
        await market.start()
        await market.until("the first quotes rest", market.has_quotes)
        await market.hold_a_position()
        await market.guardian()
        epoch = await market.epoch()
        await hushed(market)
        at_ms = now_ms()
        link.cut()
        took = await market.until(
            "nothing of it rests", lambda: _nothing_of(market, epoch), within_s=SLOW_S
        )
        print(f"only worker cut off: nothing rested after {took:.2f} s")  # noqa: T201
        await hushed(market, on=False)
        _mend(link)
        await market.until("it quotes anew", lambda: market.quotes_above(epoch), within_s=SLOW_S)
        await market.finish(within_s=SLOW_S)
    orphan = Orphaned(epoch=epoch, at_ns=at_ms * 1_000_000, gone_within_s=CUT_OFF_S)
    await judged(market, orphaned=(orphan,))


@pytest.mark.parametrize("how", CUTS)
async def test_the_venue_is_out_of_reach_during_a_kill(market: Market, how: str) -> None:
    """Nothing can be cancelled until it is back; nothing is sent either, and then all goes."""
    async with _line(market) as (link, setting):
        await market.worker(**setting)
        await market.start()
        await market.until("the first quotes rest", market.has_quotes)
        await market.hold_a_position()
        await market.until("quotes rest on", market.has_quotes)
        await hushed(market)
        CUTS[how](link)
        async with killed(market, f"market:{market.id.path}") as kill:
            await market.stays("its orders rest", market.has_quotes, for_s=_CUT_LOOK_S)
            before = (await market.log()).sequence
            _mend(link)
            mended_ms = now_ms()
            await market.until("nothing rests", market.has_none, within_s=SLOW_S)
            cleared = GateClosed(at_ms=now_ms(), in_flight_ns=0)
            print(f"mended at {mended_ms}, cleared at {cleared.at_ms}")  # noqa: T201
            result = await market.ended(within_s=SLOW_S)
    assert "fault test" in result.reason
    log = await market.log()
    late = [one for one in log.accepted() if one.sequence > before]
    assert late == [], "an order was accepted after the kill, once the venue was back"
    await judged(market, gates=(GateClosed(at_ms=kill.at_ms, in_flight_ns=0), cleared))


async def test_a_workflow_terminated_by_hand_leaves_nothing(market: Market) -> None:
    await market.quoting()
    await market.hold_a_position()
    await market.guardian()
    await _terminate(market)
    took = await market.until("nothing rests", market.has_none, within_s=GONE_S)
    gate = GateClosed(at_ms=now_ms(), in_flight_ns=0)
    print(f"terminated: nothing rested after {took:.2f} s")  # noqa: T201
    await market.stays("nothing rests", market.has_none, for_s=_CUT_LOOK_S)
    await judged(market, gates=(gate,))


@pytest.mark.parametrize("strike", Strike)
async def test_a_workflow_is_terminated_and_its_worker_is_struck(
    market: Market, strike: Strike
) -> None:
    """Neither a session nor a workflow is left, only the guardian; who starts anew books the rest.

    Fills of orders that nobody owned any more are booked by the next life of the market.
    """
    worker = await market.quoting()
    await market.hold_a_position()
    await market.guardian()
    orphan = await struck(market, strike, worker)
    await _terminate(market)
    await market.until("nothing rests", market.has_none, within_s=SLOW_S)
    gone_s = ((await market.log()).gone_ns(orphan.epoch) - orphan.at_ns) / 1e9
    print(f"terminated and {strike}: nothing rested after {gone_s:.2f} s")  # noqa: T201
    if strike is Strike.FREEZE:
        await thawed(market, worker, orphan)
    await hushed(market, on=False)
    await market.worker()
    await market.start()
    await market.until("it quotes anew", lambda: market.quotes_above(orphan.epoch), within_s=SLOW_S)
    await market.finish(within_s=SLOW_S)
    await judged(market, orphaned=(orphan,))


async def test_a_market_has_one_owner(market: Market) -> None:
    """A second start is refused, and a session under an old epoch gets nothing out."""
    await market.quoting()
    await market.worker()
    epoch = await market.epoch()
    with pytest.raises(WorkflowAlreadyStartedError):
        await market.start()
    assert await leases_refused(market, epoch)
    end = await forged_session(market, epoch - 1)
    assert end.reason is SessionReason.LEASE
    # A session that leaves cancels everything of its market: the owner only has to quote anew.
    await market.until("its owner quotes on", market.has_quotes, within_s=SLOW_S)
    log = await market.log()
    assert epoch - 1 not in log.epochs()
    await market.finish(within_s=SLOW_S)
    await judged(market)


async def test_the_venue_s_clock_steps_away_from_ours(market: Market) -> None:
    """As when this machine's clock is stepped: a session compares the two, and knows no third.

    Leases are on Redis' own clock and permits on the monotonic one, so neither takes notice.
    """
    await market.quoting()
    await market.hold_a_position()
    epoch = await market.epoch()
    await market.venue.post("faults", [{"kind": "clock_skew", "skew_s": _SKEW_S}])
    took = await market.until("nothing rests", market.has_none, within_s=_CLOCK_S)
    print(f"clock stepped: nothing rested after {took:.2f} s")  # noqa: T201
    since_ms = now_ms()
    await market.stays("nothing rests", market.has_none, for_s=_CUT_LOOK_S)
    gate = GateClosed(at_ms=since_ms, until_ms=now_ms(), in_flight_ns=0)
    await market.calm()
    await market.until("it quotes anew", lambda: market.quotes_above(epoch), within_s=SLOW_S)
    await market.finish(within_s=SLOW_S)
    await judged(market, gates=(gate,))


async def test_a_crowd_that_only_sells_never_gets_us_past_the_cap(market: Market) -> None:
    cap = Decimal(600)
    await market.quoting(max_position=cap, inventory_cap=cap, level_notional=Decimal(150))

    async def full() -> bool:
        await market.sell_to_us()
        orders = await market.open_orders()
        return bool(orders) and not any(one["side"].lower() in {"buy", "bid"} for one in orders)

    await market.until("no bid is left to hit", full, within_s=SLOW_S)
    await market.finish(within_s=SLOW_S)
    assert (await market.log()).positions()[-1] > 0
    await judged(market, max_position=cap)


async def _terminate(market: Market) -> None:
    assert market.handle is not None
    await market.handle.terminate("terminated by hand")
