"""Books that are late, wrong or not priced: what lives is left alone, nothing is booked twice."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from inspect import signature
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.break_adjustment import adjustment_of
from activities.breaks_messages import SettleBreakInput
from activities.messages import SessionInput
from activities.reconciliation_messages import ReconcileInput
from desk.book_ports import Adjustment
from desk.breaks import BreakDecision, BreakKind
from desk.errors import NotSent
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.orders import Fill, Liquidity
from desk.records import FillSeen, OrderEnded
from desk.units import Side
from quoting.opening import open_books
from tests.activities.break_desk import dying_at, found
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.sending import send
from tests.activities.test_guardian import running
from tests.activities.test_reconciliation import (
    ACCOUNT,
    ORDERS,
    booked,
    books,
    breaks,
    held,
    now_ms,
    our_id,
    quoted,
    reconcile,
    resting,
)
from venues.simulation.hand import CROWD

OTHER = MarketId("ocx", "main", "ETH-PERP")
HOUR_MS = 3_600_000


class Instead:
    """Something with a few of its attributes put in place."""

    def __init__(self, inner: Any, **given: Any) -> None:
        self._inner = inner
        self._given = given

    def __getattr__(self, name: str) -> Any:
        return self._given[name] if name in self._given else getattr(self._inner, name)


async def earlier(desk: Desk, first: str, by_ms: int) -> tuple[Desk, Any]:
    """The same venue, whose history has one fill made so much earlier."""
    venue = await desk.ports.venues.venue("ocx", "main")

    async def fills(instrument: Instrument, since_ms: int) -> Sequence[Fill]:
        told = [
            replace(fill, traded_at_ms=fill.traded_at_ms - by_ms)
            if fill.trade_id == first
            else fill
            for fill in await venue.account.fills(instrument, 0)
        ]
        return [fill for fill in told if fill.traded_at_ms >= since_ms]

    changed: Any = Instead(venue, account=Instead(venue.account, fills=fills))

    async def get(_venue: str, _account: str) -> Any:
        return changed

    ports = replace(desk.ports, venues=Instead(desk.ports.venues, venue=get))
    return replace(desk, ports=ports), changed


def test_records_may_be_as_late_as_a_session_is_allowed_to_be() -> None:
    asked, session = signature(ReconcileInput).parameters, signature(SessionInput).parameters
    assert asked["lag_ms"].default >= session["max_ledger_behind_s"].default * 1_000


# --- orders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", [False, True])
async def test_an_order_of_a_living_session_is_told_and_left_whatever_the_books_say(
    open_desk: OpenDesk, *, ended: bool
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(1))
        if ended:
            await booked(desk, our_id(1))
            desk.ports.writer.record(
                OrderEnded(
                    market=MARKET,
                    client_order_id=our_id(1),
                    how="filled",
                    ended_at_ms=now_ms(desk),
                )
            )
            assert await desk.ports.writer.flush(30)
        assert await desk.ports.lease.acquire(MARKET, 1, "worker-0/1", 60_000)
        report = await reconcile(desk, ORDERS)
        assert resting(desk) == {our_id(1)}
        assert report.found == 1
        assert "left to their session" in report.differences[0]
        assert not await breaks(desk)
        assert await desk.ports.lease.release(MARKET, 1, "worker-0/1")
        await reconcile(desk, ORDERS)
        assert resting(desk) == set(), "its session is over"


async def test_nothing_is_cancelled_while_nobody_can_say_which_session_lives(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(1, epoch=1))
        assert await desk.ports.lease.acquire(MARKET, 2, "worker-0/1", 60_000)
        blind = replace(desk, ports=dying_at(desk.ports, "lease", "fence", after=False))
        await reconcile(blind, ORDERS)
        assert resting(desk) == {our_id(1, epoch=1)}
        await reconcile(blind, ORDERS)
        assert resting(desk) == set()


async def test_orders_of_an_account_that_is_being_drilled_are_the_drill_s(
    open_desk: OpenDesk,
) -> None:
    drill = "drill/ocx/main"
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(1))
        async with running(desk.client, drill):
            report = await reconcile(desk, ORDERS, drill=drill)
        assert resting(desk) == {our_id(1)}
        assert "left to it" in report.trouble
        await reconcile(desk, ORDERS, drill=drill)
        assert resting(desk) == set()


async def test_an_order_that_does_not_go_is_a_break_until_it_has_gone(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(1))
        await booked(desk, our_id(1))
        venue: Any = await desk.ports.venues.venue("ocx", "main")

        async def cancel(_instrument: Instrument, _client_order_id: str) -> None:
            raise NotSent("cancel: no connection")

        async def get(_venue: str, _account: str) -> Any:
            return Instead(venue, execution=Instead(venue.execution, cancel=cancel))

        deaf: Any = Instead(desk.ports.venues, venue=get)
        report = await reconcile(replace(desk, ports=replace(desk.ports, venues=deaf)), ORDERS)
        (number,) = report.standing
        assert "was not cancelled" in report.trouble
        assert [one.client_order_id for one in (await books(desk)).orders] == [our_id(1)]
        assert [one.number for one in await breaks(desk) if one.open] == [number]
        assert (await reconcile(desk, ORDERS)).standing == ()
        assert resting(desk) == set()


async def test_an_order_that_the_venue_still_knows_is_not_freed(open_desk: OpenDesk) -> None:
    """Its list may lack for a while what rests."""
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(1))
        await booked(desk, our_id(1))
        assert await desk.ports.lease.acquire(MARKET, 1, "worker-0/1", 60_000)
        venue: Any = await desk.ports.venues.venue("ocx", "main")

        async def open_orders(_instrument: Instrument | None) -> Sequence[Any]:
            return ()

        async def get(_venue: str, _account: str) -> Any:
            return Instead(venue, account=Instead(venue.account, open_orders=open_orders))

        short: Any = Instead(desk.ports.venues, venue=get)
        await reconcile(replace(desk, ports=replace(desk.ports, venues=short)), ORDERS)
        assert [one.client_order_id for one in (await books(desk)).orders] == [our_id(1)]
        assert not await breaks(desk)


async def test_what_our_own_records_lack_is_no_difference(open_desk: OpenDesk) -> None:
    """While this process is behind with what it heard, its books say nothing."""
    async with open_desk() as desk:
        await quoted(desk)
        await booked(desk, our_id(3))
        writer: Any = Instead(desk.ports.writer, behind_s=lambda: 9.0)
        behind = replace(desk, ports=replace(desk.ports, writer=writer))
        with pytest.raises(ApplicationError, match=r"9\.0 s behind"):
            await reconcile(behind, ORDERS)
        assert [one.client_order_id for one in (await books(desk)).orders] == [our_id(3)]


# --- prices ------------------------------------------------------------------------------------


async def strange_fill(desk: Desk, symbol: str) -> None:
    """A fill of a market whose instrument nobody remembered."""
    market = MarketId("ocx", "main", symbol)
    fill = Fill(
        venue="ocx",
        account="main",
        symbol=symbol,
        trade_id="e1",
        side=Side.BUY,
        price=100,
        lots=1,
        liquidity=Liquidity.MAKER,
        fee=Decimal(0),
        fee_estimated=False,
        traded_at_ms=now_ms(desk) - 90_000,
        client_order_id=None,
        venue_order_id=None,
    )
    desk.ports.writer.record(FillSeen(market=market, fill=fill))
    assert await desk.ports.writer.flush(30)


async def test_a_market_without_a_price_hides_no_difference_of_another(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await strange_fill(desk, "GONE-PERP")
        await booked(desk, our_id(3))
        assert (await reconcile(desk, ORDERS)).found == 1
        desk.venue.engine.tampering.set_position(
            "main", MARKET.symbol, 70, against=CROWD, told=True
        )
        report = await reconcile(desk, ACCOUNT)
        assert [one.partition(":")[0] for one in report.differences] == [
            f"position {MARKET.symbol}"
        ]
        assert report.expected is None, "money is not judged"


async def test_a_listed_market_is_priced_by_the_comparison(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await strange_fill(desk, OTHER.symbol)
        assert (await books(desk)).unpriced == (OTHER.symbol,)
        report = await reconcile(desk, ACCOUNT)
        assert (await books(desk)).unpriced == ()
        assert "position ETH-PERP" in report.differences[0]


# --- old fills ---------------------------------------------------------------------------------


async def two_fills(desk: Desk) -> tuple[Desk, Instrument, Any]:
    """One fill was missed, an hour before one that is booked."""
    instrument = await quoted(desk)
    await send(desk, our_id(1), lots=50, taking=True)
    await send(desk, our_id(2), lots=30, taking=True)
    plain = await desk.ports.venues.venue("ocx", "main")
    (missed, heard) = sorted(await plain.account.fills(instrument, 0), key=lambda one: -one.lots)
    await desk.ports.ledger.book_fills(MARKET, [heard])
    changed, venue = await earlier(desk, missed.trade_id, HOUR_MS)
    return changed, instrument, venue


async def test_a_session_opens_over_a_fill_that_was_missed_an_hour_ago(open_desk: OpenDesk) -> None:
    async with open_desk() as plain:
        desk, instrument, venue = await two_fills(plain)
        ledger, clock = desk.ports.ledger, desk.ports.clock
        opening = await open_books(MARKET, instrument, venue, ledger, clock, life_epoch=1)
        assert (opening.difference, opening.backfilled) == ("", 1)


async def test_a_comparison_books_what_was_missed_an_hour_ago_before_it_says_break(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        desk, instrument, _ = await two_fills(plain)
        assert (await reconcile(desk, ACCOUNT)).standing == ()
        assert await held(desk) == instrument.quantity(80)
        assert {one.found.kind for one in await breaks(desk)} == {BreakKind.MISSED_FILL}


async def test_a_fill_is_booked_and_not_adjusted_for(open_desk: OpenDesk) -> None:
    async with open_desk() as plain:
        desk, instrument, _ = await two_fills(plain)
        known = await desk.ports.breaks.open(found(desk.ports))
        decided = SettleBreakInput(
            number=known.number, decision=BreakDecision.VENUE, by="ana", reason="looked"
        )
        assert await adjustment_of(desk.ports, known, decided) is None
        assert await held(desk) == instrument.quantity(80)


async def test_a_fill_older_than_an_adjustment_is_told_and_its_excess_is_a_break(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        instrument = await quoted(plain)
        await send(plain, our_id(1), lots=50, taking=True)
        real = await plain.ports.venues.venue("ocx", "main")
        (missed,) = await real.account.fills(instrument, 0)
        desk, _ = await earlier(plain, missed.trade_id, HOUR_MS)
        known = await desk.ports.breaks.open(found(desk.ports))
        adjustment = Adjustment(
            number=known.number,
            venue="ocx",
            account="main",
            symbol=MARKET.symbol,
            quantity=instrument.quantity(50),
            price=Decimal(60_000),
            amount=Decimal(0),
            by="ana",
            reason="looked",
            at_ms=now_ms(desk),
        )
        assert await desk.ports.breaks.settle(
            known.number, BreakDecision.VENUE, "ana", "looked", adjustment
        )
        told: list[str] = []

        async def alert(_market: object, _severity: str, text: str) -> None:
            told.append(text)

        alerts: Any = Instead(desk.ports.alerts, alert=alert)
        heard = replace(desk, ports=replace(desk.ports, alerts=alerts))
        report = await reconcile(heard, ACCOUNT)
        assert any("older than an adjustment of ocx/main/BTC-PERP" in text for text in told)
        assert await held(desk) == instrument.quantity(100)
        (standing,) = [one for one in await breaks(desk) if one.open]
        assert standing.found.kind is BreakKind.POSITION
        assert report.standing == (standing.number,)
