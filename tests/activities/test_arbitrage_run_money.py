"""Every cent that booked fills brought is on record, of some trade or in words; late ones too."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from desk.arbitrage_records import ArbitrageTrade, TradeFired, TradeKey, TradeStage
from desk.identity import OrderIdentity, Slot
from desk.orders import TimeInForce
from desk.units import Lots, Side
from quoting.arbitrage.report import RunEnd
from tests.activities.arbitrage_set import RULES, SetDesk, owing_b, set_desk
from tests.activities.conftest import OpenDesk
from tests.activities.hedge_venue import Parts
from tests.activities.test_arbitrage_run_paid import bid
from tests.activities.test_arbitrage_run_round import PAIRS, circle, show
from venues.simulation.faults import Fault, FaultKind
from venues.simulation.orders import OrderRequest

_NOTHING = Decimal(0)
_MIN_LOTS = 50


def executed(
    cup: SetDesk,
    symbol: str,
    side: Side,
    lots: Lots,
    of: ArbitrageTrade | None = None,
    name: str | None = None,
) -> None:
    """By hand at the venue, unless an id is given; or as an order of a trade that arrives late."""
    bids, asks = cup.desk.venue.engine.book(symbol, 1)
    if of is not None:
        (leg,) = [one for one in of.fired.legs if one.market.symbol == symbol]
        known = OrderIdentity.decode(leg.client_order_id)
        assert known is not None
        name = replace(known, cycle=40, slot=Slot(side, 0)).encode()
    cup.desk.venue.engine.submit(
        cup.account,
        OrderRequest(
            symbol=symbol,
            side=side,
            lots=lots,
            price=(asks if side is Side.BUY else bids)[0][0],
            time_in_force=TimeInForce.IOC,
            client_order_id=name,
        ),
    )


async def cash_of(cup: SetDesk) -> Decimal:
    """What all booked fills of the legs brought, fees taken off."""
    facts = [await cup.desk.ports.ledger.facts(leg, 0) for leg in cup.legs]
    return sum((one.cash - one.fees for one in facts), _NOTHING)


async def edges_of(cup: SetDesk) -> Decimal:
    return sum((one.edge or _NOTHING for one in await cup.trades()), _NOTHING)


def a_day_behind(cup: SetDesk) -> None:
    """Have trades recorded by a worker whose clock is; they are read one a page."""
    trades, writer = cup.desk.ports.trades, cup.desk.ports.writer

    def early(fired: TradeFired) -> TradeFired:
        return replace(fired, fired_at_ms=fired.fired_at_ms - 86_400_000)

    def record(what: Any) -> None:
        writer.record(early(what) if isinstance(what, TradeFired) else what)

    async def opened(fired: TradeFired) -> TradeStage:
        return await trades.opened(early(fired))

    async def page(name: str, after: TradeKey | None, _limit: int) -> Sequence[ArbitrageTrade]:
        return await trades.page(name, after, 1)

    cup.ports["writer"] = Parts(writer, record=record)
    cup.ports["trades"] = Parts(trades, opened=opened, page=page)


async def kept_by_ana(cup: SetDesk) -> tuple[Lots, ...]:
    """The same, and ana keeps that. What she let go."""
    owing = await owing_b(cup)
    (trade,) = await cup.trades()
    await cup.desk.ports.trades.hand_over(trade.fired.key, "ana", "I keep it")
    return tuple(leg.owed for leg in owing.standing.legs)


async def test_the_payout_of_what_was_let_go_is_on_record(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        waived = await kept_by_ana(cup)
        cup.desk.venue.world.settle({"CUP-A": 0, "CUP-B": 0, "CUP-C": 100})
        report = await cup.run(watch=False, waived=waived)
        assert (report.end, report.locked) == (RunEnd.SETTLED, _NOTHING), report
        assert report.payout == 10
        (trade,) = await cup.trades()
        assert (trade.stage, trade.payout) == (TradeStage.SETTLED, Decimal(10))
        assert trade.edge == await cash_of(cup)
        assert await cup.claims() == []


async def test_what_was_let_go_and_sold_by_hand_frees_its_capital(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        waived = await kept_by_ana(cup)
        executed(cup, "CUP-C", Side.SELL, 10)
        await cup.run(watch=False, waived=waived)
        (trade,) = await cup.trades()
        assert trade.stage is TradeStage.HANDED_OVER
        assert sum(one.amount for one in trade.locked) == Decimal("1.8") * Decimal("1.0005")
        executed(cup, "CUP-A", Side.SELL, 10)
        await cup.run(watch=False, waived=waived)
        (trade,) = await cup.trades()
        assert (trade.stage, trade.locked) == (TradeStage.SETTLED, ())
        assert trade.edge == await cash_of(cup)
        assert await cup.claims() == []


async def test_sets_completed_by_hand_keep_the_capital_of_what_was_bought(
    open_desk: OpenDesk,
) -> None:
    async with set_desk(open_desk) as cup:
        await owing_b(cup)
        executed(cup, "CUP-B", Side.BUY, 10)
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (10, 10, 10)), report
        (trade,) = await cup.trades()
        assert trade.stage is TradeStage.BALANCED
        assert sum(one.amount for one in trade.locked) == Decimal("6.6") * Decimal("1.0005")
        (claim,) = await cup.claims()
        assert claim.capital == trade.locked


async def test_a_flatten_of_held_sets_is_in_what_they_brought(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        await cup.run()
        assert cup.held == (10, 10, 10)
        for market in cup.legs:
            epoch = await cup.desk.ports.ledger.open_epoch(market, "flatten/test", "run")
            flattened = OrderIdentity(
                tag=market.tag, epoch=epoch, cycle=1, slot=Slot(Side.SELL, 0), exit=True
            )
            executed(cup, market.symbol, Side.SELL, 10, name=flattened.encode())
        await cup.run(watch=False)
        assert cup.held == (0, 0, 0)
        (trade,) = await cup.trades()
        assert (trade.stage, trade.locked) == (TradeStage.SETTLED, ())
        assert trade.edge == await cash_of(cup)
        assert await cup.claims() == []


async def test_a_payout_that_no_trade_explains_is_said(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.arm(FaultKind.LEG_VANISHES, "B")
        cup.rest("CUP-B", Side.SELL, ("0.80", 50))
        await cup.run()
        assert cup.held == (0, 0, 0)
        executed(cup, "CUP-B", Side.BUY, 5)
        cup.desk.venue.world.settle({"CUP-A": 0, "CUP-B": 100, "CUP-C": 0})
        report = await cup.run(watch=False)
        assert report.end is RunEnd.SETTLED, report
        loose = await cash_of(cup) - await edges_of(cup)
        assert loose > 0
        assert f"{loose.normalize():f} USDC in all belong to no trade on record" in report.reason


async def test_all_trades_are_added_up_in_order_whatever_the_clocks_and_pages(
    open_desk: OpenDesk,
) -> None:
    rules = replace(RULES, max_units=Decimal(4))
    async with set_desk(open_desk, rules=rules) as cup:
        cup.show()
        for _ in range(3):
            assert (await cup.run()).end is RunEnd.TRADED
        bid(cup)
        cup.rules = replace(RULES, max_units=Decimal(6))
        a_day_behind(cup)
        assert (await cup.run()).end is RunEnd.TRADED
        assert cup.held == (6, 6, 6)
        sale, third, second, first = await cup.trades()
        assert [one.stage for one in (sale, first)] == [TradeStage.SETTLED] * 2
        assert [one.stage for one in (second, third)] == [TradeStage.BALANCED] * 2
        assert await edges_of(cup) == await cash_of(cup) + 6
        cup.desk.venue.world.settle({"CUP-A": 100, "CUP-B": 0, "CUP-C": 0})
        assert (await cup.run(watch=False)).end is RunEnd.SETTLED
        assert await edges_of(cup) == await cash_of(cup)


async def test_a_round_that_a_person_has_locks_nothing_and_is_let_be(open_desk: OpenDesk) -> None:
    async with circle(open_desk) as cup:
        show(cup)
        cup.desk.venue.faults.add(Fault(kind=FaultKind.LEG_VANISHES, market="ETH-BTC-SPOT"))
        assert (await cup.run(rounds=0)).end is RunEnd.OWED
        (trade,) = await cup.trades()
        await cup.desk.ports.trades.hand_over(trade.fired.key, "ana", "I trade it elsewhere")
        held, sent = cup.held, len(cup.orders())
        for _ in range(2):
            report = await cup.run(watch=False)
            assert (report.end, report.locked) == (RunEnd.BALANCED, _NOTHING), report
        (trade,) = await cup.trades()
        assert (trade.stage, trade.locked) == (TradeStage.SETTLED, ())
        assert trade.edge is not None
        assert trade.steps[-1].reason == "a person has what is left of it"
        assert (cup.held, len(cup.orders())) == (held, sent)
        assert await cup.claims() == []
        assert await cup.desk.ports.trades.locked() == ()


async def test_what_came_late_and_was_traded_back_is_in_the_rounds_edge(
    open_desk: OpenDesk,
) -> None:
    async with circle(open_desk) as cup:
        show(cup)
        assert (await cup.run()).end is RunEnd.TRADED
        (trade,) = await cup.trades()
        assert trade.edge is not None
        held = cup.held
        executed(cup, "BTC-USDC-SPOT", Side.BUY, 1_000, of=trade)
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, held), report
        (later,) = await cup.trades()
        assert later.edge is not None
        assert later.edge < trade.edge, "the spread was paid, and fees"
        assert (later.stage, later.fills) == (TradeStage.SETTLED, trade.fills + 2)


async def test_dust_of_one_round_does_not_hide_what_another_owes(open_desk: OpenDesk) -> None:
    async with circle(open_desk, min_lots=_MIN_LOTS) as cup:
        for _ in range(2):
            show(cup)
            assert (await cup.run()).end is RunEnd.TRADED
        newer, older = await cup.trades()
        held = cup.held
        cup.rest(PAIRS[0], Side.SELL, ("58950", 10))
        executed(cup, PAIRS[0], Side.BUY, _MIN_LOTS, of=older)
        executed(cup, PAIRS[0], Side.BUY, 10 * _MIN_LOTS, of=newer)
        assert cup.held[0] == held[0] + 10 + 10 * _MIN_LOTS
        report = await cup.run(watch=False)
        assert report.end is RunEnd.BALANCED, report
        assert cup.held == (held[0] + 10, *held[1:])
        assert f"+10 lots of ocx/main/{PAIRS[0]}" in report.reason
        assert report.standing.dust > 0
