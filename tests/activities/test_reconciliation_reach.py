"""More history than can be asked for: of too many markets, or further back than a venue lists."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from desk.breaks import BreakKind
from desk.errors import OutOfReach, Unresolved
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import Batch, Fill, NewOrder, TimeInForce
from desk.units import Side
from quoting.agreement import agree
from quoting.opening import open_books
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.sending import send
from tests.activities.test_reconciliation import (
    ACCOUNT,
    HOLD,
    booked,
    books,
    breaks,
    holds,
    now_ms,
    our_id,
    quoted,
    reconcile,
)
from tests.activities.test_reconciliation_money import With, with_venue
from tests.support.approve import approve
from venues.ocx.simulator.settings import SimMarket
from venues.simulation.hand import CROWD

HOUR_MS = 3_600_000
MANY = tuple(f"M{number}-PERP" for number in range(6))


def market_of(symbol: str) -> SimMarket:
    return SimMarket(
        symbol=symbol, price=Decimal(3_000), tick=Decimal("0.01"), lot=Decimal("0.001")
    )


async def unbooked(desk: Desk, symbols: Sequence[str]) -> Any:
    """Each market was quoted and bought something that no book has."""
    venue = await desk.ports.venues.venue("ocx", "main")
    for instrument in await venue.instruments():
        if instrument.symbol not in symbols:
            continue
        market = MarketId("ocx", "main", instrument.symbol)
        await desk.ports.ledger.open_epoch(market, "worker-0/1", "run")
        await desk.ports.ledger.remember_instrument(instrument)
        await _buy(desk, venue, instrument, market)
    async with asyncio.timeout(60):
        # A source that lags would have the first comparison read deep.
        while len({tuple(sorted(one.positions)) for one in await venue.account.views()}) != 1:
            await asyncio.sleep(0.2)
    return venue


async def _buy(desk: Desk, venue: Any, instrument: Instrument, market: MarketId) -> None:
    bids, asks = desk.venue.engine.book(market.symbol, 1)
    slot = Slot(Side.BUY, 0)
    order = NewOrder(
        client_order_id=OrderIdentity(tag=market.tag, epoch=1, cycle=1, slot=slot).encode(),
        slot=slot,
        side=Side.BUY,
        price=asks[0][0] * 101 // 100,
        lots=50,
        time_in_force=TimeInForce.IOC,
        post_only=False,
    )
    batch = Batch(batch_id=order.client_order_id, symbol=market.symbol, orders=(order,))
    approved = approve(batch, instrument, mid_x2=bids[0][0] + asks[0][0])
    async with asyncio.timeout(30):
        while (outcome := await venue.execution.send(approved, instrument)).retry_after_s:
            await asyncio.sleep(outcome.retry_after_s)


async def reaching(desk: Desk, since_ms: int) -> tuple[Desk, Any]:
    """The same desk, whose venue lists fills since then and no older ones; and that venue."""

    def change(venue: Any) -> Any:
        async def fills(instrument: Instrument, asked_ms: int) -> Sequence[Fill]:
            if asked_ms < since_ms:
                raise OutOfReach("the venue's history ends before the time asked for", since_ms)
            found: Sequence[Fill] = await venue.account.fills(instrument, asked_ms)
            return found

        return With(venue, account=With(venue.account, fills=fills))

    changed = await with_venue(desk, change)
    return changed, await changed.ports.venues.venue("ocx", "main")


# --- too many markets --------------------------------------------------------------------------


async def test_markets_that_had_no_turn_are_booked_later_and_are_no_breaks(
    open_desk: OpenDesk,
) -> None:
    async with open_desk(markets=tuple(market_of(one) for one in MANY)) as desk:
        await unbooked(desk, MANY)
        for _ in range(len(MANY)):
            report = await reconcile(desk, ACCOUNT, most_fills=1)
            assert report.standing == ()
        assert set((await books(desk)).positions.values()) == {Decimal("0.050")}
        assert report.expected is not None, "money is judged again"


async def test_markets_that_stay_apart_do_not_keep_others_from_their_turn(
    open_desk: OpenDesk,
) -> None:
    async with open_desk(markets=tuple(market_of(one) for one in MANY)) as desk:
        await unbooked(desk, MANY)
        for _ in MANY:
            await reconcile(desk, ACCOUNT, most_fills=1)
        for symbol in MANY[:4]:
            desk.venue.engine.tampering.set_position("main", symbol, 90, against=CROWD, told=True)
        for _ in MANY[:4]:
            await reconcile(desk, ACCOUNT, most_fills=1)
        assert {one.found.symbol for one in await breaks(desk) if one.open} == set(MANY[:4])


async def test_runs_that_are_skipped_starve_no_market(open_desk: OpenDesk) -> None:
    async with open_desk(markets=tuple(market_of(one) for one in MANY[:4])) as plain:
        venue = await unbooked(plain, MANY[:4])
        for instrument in await venue.instruments():
            market = MarketId("ocx", "main", instrument.symbol)
            await plain.ports.ledger.book_fills(market, await venue.account.fills(instrument, 0))
        asked: list[str] = []

        def change(known: Any) -> Any:
            async def fills(instrument: Instrument, since_ms: int) -> Sequence[Fill]:
                asked.append(instrument.symbol)
                found: Sequence[Fill] = await known.account.fills(instrument, since_ms)
                return found

            return With(known, account=With(known.account, fills=fills))

        desk = await with_venue(plain, change)
        began_ms = now_ms(desk)
        for number in range(4):
            await reconcile(desk, ACCOUNT, most_fills=1, began_ms=began_ms + number * 120_000)
        assert sorted(asked) == sorted(MANY[:4])


# --- too far back ------------------------------------------------------------------------------


async def test_a_difference_behind_a_history_that_is_too_long_is_a_break_at_once(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        await send(plain, our_id(9), lots=50, taking=True)
        await booked(plain, our_id(9))
        await reconcile(plain, ACCOUNT)
        desk, _ = await reaching(plain, now_ms(plain) - HOUR_MS)
        desk.venue.engine.tampering.set_position(
            "main", MARKET.symbol, 700, against=CROWD, told=True
        )
        await reconcile(desk, ACCOUNT)
        (known,) = [one for one in await breaks(desk) if one.open]
        assert (known.found.kind, known.found.symbol) == (BreakKind.POSITION, MARKET.symbol)
        assert await holds(desk) == {HOLD}


async def test_fills_that_cannot_be_read_are_a_break_only_where_the_difference_lasts(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        await reconcile(plain, ACCOUNT)

        def change(venue: Any) -> Any:
            async def fills(_instrument: Instrument, _since_ms: int) -> Sequence[Fill]:
                raise Unresolved("own trades: unreadable answer")

            return With(venue, account=With(venue.account, fills=fills))

        desk = await with_venue(plain, change)
        desk.venue.engine.tampering.set_position(
            "main", MARKET.symbol, 70, against=CROWD, told=True
        )
        reports = [await reconcile(desk, ACCOUNT) for _ in range(3)]
        assert [len(one.standing) for one in reports] == [0, 0, 1]
        assert all("unreadable answer" in one.trouble for one in reports)
        assert all(one.expected is None for one in reports), "money is not judged"


async def test_the_last_look_compares_as_far_back_as_the_venue_lists(open_desk: OpenDesk) -> None:
    async with open_desk() as plain:
        instrument = await quoted(plain)
        await send(plain, our_id(9), lots=50, taking=True)
        real = await plain.ports.venues.venue("ocx", "main")
        (fill,) = await real.account.fills(instrument, 0)
        old = replace(fill, trade_id="old", traded_at_ms=fill.traded_at_ms - 2 * HOUR_MS)
        undone = replace(old, trade_id="undone", side=Side.SELL)
        await plain.ports.ledger.book_fills(MARKET, [old, undone])
        _, venue = await reaching(plain, now_ms(plain) - HOUR_MS)
        ledger = plain.ports.ledger
        report = await agree(MARKET, instrument, venue, ledger, life_epoch=1, beat=lambda: None)
        assert report.ledger_equals_venue, report.difference
        assert (report.venue_fills, report.ledger_fills) == (1, 1)


async def test_a_first_opening_over_a_history_that_is_too_long_compares_positions(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        instrument = await quoted(plain)
        await send(plain, our_id(9), lots=50, taking=True)
        since_ms = now_ms(plain) - HOUR_MS
        desk, venue = await reaching(plain, since_ms)
        ledger, clock = desk.ports.ledger, desk.ports.clock
        opening = await open_books(MARKET, instrument, venue, ledger, clock, life_epoch=1)
        assert (opening.difference, opening.backfilled) == ("", 1)
        assert opening.known_since_ms == since_ms
