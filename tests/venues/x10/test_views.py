"""What the account stream of X10 is believed to say, and what comes of a lasting contradiction."""

from decimal import Decimal

from desk.orders import AccountLost, AccountSnapshot
from desk.sources import Authority
from desk.units import Side
from tests.venues.conformance.stage import Stage, eventually, heard_position
from tests.venues.x10.harness import MARKET, x10_harness
from tests.venues.x10.scripted import ACCOUNT, SYMBOL, error, ok, running, scripted_x10
from venues.x10.views import Heard
from venues.x10.wire import WirePosition

_HELD = {"market": SYMBOL, "side": "LONG", "size": "0.5", "status": "OPENED"}


def _position(market: str, size: str = "1", status: str = "OPENED") -> WirePosition:
    return WirePosition(market=market, side="LONG", size=size, status=status)


def _markets(heard: Heard) -> set[str] | None:
    return None if heard.positions is None else set(heard.positions)


def test_without_a_snapshot_the_stream_cannot_say() -> None:
    heard = Heard()
    assert _markets(heard) is None
    heard.changed([_position("BTC-USD")])
    assert _markets(heard) is None
    heard.snapshot([], [])
    assert _markets(heard) == set()
    heard.changed([_position("BTC-USD")])
    assert _markets(heard) == {"BTC-USD"}
    heard.forget()
    assert _markets(heard) is None


def test_an_empty_snapshot_says_nothing_of_what_the_endpoint_shows() -> None:
    heard = Heard()
    heard.snapshot([], ["BTC-USD", "ETH-USD"])
    assert _markets(heard) is None
    heard.changed([_position("BTC-USD")])
    assert _markets(heard) is None
    heard.changed([_position("ETH-USD", status="CLOSED")])
    assert _markets(heard) == {"BTC-USD", "ETH-USD"}
    heard.snapshot([_position("BTC-USD")], ["BTC-USD", "ETH-USD"])
    assert _markets(heard) == {"BTC-USD"}


async def test_the_streams_word_stays_its_own_when_the_endpoint_says_otherwise() -> None:
    async with scripted_x10() as scripted:
        scripted.say("GET /user/positions", ok([_HELD]))
        scripted.say("GET /user/balance", ok({"equity": "12.5", "availableForTrade": "10"}))
        async with running(scripted) as venue:
            (endpoint,) = await venue.account.views()
            assert endpoint.source.authority is Authority.ENDPOINT
            assert endpoint.equity == Decimal("12.5")
            assert endpoint.positions == {SYMBOL: 50_000}
            snapshot = {"isSnapshot": True, "positions": [{**_HELD, "size": "0.4"}]}
            stranger = {**_HELD, "market": "NEW-USD", "side": "SHORT"}
            await scripted.feed(ACCOUNT, {"type": "POSITION", "data": snapshot, "ts": 1, "seq": 1})
            views = await eventually(venue.account.views, lambda seen: len(seen) == 2)
            assert views[1].positions == {SYMBOL: 40_000}
            change = {"isSnapshot": False, "positions": [stranger]}
            await scripted.feed(ACCOUNT, {"type": "POSITION", "data": change, "ts": 2, "seq": 2})
            views = await eventually(
                venue.account.views, lambda seen: "NEW-USD" in seen[1].positions
            )
            assert views[1].positions == {SYMBOL: 40_000, "NEW-USD": -50_000_000}
            assert views[0].positions == {SYMBOL: 50_000}


async def test_an_account_without_money_has_no_equity() -> None:
    async with scripted_x10() as scripted:
        scripted.say("GET /user/balance", error(404, 404))
        async with running(scripted, hold=False) as venue:
            (endpoint,) = await venue.account.views()
            assert (endpoint.equity, endpoint.positions) == (Decimal(0), {})


async def test_a_stream_that_goes_on_contradicting_is_started_anew() -> None:
    async with x10_harness() as harness:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY)
            await stage.hit(order, stage.unit)
            await ear.until(lambda said: heard_position(said) == stage.unit, "the position")
            harness.levers.hold(9 * stage.unit)
            endpoint, stream = await harness.venue.account.views()
            assert endpoint.positions != stream.positions
            before = len(ear.events)
            # As if they had been apart since the machine started.
            harness.venue.account._views._quarrel._since_ns = 0  # type: ignore[attr-defined]
            await harness.venue.account.views()
            lost = await ear.hears(AccountLost, before)
            await ear.hears(AccountSnapshot, lost)
            await ear.until(lambda said: heard_position(said) == 9 * stage.unit, "the truth")
            views = await eventually(harness.venue.account.views, lambda seen: len(seen) == 2)
            assert {view.positions[MARKET.symbol] for view in views} == {9 * stage.unit}
