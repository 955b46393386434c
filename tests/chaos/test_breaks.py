"""Books that differ stop their market alone, for as long as it takes, until somebody decides."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from activities.breaks import settle_break
from desk.breaks import Break, BreakDecision, BreakKind
from desk.identity import MarketId
from desk.records import KillEffect
from flotilla.simulated import ocx
from tests.chaos.ground import Market, kill
from tests.chaos.test_fleet_kill import flotilla
from workflows import names
from workflows.breaks import BreakWorkflow

_PATIENCE_S = 90.0
_NEIGHBOUR = ocx.symbols(1, None)[0]


@pytest.fixture
async def neighbour(market: Market) -> AsyncIterator[Market]:
    """Another market of the same account, quoted by the same worker."""
    beside = replace(
        market,
        id=MarketId(market.id.venue, market.id.account, _NEIGHBOUR),
        workers=[],
        handle=None,
    )
    await market.venue.post("quiet", {"marketId": _NEIGHBOUR, "on": False})
    yield beside
    if beside.handle is not None:
        await beside.handle.terminate("the test is over")
    await market.venue.post("quiet", {"marketId": _NEIGHBOUR, "on": True})


@pytest.fixture
async def differing(market: Market) -> AsyncIterator[Market]:
    """A market whose breaks are settled afterwards, for other tests share the record."""
    yield market
    async with market.control() as ports:
        for one in await ports.breaks.standing(market.id.venue, market.id.account):
            await settle_break(ports, one, BreakDecision.RECHECK, "test", "the test is over")


async def open_breaks(market: Market) -> list[Break]:
    """Breaks of its position that wait for a decision."""
    async with market.control() as ports:
        found = await ports.breaks.standing(market.id.venue, market.id.account)
    wanted = (market.id.symbol, BreakKind.POSITION)
    return [one for one in found if (one.found.symbol, one.found.kind) == wanted]


async def is_held(market: Market) -> bool:
    """Whether a hold covers the market, by the board that sessions read."""
    async with market.control() as ports:
        kills = await ports.board.kills(market.id)
    return any(one.effect is KillEffect.HOLD for one in kills)


async def is_paused(market: Market) -> bool:
    status = await market.status()
    return status.state.value == "paused" and bool(status.waits_for_a_person)


@pytest.mark.timeout(600)
async def test_a_position_changed_behind_our_back_stops_that_market_alone_until_it_is_settled(
    differing: Market, neighbour: Market
) -> None:
    market = differing
    worker = await market.quoting()
    await neighbour.start()
    await neighbour.until("the neighbour quotes", neighbour.has_quotes, within_s=_PATIENCE_S)

    held = await _altered(market)
    await market.until("the difference is found", lambda: open_breaks(market), within_s=_PATIENCE_S)
    await market.until("the market waits", lambda: is_paused(market), within_s=_PATIENCE_S)
    assert await market.has_none()
    (known,) = await open_breaks(market)
    assert await is_held(market)
    await neighbour.until("the neighbour quotes", neighbour.has_quotes)

    await kill(worker)
    await asyncio.to_thread(market.services.kill, "temporal")
    await market.worker()
    page = market.client.get_workflow_handle_for(
        BreakWorkflow.run, names.break_workflow_id("chaos", known.number)
    )

    async def answers() -> bool:
        return (await page.query(BreakWorkflow.status)).text == known.found.text

    await market.until("its workflow shows it", answers, within_s=_PATIENCE_S)
    assert await is_paused(market)
    assert await market.has_none()
    assert [one.number for one in await open_breaks(market)] == [known.number]
    await neighbour.until("the neighbour quotes again", neighbour.has_quotes, within_s=_PATIENCE_S)

    number = str(known.number)
    by = ("--by", "ana", "--reason", "the venue moved it")
    done = await flotilla(
        market, "breaks", "settle", number, "--take", "venue", *by, "--wait", "--json"
    )
    assert done.code == 0, done.talk
    assert (done.said["settled_by"], done.said["decision"]) == ("ana", "venue")
    await market.until("it quotes by itself", market.has_quotes, within_s=_PATIENCE_S)
    assert not await is_held(market)
    assert not await open_breaks(market)
    assert Decimal(json.loads(known.found.theirs)["position"]) == held
    # Its end is judged fill by fill: the position agrees, and no fill was invented.
    await market.finish(within_s=_PATIENCE_S)


async def _altered(market: Market) -> Decimal:
    """Change the venue's position while the market rests; base units held then."""
    async with market.control() as ports:
        venue = await ports.venues.venue(market.id.venue, market.id.account)
        listed = {one.symbol: one for one in await venue.instruments()}
    instrument = listed[market.id.symbol]
    lots = 7 + (market.venue.seed % 5)
    quantity = instrument.quantity(lots)
    await market.venue.post(
        "position",
        {"account": "main", "marketId": market.id.symbol, "quantity": str(quantity)},
    )
    await market.pause_and_resume()
    return quantity
