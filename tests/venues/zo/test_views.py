"""What the account stream of 01.xyz is believed to say of positions, and what ends that belief."""

import itertools
from decimal import Decimal

import msgspec
import pytest

from desk.orders import AccountLost, AccountSnapshot
from desk.sources import Authority
from desk.units import Side
from tests.venues.conformance.stage import Stage, eventually, heard_position
from tests.venues.zo.harness import zo_harness
from tests.venues.zo.scripted import (
    ACCOUNT_ID,
    SYMBOL,
    account,
    resting,
    running,
    scripted_venue,
)
from venues.zo.heard import Heard
from venues.zo.payloads import WireAccount, WireAccountUpdate

_US, _THEM, _ORDER = ACCOUNT_ID, 99, "500"


def _reading(*held: tuple[int, str, bool], orders: tuple[object, ...] = ()) -> WireAccount:
    positions = [
        {"marketId": market_id, "openOrders": 0, "perp": {"baseSize": size, "isLong": long}}
        for market_id, size, long in held
    ]
    return msgspec.convert(account(positions=positions, orders=list(orders)), WireAccount)


def _update(number: int, **more: object) -> WireAccountUpdate:
    told = {"update_id": number, "last_update_id": number - 1, "account_id": _US, **more}
    return msgspec.convert(told, WireAccountUpdate)


def _fill(maker: int | None, taker: int | None, side: str | None) -> dict[str, object]:
    filled = {"quantity": "0.25", "remaining": "0.25", "market_id": 0, "side": side}
    return {"fills": {_ORDER: {**filled, "maker_id": maker, "taker_id": taker}}}


def _heard(side: str | None = "ask") -> Heard:
    """Long one, with an order resting on a side (None: not told)."""
    heard = Heard()
    orders = () if side is None else ({**resting(int(_ORDER)), "side": side},)
    heard.start(_reading((0, "1", True), orders=orders))
    return heard


@pytest.mark.parametrize("told", ["ask", "bid", None])
def test_a_makers_side_is_its_orders_whatever_the_fill_says(told: str | None) -> None:
    heard = _heard("ask")
    heard.take(_update(11, **_fill(_US, _THEM, told)))
    assert heard.held == {0: Decimal("0.75")}
    assert heard.update_id == 11


@pytest.mark.parametrize(("told", "after"), [("bid", "1.25"), ("ask", "0.75")])
def test_a_takers_side_is_the_fills(told: str, after: str) -> None:
    heard = _heard("ask")
    heard.take(_update(11, **_fill(_THEM, _US, told)))
    assert heard.held == {0: Decimal(after)}


def test_an_order_that_came_to_rest_later_is_known_by_its_place() -> None:
    heard = _heard(None)
    place = {"current_size": 1, "market_id": 0, "side": "ask"}
    heard.take(_update(11, places={_ORDER: place}))
    heard.take(_update(12, **_fill(_US, _THEM, "bid")))
    assert heard.held == {0: Decimal("0.75")}


def test_trading_with_ourselves_moves_nothing() -> None:
    heard = _heard("ask")
    heard.take(_update(11, **_fill(_US, _US, "bid")))
    assert heard.held == {0: Decimal(1)}


@pytest.mark.parametrize("word", [None, "sideways"])
def test_a_fill_nobody_gives_a_side_leaves_the_position_unknown(word: str | None) -> None:
    heard, said = _heard(None), []
    for number, fill in ((11, _fill(_US, _THEM, word)), (12, _fill(_THEM, _US, "bid"))):
        heard.take(_update(number, **fill))
        said.append(heard.held)
    heard.start(_reading())
    said.append(heard.held)
    assert said == [None, None, {}]


def test_a_lost_connection_forgets_what_was_heard_and_doubted() -> None:
    heard = _heard()
    heard.doubted = True
    heard.forget()
    assert (heard.held, heard.doubted) == (None, False)


async def test_a_stream_that_is_behind_the_reading_cannot_say() -> None:
    async with scripted_venue() as scripted, running(scripted) as venue:
        views = await eventually(venue.account.views, lambda seen: len(seen) == 2)
        assert [view.source.authority for view in views] == [Authority.ENGINE, Authority.STREAM]
        assert views[0].equity == Decimal("1000.25")
        positions = [{"marketId": 5, "perp": {"baseSize": 2, "isLong": False}}]
        path = f"/account/{ACCOUNT_ID}"
        scripted.say(path, account(updateId=11, positions=positions))
        (engine,) = await venue.account.views()
        assert engine.positions == {"5": -200_000_000}
        fill = {"quantity": 2, "market_id": 5, "side": "ask", "taker_id": _US, "maker_id": _THEM}
        update = {"update_id": 11, "last_update_id": 10, "account_id": _US, "fills": {"9": fill}}
        await scripted.feed(f"account@{ACCOUNT_ID}", {"account": update})
        views = await eventually(venue.account.views, lambda seen: len(seen) == 2)
        assert {tuple(view.positions.items()) for view in views} == {(("5", -200_000_000),)}


async def test_readings_that_count_otherwise_leave_the_stream_without_a_word() -> None:
    async with (
        scripted_venue() as scripted,
        running(scripted, streams={"compare_ids": False}) as venue,
    ):
        await scripted.until(lambda: len(scripted.seen[f"/account/{ACCOUNT_ID}"]) > 2)
        (engine,) = await venue.account.views()
        assert engine.source.authority is Authority.ENGINE


async def test_a_stream_that_goes_on_contradicting_is_started_anew() -> None:
    async with zo_harness() as harness:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY)
            await stage.hit(order, stage.unit)
            await ear.until(lambda said: heard_position(said) == stage.unit, "the position")
            harness.levers.hold(9 * stage.unit)
            engine, stream = await harness.venue.account.views()
            assert (engine.positions, stream.positions) == (
                {harness.instrument.symbol: 9 * stage.unit},
                {harness.instrument.symbol: stage.unit},
            )
            before = len(ear.events)
            # As if they had been apart since the machine started.
            harness.venue.account._views._quarrel._since_ns = 0  # type: ignore[attr-defined]
            await harness.venue.account.views()
            lost = await ear.hears(AccountLost, before)
            await ear.hears(AccountSnapshot, lost)
            views = await eventually(harness.venue.account.views, lambda seen: len(seen) == 2)
            assert {view.positions[SYMBOL] for view in views} == {9 * stage.unit}


@pytest.mark.parametrize("side", list(Side))
async def test_the_streams_sum_of_fills_is_the_engines_position(side: Side) -> None:
    async with zo_harness() as harness:
        stage = Stage(harness)
        await stage.still()
        async with stage.account():
            for turn, way in zip(range(4), itertools.cycle((side, side, side.opposite))):
                order = await stage.place_inside(way)
                await stage.hit(order, stage.unit * (turn + 1))
                await harness.venue.execution.cancel_all(harness.instrument)
            views = await eventually(harness.venue.account.views, lambda seen: len(seen) == 2)
            expected = {SYMBOL: harness.levers.lots()}
            assert [dict(view.positions) for view in views] == [expected, expected]
