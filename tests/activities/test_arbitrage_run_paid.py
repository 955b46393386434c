"""Complete sets are held: sold early when that pays more, or paid out when the event is decided."""

from dataclasses import replace
from decimal import Decimal

from desk.arbitrage_records import TradeStage
from desk.units import Side
from quoting.arbitrage.report import RunEnd
from tests.activities.arbitrage_set import NAMES, RULES, SetDesk, set_desk
from tests.activities.conftest import OpenDesk
from venues.simulation.faults import FaultKind

NOTHING = Decimal(0)
_FEE = Decimal("0.0005")
RICH = {"A": ("0.20", 50), "B": ("0.32", 50), "C": ("0.52", 50)}
FAR = {"A": ("0.30", 50), "B": ("0.40", 50), "C": ("0.60", 50)}


def bid(cup: SetDesk) -> None:
    """The bids sum up to more than one now."""
    for name in NAMES:
        symbol = f"CUP-{name}"
        asks, _ = cup.desk.venue.engine.book(symbol, 5)[::-1]
        cup.desk.venue.engine.set_levels(
            "crowd:control", symbol, [(Side.SELL, price, 0) for price, _ in asks]
        )
        cup.rest(symbol, Side.SELL, FAR[name])
        cup.rest(symbol, Side.BUY, RICH[name])


async def test_held_sets_are_sold_early_when_bids_sum_above_one(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        await cup.run()
        assert cup.held == (10, 10, 10)
        bid(cup)
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (0, 0, 0)), report
        assert report.trade is not None
        assert report.trade.aim == "unwind"
        sold = [one for one in cup.orders() if one["side"] == "sell"]
        assert len(sold) == 3
        assert all(one["reduce_only"] for one in sold)
        selling, bought = await cup.trades()
        proceeds = Decimal("10.4") * (1 - _FEE)
        cost = Decimal("9.4") * (1 + _FEE)
        assert (bought.stage, bought.payout) == (TradeStage.SETTLED, proceeds)
        assert bought.edge == proceeds - cost
        assert (selling.stage, selling.payout, selling.edge) == (
            TradeStage.SETTLED,
            NOTHING,
            NOTHING,
        )
        assert (report.locked, report.payout) == (NOTHING, proceeds)
        assert await cup.claims() == []


async def test_a_sale_that_misses_a_leg_leaves_complete_sets_only(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        await cup.run()
        bid(cup)
        cup.arm(FaultKind.LEG_FILLS_IN_PART, "B", fraction=0.6)
        report = await cup.run()
        assert report.end is RunEnd.TRADED, report
        assert len(set(cup.held)) == 1, "complete sets, whatever the way"
        assert not report.standing.owes
        selling, bought = await cup.trades()
        assert selling.stage is TradeStage.SETTLED
        if cup.held[0]:
            assert bought.stage is TradeStage.BALANCED
            assert sum(one.amount for one in bought.locked) < Decimal("9.5")
        assert bought.payout is not None
        assert bought.payout > 0


async def test_the_payout_is_recorded_by_trade_and_ends_the_set(open_desk: OpenDesk) -> None:
    rules = replace(RULES, max_units=Decimal(4))
    async with set_desk(open_desk, rules=rules) as cup:
        cup.show()
        assert (await cup.run()).end is RunEnd.TRADED
        assert (await cup.run()).end is RunEnd.TRADED
        assert cup.held == (8, 8, 8)
        cup.desk.venue.world.settle({"CUP-A": 0, "CUP-B": 100, "CUP-C": 0})
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.SETTLED, (0, 0, 0)), report
        assert (report.locked, report.payout) == (NOTHING, Decimal(8))
        cost = Decimal("0.94") * 4 * (1 + _FEE)
        for trade in await cup.trades():
            assert (trade.stage, trade.payout) == (TradeStage.SETTLED, Decimal(4))
            assert trade.edge == 4 - cost
            assert trade.fired.payout_expected == 4
        assert await cup.claims() == []


async def test_a_payout_heard_while_watching_settles_the_set_at_once(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        await cup.run()
        for name in NAMES:
            cup.rest(f"CUP-{name}", Side.SELL, FAR[name])
        async with cup.running(window_s=30.0) as task:
            cup.desk.venue.world.settle({"CUP-A": 100, "CUP-B": 0, "CUP-C": 0})
            report = await task
        assert (report.end, report.payout) == (RunEnd.SETTLED, Decimal(10)), report


async def test_a_halted_leg_blocks_and_settles_nothing(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        await cup.run()
        cup.desk.venue.engine.halt("CUP-B", halted=True)
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.BLOCKED, (10, 10, 10)), report
        assert "ocx/main/CUP-B is not traded now" in report.reason
        (trade,) = await cup.trades()
        assert trade.stage is TradeStage.BALANCED
