"""A break of every kind, scripted at the venue while a fleet quotes: found, kept, shown, settled.

The rule: the venue's own log says who was stopped; only the market or account concerned may be.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from desk.breaks import Break, BreakDecision, BreakKind, FoundBreak
from desk.payments import PaymentKind
from desk.records import KillEffect
from flotilla.control import open_control
from tests.chaos.break_ground import QUICK, SLOW_S, Fleet, now_ms, open_fleet
from tests.chaos.break_levers import GoingOn, calm, ghost, orphan, pull
from tests.chaos.ground import Market, kill
from tests.chaos.invariants import GateClosed, taken_after_the_gate
from tests.chaos.outages import empty_redis, unreachable
from tests.chaos.test_fleet_kill import flotilla
from tests.support.services import Services
from workflows import names
from workflows.breaks import BreakWorkflow
from workflows.market import MarketWorkflow
from workflows.messages import Request

pytestmark = pytest.mark.timeout(900)

_BOOKS_EVERY_S = 1.0
_LEAVING_NS = 3_000_000_000
"""A session hears of a hold from the board; on a busy machine that takes a while."""


@pytest.fixture
async def fleet(
    ground: Services, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Fleet]:
    seed = int(request.config.getoption("randomly_seed", default=1))
    async with open_fleet(ground, tmp_path, seed=seed) as opened:
        yield opened


# --- what is seen -----------------------------------------------------------------------------


async def shown(fleet: Fleet, known: Break, *, settled: bool = False) -> Mapping[str, Any]:
    """What `flotilla breaks list` says of it."""
    options = ("--all",) if settled else ()
    done = await flotilla(fleet.all[0], "breaks", "list", *options, "--json")
    assert done.code == 0, done.talk
    (mine,) = [one for one in done.said if one["number"] == known.number]
    assert (mine["kind"], mine["scope"]) == (known.found.kind.value, known.found.scope)
    assert mine["ours"]
    assert mine["theirs"]
    return dict(mine)


async def seen_in_temporal(fleet: Fleet, known: Break) -> None:
    """Its workflow has a page, answers, and is listed by its search attributes."""
    handle = fleet.client.get_workflow_handle_for(
        BreakWorkflow.run, names.break_workflow_id("chaos", known.number)
    )

    async def answers() -> bool:
        status = await handle.query(BreakWorkflow.status)
        return (status.text, status.open) == (known.found.text, True)

    await fleet.all[0].until("its workflow shows it", answers, within_s=SLOW_S)
    page = await handle.query("__temporal_workflow_metadata")
    assert known.found.text in page.current_details, page
    wanted = f"MarketState = 'break_{known.found.kind.value}' AND FleetId = 'chaos'"

    async def listed() -> bool:
        found = fleet.client.list_workflows(f"{wanted} AND Halted = true")
        return handle.id in [one.id async for one in found]

    await fleet.all[0].until("it is listed by its attributes", listed, within_s=SLOW_S)


async def settled_by(fleet: Fleet, known: Break) -> Break:
    """Wait until the break is settled; as it then stands."""
    found: list[Break] = []

    async def over() -> bool:
        async with open_control(fleet.settings) as ports:
            one = await ports.breaks.get(known.number)
        found[:] = [one] if one is not None and not one.open else []
        return bool(found)

    await fleet.all[0].until(f"break {known.number} is settled", over, within_s=SLOW_S)
    return found[0]


async def by_rule(fleet: Fleet, kind: BreakKind, market: Market, since_ms: int) -> Break:
    """A break that a written rule settled as it was found, both sides on record."""
    known = await settled_by(fleet, await fleet.found(kind, market, since_ms))
    assert (known.decision, known.settled_by) == (BreakDecision.RULE, f"rule {kind.value}")
    compared = "account" if kind is BreakKind.MISSED_FILL else "orders"
    telling, first = await fleet.evidence(known, compared, since_ms)
    assert telling == first, "found by the first comparison that could"
    assert (telling.ours, telling.theirs) != ("{}", "{}")
    assert not (await shown(fleet, known, settled=True))["open"]
    return known


async def hold_of(fleet: Fleet, known: Break) -> int:
    """Since when a durable hold keeps the gate closed, unix ms."""
    async with open_control(fleet.settings) as ports:
        kills = await ports.ledger.active_kills()
    (held,) = [one for one in kills if one.scope == known.found.scope]
    assert held.effect is KillEffect.HOLD
    return held.at_ms


async def held(fleet: Fleet, known: Break, *markets: Market) -> int:
    """The break keeps these markets from quoting, and is there for all to see; since when."""
    at_ms = await hold_of(fleet, known)
    for market in markets:
        await market.until(f"{market.id.path} is paused", partial(paused, market))
        assert await market.has_none()
    assert (await shown(fleet, known))["open"]
    await seen_in_temporal(fleet, known)
    return at_ms


async def paused(market: Market) -> bool:
    return (await market.status()).state.value == "paused"


async def unheld(market: Market) -> bool:
    """Paused, and nobody holds its lease: a session that leaves would cancel what is put there."""
    async with market.control() as ports:
        held = await ports.holders.holders([market.id])
    return await paused(market) and not held and await market.has_none()


async def settle(fleet: Fleet, known: Break, take: str) -> int:
    """Decide by name and wait; unix ms right before."""
    at_ms, by = now_ms(), ("--by", "ana", "--reason", "looked at the venue's page")
    number = str(known.number)
    done = await flotilla(
        fleet.all[0], "breaks", "settle", number, "--take", take, *by, "--wait", "--json"
    )
    assert done.code == 0, done.talk
    assert (done.said["settled_by"], done.said["decision"]) == ("ana", take)
    return at_ms


async def closed_between(since_ms: int, until_ms: int, *markets: Market) -> None:
    """By the venue's log nothing was taken from these while their gate was closed."""
    gate = GateClosed(at_ms=since_ms, until_ms=until_ms, in_flight_ns=_LEAVING_NS)
    for market in markets:
        assert taken_after_the_gate(await market.log(), gate) == []


async def quotes_again(*markets: Market) -> None:
    for market in markets:
        await market.until(f"{market.id.path} quotes by itself", market.has_quotes, within_s=SLOW_S)


async def in_step(fleet: Fleet) -> None:
    """Every market stands down, and its books are the venue's."""
    assert await fleet.standing() == []
    await asyncio.gather(*(one.finish(within_s=SLOW_S) for one in fleet.all))


# --- what rules settle ------------------------------------------------------------------------


async def test_ghosts_orphans_and_missed_fills_are_put_right_by_rule_and_nobody_is_stopped(
    fleet: Fleet,
) -> None:
    """With the periods as they come. Nobody quotes at one market, so its session puts nothing
    right; what the session of a quoting market cannot see is a ghost of our books."""
    await fleet.quoting()
    unquoted = fleet.markets["ocx"][1]
    assert unquoted.handle is not None
    await unquoted.handle.signal(MarketWorkflow.pause, Request(by="test"))
    await unquoted.until("its session is over", partial(unheld, unquoted))
    going = await GoingOn.of(*fleet.but(unquoted))

    ghosts = {market.id.path: await ghost(market, 1) for market in fleet.but(unquoted)}
    stray_ms = await orphan(unquoted, 2)
    traded_ms = await orphan(unquoted, 3, taking=True)
    for market in fleet.but(unquoted):
        await by_rule(fleet, BreakKind.GHOST, market, ghosts[market.id.path])
    await by_rule(fleet, BreakKind.ORPHAN, unquoted, stray_ms)
    assert await unquoted.has_none()
    known = await by_rule(fleet, BreakKind.MISSED_FILL, unquoted, traded_ms)
    assert len(json.loads(known.found.theirs)["fills"]) >= 1
    await going.check()
    await unquoted.handle.signal(MarketWorkflow.resume, Request(by="test"))
    await quotes_again(unquoted)
    await in_step(fleet)


async def test_a_fill_that_no_stream_told_is_booked_and_its_market_quotes_on_by_itself(
    fleet: Fleet,
) -> None:
    """By its session, which reads the history, or by a comparison: whoever looks first.

    At 01.xyz the stream is a source of positions. A comparison that meets it before the session
    does holds the account until the stream was started anew.
    """
    await fleet.quoting(**QUICK)
    (struck, beside), (x10,), (zo,) = (fleet.markets[one] for one in ("ocx", "x10", "zo"))
    going = await GoingOn.of(beside)
    for market in (struck, x10, zo):
        fault = {"kind": "fill_untold", "market": market.id.symbol, "account": "main"}
        await market.venue.post("faults", [fault])
    for market in (struck, x10, zo):
        await market.hold_a_position()
    await quotes_again(struck, x10, zo)
    for market in (struck, x10, zo):
        (fault,) = await market.venue.get("faults")
        assert fault["struck"] == 1
        await market.until("the books agree", partial(agrees, market), within_s=SLOW_S)
    await going.check()
    for known in await fleet.breaks(BreakKind.SOURCES, "zo"):
        assert (await settled_by(fleet, known)).settled_by == "rule sources agree"
    await in_step(fleet)


async def agrees(market: Market) -> bool:
    """Every fill is booked; estimated fees follow later, and `in_step` compares them.

    A fresh look costs a venue's requests, which sessions and comparisons need as well.
    """
    await asyncio.sleep(_BOOKS_EVERY_S)
    books = await market.books()
    print(f"{market.id.path}: {books.difference or 'agrees'}")  # noqa: T201 - shown on failure
    ours, theirs = books.ledger_position, books.venue_position
    return (books.ledger_fills, ours) == (books.venue_fills, theirs)


# --- what a person settles --------------------------------------------------------------------


async def test_money_that_is_told_is_booked_once_and_no_break(fleet: Fleet) -> None:
    await fleet.quoting(**QUICK)
    payers = [fleet.markets[name][0] for name in ("x10", "zo")]
    for market in payers:
        await market.hold_a_position()
    going = await GoingOn.of(*fleet.all)
    for market in payers:
        await pull(market, "deposit", account="main", amount="5000")
        await pull(market, "funding", marketId=market.id.symbol, rate="0.05")
    since_ms = now_ms()
    for market in payers:
        await market.until(
            "two more comparisons judged the money",
            partial(judged_twice, fleet, market, since_ms),
            within_s=SLOW_S,
        )
        async with market.control() as ports:
            venue = await ports.venues.venue(market.id.venue, market.id.account)
            told = await venue.account.payments(0)
            assert {one.kind for one in told} == set(PaymentKind)
            assert await ports.payments.book(told) == 0, "each was booked, and once"
        ours = json.loads((await fleet.runs(market.id.venue, "account"))[-1].ours)
        assert Decimal(ours["transfers"]) == 5_000
    assert await fleet.standing() == []
    await going.check()
    await in_step(fleet)


async def judged_twice(fleet: Fleet, market: Market, since_ms: int) -> bool:
    runs = await fleet.runs(market.id.venue, "account")
    sides = [json.loads(one.ours) for one in runs if one.began_ms > since_ms]
    return sum("allowed" in one for one in sides) >= 2


async def test_positions_and_money_changed_behind_our_back_wait_for_a_decision(
    fleet: Fleet,
) -> None:
    await fleet.quoting(**QUICK)
    (moved, beside), (x10,), (robbed,) = (fleet.markets[one] for one in ("ocx", "x10", "zo"))
    going = await GoingOn.of(beside, x10)
    # What a position makes before it is in our books is a difference of money, and a break too.
    await pull(moved, "quiet", marketId=moved.id.symbol, on=True)
    moved_ms = await pull(
        moved, "position", account="main", marketId=moved.id.symbol, quantity="0.5", told=True
    )
    robbed_ms = await pull(robbed, "balance", account="main", amount="-700")
    position = await fleet.found(BreakKind.POSITION, moved, moved_ms)
    balance = await fleet.found(BreakKind.BALANCE, robbed, robbed_ms)
    for known, since_ms in ((position, moved_ms), (balance, robbed_ms)):
        telling, first = await fleet.evidence(known, "account", since_ms)
        assert telling == first, "found by the first comparison that could"
    moved_at = await held(fleet, position, moved)
    robbed_at = await held(fleet, balance, robbed)
    await going.check(now_ms())

    await closed_between(moved_at, await settle(fleet, position, "venue"), moved)
    await pull(moved, "quiet", marketId=moved.id.symbol, on=False)
    await quotes_again(moved)
    assert await paused(robbed), "another break keeps it"
    await closed_between(robbed_at, await settle(fleet, balance, "venue"), robbed)
    await quotes_again(robbed)
    again_ms = now_ms()
    for market in (moved, robbed):
        await market.until(
            "two comparisons found nothing",
            partial(judged_twice, fleet, market, again_ms),
            within_s=SLOW_S,
        )
    await in_step(fleet)


async def test_sources_that_differ_hold_their_account_until_they_agree(fleet: Fleet) -> None:
    """An endpoint is wrong for a while; the stream that contradicts it is started anew in vain."""
    await fleet.quoting(**QUICK)
    (wrong,) = fleet.markets["x10"]
    going = await GoingOn.of(*fleet.but(wrong))
    since_ms, symbol = now_ms(), wrong.id.symbol
    fault = {"kind": "endpoint_differs", "market": symbol, "account": "main", "lots": 9_000}
    await wrong.venue.post("faults", [fault])
    quarrel = await fleet.found(BreakKind.SOURCES, wrong, since_ms)
    telling, first = await fleet.evidence(quarrel, "account", since_ms)
    assert telling == first, "found by the first comparison that could"
    at_ms = await held(fleet, quarrel, wrong)
    await going.check(now_ms())
    await calm(wrong)
    assert (await settled_by(fleet, quarrel)).settled_by == "rule sources agree"
    # The endpoint's word counted while it was said: what it made of our books is settled by name.
    position = await fleet.found(BreakKind.POSITION, wrong, since_ms)
    assert await paused(wrong)
    await closed_between(at_ms, await settle(fleet, position, "recheck"), wrong)
    await quotes_again(wrong)
    await in_step(fleet)


# --- the worst gap ----------------------------------------------------------------------------


def scripted(fleet: Fleet, market: Market) -> FoundBreak:
    """Money that is missing, as a comparison would tell it."""
    return FoundBreak(
        venue=market.id.venue,
        account=fleet.account,
        symbol=None,
        kind=BreakKind.BALANCE,
        text="the venue's equity is 700 below what our books expect",
        ours='{"equity":"1000000"}',
        theirs='{"equity":"999300"}',
        found_by="reconciliation scripted",
        found_at_ms=now_ms(),
    )


async def test_a_break_recorded_as_everything_dies_is_closed_before_anything_is_sent(
    fleet: Fleet,
) -> None:
    """The finder dies between the record and the hold; Temporal is away, the board is emptied."""
    worker = await fleet.quoting(**QUICK)
    (market,) = fleet.markets["zo"]
    going = await GoingOn.of(*fleet.but(market))
    async with unreachable(market, "temporal"):
        await kill(worker)
        async with open_control(fleet.settings) as ports:
            known = await ports.breaks.open(scripted(fleet, market))
        recorded_ms = now_ms()
        await market.until("nobody's orders rest", market.has_none, within_s=SLOW_S)
        await empty_redis(market)
    await fleet.worker(**QUICK)
    await going.check(now_ms())
    at_ms = await held(fleet, known, market)
    print(f"held {at_ms - recorded_ms} ms after it was recorded")  # noqa: T201
    until_ms = await settle(fleet, known, "recheck")
    await closed_between(recorded_ms, until_ms, market)
    await quotes_again(market)
    await in_step(fleet)
