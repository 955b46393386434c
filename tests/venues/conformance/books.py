"""V-7xx: what keeping the books needs: payments once and signed, views by source, missed fills."""

import time
from collections.abc import Sequence
from decimal import Decimal

from desk.orders import AccountEvent, Liquidity, TimeInForce
from desk.payments import Payment, PaymentKind
from desk.sources import Authority, SourceView
from desk.units import NS_PER_MS, Lots, Side
from tests.venues.conformance.harness import Harness, skip_without
from tests.venues.conformance.stage import Ear, Stage, eventually, heard_fills, heard_position

_RATE = Decimal("0.0001")
_TINY = Decimal("0.000002")
_TURNS = 130
"""More than fit on a page at any venue we know."""
_MOST_REQUESTS = 12


async def _become(stage: Stage, side: Side) -> int:
    """Hold one order's worth of this side; signed lots."""
    order = await stage.place_inside(side)
    await stage.hit(order, order.lots)
    return side.sign * order.lots


async def _told(harness: Harness, since_ms: int = 0) -> list[Payment]:
    return list(await harness.venue.account.payments(since_ms))


def _shown(views: Sequence[SourceView], authority: Authority, symbol: str) -> set[Lots]:
    """Positions in a market, by all sources of an authority."""
    return {view.positions.get(symbol, 0) for view in views if view.source.authority is authority}


async def _pay_often(harness: Harness, kinds: frozenset[PaymentKind], turns: int) -> None:
    """Pay different amounts, at least a millisecond apart."""
    for turn in range(1, turns + 1):
        if PaymentKind.FUNDING in kinds:
            harness.levers.pay_funding(_RATE * turn)
        if PaymentKind.TRANSFER in kinds:
            harness.levers.deposit(Decimal(turn))
        await _next_ms()


async def _next_ms() -> None:
    async def wall_ms() -> int:
        return time.time_ns() // NS_PER_MS

    started_ms = await wall_ms()
    await eventually(wall_ms, lambda now_ms: now_ms > started_ms)


async def _all_agree(harness: Harness, ear: Ear[AccountEvent]) -> None:
    """Every source says what the engine holds, once the stream has told of it."""
    held = harness.levers.lots()
    expected = {harness.instrument.symbol: held} if held else {}
    await ear.until(lambda said: heard_position(said) == held, f"a position of {held} lots")
    views = await eventually(
        harness.venue.account.views,
        lambda seen: all(dict(one.positions) == expected for one in seen),
    )
    assert len(views) == len(harness.venue.account.sources)
    assert views[0].equity is not None
    assert abs(views[0].equity - harness.levers.equity()) < 1


def _needs(harness: Harness, kind: PaymentKind) -> None:
    skip_without(f"a history of {kind}", has=kind in harness.venue.capabilities.tells_payments)


class BookCases:
    async def test_v710_a_venue_that_lists_no_payments_says_so(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.still()
        await _become(stage, Side.BUY)
        harness.levers.pay_funding(_RATE)
        harness.levers.deposit(Decimal(10))
        booked = {one.kind for one in harness.levers.payments()}
        assert booked == {PaymentKind.FUNDING, PaymentKind.TRANSFER}
        told = {one.kind for one in await _told(harness)}
        assert told == harness.venue.capabilities.tells_payments

    async def test_v711_a_positive_rate_costs_a_long_and_pays_a_short(
        self, harness: Harness
    ) -> None:
        _needs(harness, PaymentKind.FUNDING)
        stage = Stage(harness)
        await stage.still()
        await _become(stage, Side.BUY)
        paid = harness.levers.pay_funding(_RATE)
        await _become(stage, Side.SELL)
        await _become(stage, Side.SELL)
        received = harness.levers.pay_funding(_RATE)
        assert paid < 0 < received
        told = await _told(harness)
        assert len(told) == 2
        for one, amount in zip(told, (paid, received), strict=True):
            assert one.kind is PaymentKind.FUNDING
            assert one.symbol == harness.instrument.symbol
            assert (one.venue, one.account) == (harness.instrument.venue, harness.levers.account)
            assert one.amount * amount > 0
            assert abs(one.amount - amount) < abs(amount) / 100

    async def test_v712_money_in_is_positive_and_money_out_negative(self, harness: Harness) -> None:
        _needs(harness, PaymentKind.TRANSFER)
        harness.levers.deposit(Decimal("1000.5"))
        harness.levers.withdraw(Decimal("250.25"))
        told = await _told(harness)
        assert [one.amount for one in told] == [Decimal("1000.5"), Decimal("-250.25")]
        assert {one.kind for one in told} == {PaymentKind.TRANSFER}
        assert {one.symbol for one in told} == {None}

    async def test_v713_every_payment_has_one_id_however_often_it_is_read(
        self, harness: Harness
    ) -> None:
        kinds = harness.venue.capabilities.tells_payments
        skip_without("any history of payments", has=bool(kinds))
        stage = Stage(harness)
        await stage.still()
        await _become(stage, Side.BUY)
        await _pay_often(harness, kinds, _TURNS)
        booked = [one for one in harness.levers.payments() if one.kind in kinds]
        told = await _told(harness)
        assert len(told) == len({one.payment_id for one in told}) == len(booked)
        for kind in kinds:
            amounts = sorted(one.amount for one in told if one.kind is kind)
            expected = sorted(one.amount for one in booked if one.kind is kind)
            pairs = zip(amounts, expected, strict=True)
            assert all(abs(amount - want) <= _TINY for amount, want in pairs)
        assert [one.paid_at_ms for one in told] == sorted(one.paid_at_ms for one in told)
        again = {one.payment_id: one for one in await _told(harness)}
        assert again == {one.payment_id: one for one in told}

    async def test_v714_a_later_start_overlaps_and_loses_nothing(self, harness: Harness) -> None:
        kinds = harness.venue.capabilities.tells_payments
        skip_without("any history of payments", has=bool(kinds))
        stage = Stage(harness)
        await stage.still()
        await _become(stage, Side.BUY)
        await _pay_often(harness, kinds, 5)
        told = await _told(harness)
        for start in (told[0], told[len(told) // 2], told[-1]):
            later = {one.payment_id for one in await _told(harness, start.paid_at_ms)}
            expected = {one.payment_id for one in told if one.paid_at_ms >= start.paid_at_ms}
            assert later == expected
        assert await _told(harness, told[-1].paid_at_ms + 86_400_000) == []

    async def test_v720_sources_are_named_the_most_authoritative_first(
        self, harness: Harness
    ) -> None:
        sources = harness.venue.account.sources
        assert len(sources) >= 2
        assert len({source.name for source in sources}) == len(sources)
        ranks = [source.authority for source in sources]
        assert ranks == sorted(ranks, reverse=True)
        stage = Stage(harness)
        async with stage.account():
            told = [view.source for view in await harness.venue.account.views()]
        assert told == list(sources)

    async def test_v721_all_views_agree_with_the_engine(self, harness: Harness) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            await _all_agree(harness, ear)
            for side in (Side.BUY, Side.SELL, Side.SELL):
                await _become(stage, side)
                await _all_agree(harness, ear)

    async def test_v722_a_stream_that_is_not_heard_has_no_view(self, harness: Harness) -> None:
        other = await harness.venue_at(harness.base_url)
        try:
            views = await other.account.views()
            sources = [view.source for view in views]
            assert sources == [
                source
                for source in other.account.sources
                if source.authority is not Authority.STREAM
            ]
        finally:
            await other.close()

    async def test_v723_what_changes_behind_the_streams_back_parts_the_views(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            held = await _become(stage, Side.BUY)
            await ear.until(lambda said: heard_position(said) == held, "the position")
            harness.levers.hold(held + 7 * stage.unit)
            views = await harness.venue.account.views()
            symbol = harness.instrument.symbol
            assert views[0].positions[symbol] == held + 7 * stage.unit
            assert _shown(views, Authority.STREAM, symbol) == {held}

    async def test_v724_an_endpoint_at_odds_with_the_engine_is_seen_and_passes(
        self, harness: Harness
    ) -> None:
        ranks = {source.authority for source in harness.venue.account.sources}
        skip_without("an endpoint apart from its engine", has=Authority.ENDPOINT in ranks)
        stage = Stage(harness)
        await stage.still()
        symbol = harness.instrument.symbol
        async with stage.account() as ear:
            held = await _become(stage, Side.BUY)
            await ear.until(lambda said: heard_position(said) == held, "the position")
            fault = harness.levers.set_apart(5 * stage.unit, for_s=60)
            views = await harness.venue.account.views()
            assert _shown(views, Authority.ENDPOINT, symbol) >= {held + 5 * stage.unit}
            assert _shown(views, Authority.STREAM, symbol) == {held}
            assert harness.levers.lots() == held
            harness.levers.faults.remove(fault)
            for view in await harness.venue.account.views():
                assert dict(view.positions) == {symbol: held}

    async def test_v725_what_was_asked_is_no_younger_than_it_says(self, harness: Harness) -> None:
        stage = Stage(harness)
        async with stage.account():
            before = time.monotonic_ns()
            views = await harness.venue.account.views()
            after = time.monotonic_ns()
            for view in views:
                assert view.asked_ns <= after
                if view.source.authority is not Authority.STREAM:
                    assert before <= view.asked_ns

    async def test_v730_a_fill_the_stream_never_tells_is_in_the_history(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        await stage.still()
        async with stage.account() as ear:
            order = await stage.place_inside(Side.BUY, 40 * harness.instrument.min_lots)
            await stage.hit(order, stage.unit)
            await ear.until(lambda said: len(heard_fills(said)) == 1, "the first fill")
            harness.levers.keep_back(1)
            await stage.hit(order, 2 * stage.unit)
            await stage.hit(order, 3 * stage.unit)
            await ear.until(lambda said: len(heard_fills(said)) == 2, "the third fill")
            heard = heard_fills(ear.events)
            assert sorted(one.lots for one in heard.values()) == [stage.unit, 3 * stage.unit]
            since_ms = min(one.traded_at_ms for one in heard.values())
            told = await harness.venue.account.fills(harness.instrument, since_ms)
            assert sorted(one.lots for one in told) == [
                stage.unit,
                2 * stage.unit,
                3 * stage.unit,
            ]
            assert set(heard) < {one.trade_id for one in told}

    async def test_v740_a_fee_is_positive_when_paid_and_negative_when_a_rebate(
        self, harness: Harness
    ) -> None:
        stage = Stage(harness)
        await stage.still()
        await _become(stage, Side.BUY)
        bid, _ = await stage.touch()
        taker = stage.order(
            Side.SELL, bid - 20, post_only=False, time_in_force=TimeInForce.IOC, reduce_only=True
        )
        await stage.send(taker, position=harness.levers.lots())
        account, instrument = harness.venue.account, harness.instrument

        async def flat() -> int:
            return (await account.position(instrument)).lots

        await eventually(flat, lambda lots: lots == 0)
        told = await account.fills(instrument, 0)
        rates = {
            Liquidity.MAKER: instrument.maker_fee_bps,
            Liquidity.TAKER: instrument.taker_fee_bps,
        }
        assert {fill.liquidity for fill in told} == set(rates)
        for fill in told:
            rate = rates[fill.liquidity]
            assert (fill.fee > 0) == (rate > 0)
            assert (fill.fee < 0) == (rate < 0)
        paid = sum(fill.fee for fill in told)
        booked = harness.levers.fees()
        assert abs(paid - booked) <= abs(booked) / 100

    async def test_v750_reads_are_counted_and_few(self, harness: Harness) -> None:
        venue, stage = harness.venue, Stage(harness)
        async with stage.account():
            await stage.place(*await stage.ladder())
            reads = (
                lambda: venue.account.open_orders(None),
                venue.account.views,
                venue.account.balance,
                lambda: venue.account.fills(harness.instrument, 0),
            )
            for read in reads:
                before = venue.requests
                await read()
                assert 1 <= venue.requests - before <= _MOST_REQUESTS
