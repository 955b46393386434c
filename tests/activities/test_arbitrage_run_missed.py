"""A leg misses: the others are completed or traded back by the fill ledger, and never doubled."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from desk.arbitrage_records import TradeStage
from desk.identity import OrderIdentity
from desk.orders import RejectReason
from desk.records import Kill
from desk.units import Side
from quoting.arbitrage.report import DischargePhase, RunEnd, RunReport
from tests.activities.arbitrage_set import (
    BULK,
    LIMITS,
    SET,
    SetDesk,
    owing_b,
    set_desk,
    until,
)
from tests.activities.conftest import OpenDesk
from tests.activities.hedge_venue import HeldNetwork, Parts
from venues.simulation.faults import FaultKind


def cycles(cup: SetDesk, symbol: str) -> list[int]:
    found = [OrderIdentity.decode(one["client_order_id"]) for one in cup.orders(symbol)]
    return [one.cycle for one in found if one is not None]


async def test_a_leg_that_vanished_is_completed_where_that_is_cheaper(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.30", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (10, 10, 10)), report
        assert [(one["price"], one["lots"]) for one in cup.orders("CUP-B")] == [(28, 10), (30, 10)]
        assert cycles(cup, "CUP-B") == [1, 2]
        (trade,) = await cup.trades()
        fees = Decimal("9.6") * Decimal("0.0005")
        assert (trade.stage, trade.edge) == (TradeStage.BALANCED, Decimal("0.4") - fees)
        assert [step.stage for step in trade.steps] == [
            TradeStage.FIRED,
            TradeStage.HEDGING,
            TradeStage.BALANCED,
        ]
        assert report.trade is not None
        assert "2 of 3 legs filled at once" in report.trade.outcome


async def test_a_leg_that_vanished_has_the_others_traded_back_where_that_is_cheaper(
    open_desk: OpenDesk,
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.80", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (0, 0, 0)), report
        sold = [one for one in cup.orders() if one["side"] == "sell"]
        assert {(one["symbol"], one["reduce_only"]) for one in sold} == {
            ("CUP-A", True),
            ("CUP-C", True),
        }
        (trade,) = await cup.trades()
        assert (trade.stage, trade.locked, trade.payout) == (TradeStage.SETTLED, (), Decimal(0))
        spent = Decimal("6.6") * Decimal("0.0005") + Decimal("6.2") * Decimal("0.0005")
        assert trade.edge == Decimal("-0.4") - spent
        assert await cup.claims() == []
        assert report.locked == 0


async def test_a_leg_filled_in_part_leaves_complete_sets_and_no_excess(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.arm(FaultKind.LEG_FILLS_IN_PART, "B", fraction=0.4)
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (4, 4, 4)), report
        assert (report.standing.complete, report.standing.owes) == (Decimal(4), False)


@pytest.mark.parametrize("kind", ["RESPONSE_LOST", "REQUEST_LOST", "SLOW_RESPONSE", "ERROR_AFTER"])
async def test_an_answer_lost_or_late_never_doubles_a_leg(open_desk: OpenDesk, kind: str) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.arm(FaultKind[kind], "B", path=BULK, delay_s=1.5)
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (10, 10, 10)), report
        assert sum(one["lots"] for one in cup.orders("CUP-B")) == 10
        assert cycles(cup, "CUP-B") == [1], "one order, under one id"
        assert len(await cup.trades()) == 1


async def test_an_order_that_arrives_after_its_hedge_is_refused_by_its_id(
    open_desk: OpenDesk,
) -> None:
    network = HeldNetwork()

    def part(market: Any, venue: Any) -> Any:
        if market.symbol != "CUP-B":
            return venue
        held = network(venue)

        def send(batch: Any, instrument: Any) -> Any:
            first = not network.held
            return (held if first else venue).execution.send(batch, instrument)

        return Parts(venue, execution=Parts(venue.execution, send=send))

    async with set_desk(open_desk, part=part) as cup:
        cup.show()
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (10, 10, 10)), report
        (late,) = await network.let_go()
        assert late.orders[0].reason is RejectReason.DUPLICATE
        assert cup.held == (10, 10, 10)


async def test_what_is_below_a_minimum_is_told_as_dust_and_not_chased(open_desk: OpenDesk) -> None:
    markets = tuple(replace(one, min_lots=5) for one in SET)
    async with set_desk(open_desk, markets=markets) as cup:
        cup.show()
        cup.arm(FaultKind.LEG_FILLS_IN_PART, "B", fraction=0.8)
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (10, 8, 10)), report
        assert len(cup.orders()) == 3, "nothing was sent for what no venue takes"
        assert (report.standing.complete, report.standing.owes) == (Decimal(8), False)
        assert report.standing.dust == 2 * (Decimal("0.16") + Decimal("0.46"))
        assert "+2 lots of ocx/main/CUP-A" in report.reason


async def test_excess_is_traded_back_once_what_is_missing_is_below_a_minimum(
    open_desk: OpenDesk,
) -> None:
    markets = tuple(replace(one, min_lots=5 if one.symbol == "CUP-B" else 1) for one in SET)
    async with set_desk(open_desk, markets=markets) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.30", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        cup.arm(FaultKind.LEG_FILLS_IN_PART, "B", fraction=0.6)
        report = await cup.run(rounds=1)
        assert (report.end, cup.held) == (RunEnd.OWED, (10, 6, 10)), report
        assert cycles(cup, "CUP-B") == [1, 2], "it was being completed, and that is on record"
        again = await cup.run(watch=False)
        assert (again.end, cup.held) == (RunEnd.BALANCED, (6, 6, 6)), again
        assert again.standing.dust == 0


async def test_a_refused_hedge_stays_owed_and_the_next_run_discharges_it(
    open_desk: OpenDesk,
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.30", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        refusing = cup.arm(FaultKind.MARGIN_REJECT, path=BULK, skip=3, count=None)
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.OWED, (10, 0, 10)), report
        owed = {leg.market.symbol: leg.owed for leg in report.standing.legs}
        assert owed == {"CUP-A": -10, "CUP-B": 0, "CUP-C": -10}, "completing was refused"
        assert report.standing.exposure == 10 * (Decimal("0.16") + Decimal("0.46"))
        (trade,) = await cup.trades()
        assert trade.stage is TradeStage.HEDGING
        cup.desk.venue.faults.remove(refusing)
        again = await cup.run(watch=False)
        # Completing would be cheaper; but orders back may be on their way, so that way is kept.
        assert (again.end, cup.held) == (RunEnd.BALANCED, (0, 0, 0)), again
        (trade,) = await cup.trades()
        assert trade.stage is TradeStage.SETTLED


@pytest.mark.parametrize("phase", [DischargePhase.REDUCE, DischargePhase.WAIT])
async def test_later_phases_only_trade_back_or_only_look(
    open_desk: OpenDesk, phase: DischargePhase
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.30", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        refusing = cup.arm(FaultKind.MARGIN_REJECT, path=BULK, skip=3, count=None)
        assert (await cup.run(rounds=1)).end is RunEnd.OWED
        cup.desk.venue.faults.remove(refusing)
        before = len(cup.orders())
        report = await cup.run(watch=False, phase=phase)
        if phase is DischargePhase.WAIT:
            assert (report.end, len(cup.orders())) == (RunEnd.OWED, before)
        else:
            assert (report.end, cup.held) == (RunEnd.BALANCED, (0, 0, 0)), report


async def test_a_waived_debt_is_let_be(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.80", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        refusing = cup.arm(FaultKind.MARGIN_REJECT, path=BULK, skip=3, count=None)
        owing = await cup.run(rounds=1)
        waived = tuple(leg.owed for leg in owing.standing.legs)
        assert waived == (-10, 0, -10)
        cup.desk.venue.faults.remove(refusing)
        (trade,) = await cup.trades()
        await cup.desk.ports.trades.hand_over(trade.fired.key, "ana", "drill")
        before = len(cup.orders())
        report = await cup.run(watch=False, waived=waived)
        assert (report.end, len(cup.orders())) == (RunEnd.BALANCED, before), report
        assert cup.held == (10, 0, 10)


@pytest.mark.parametrize("effect", ["kill", "file"])
async def test_a_kill_while_something_is_owed_lets_only_reducing_orders_out(
    open_desk: OpenDesk, effect: str
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.29", 50))  # completing would be cheaper
        cup.arm(FaultKind.LEG_VANISHES, "B")
        ports = cup.desk.ports

        async def opened(fired: Any) -> Any:
            if effect == "kill":
                ports.gates.close(Kill(scope="fleet", reason="drill", by="ana", at_ms=1))
            else:
                (cup.desk.state_dir / "KILL").touch()
            return await ports.trades.opened(fired)

        cup.ports["trades"] = Parts(ports.trades, opened=opened)
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (0, 0, 0)), report
        later = cup.orders()[3:]
        assert later
        assert all(one["reduce_only"] and one["side"] == "sell" for one in later)


async def test_a_kill_of_one_leg_keeps_another_from_being_completed_as_planned(
    open_desk: OpenDesk,
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.29", 50))  # completing would be cheaper
        cup.arm(FaultKind.LEG_VANISHES, "B")
        ports = cup.desk.ports

        async def progress(*looked: Any) -> Any:
            scope = f"market:{cup.legs[0].path}"
            ports.gates.close(Kill(scope=scope, reason="drill", by="ana", at_ms=1))
            return await ports.trades.progress(*looked)

        cup.ports["trades"] = Parts(ports.trades, progress=progress)
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (0, 0, 0)), report
        assert [one["price"] for one in cup.orders("CUP-B")] == [28], "nothing after the kill"


async def test_a_run_cancelled_in_mid_trade_is_finished_by_the_next(open_desk: OpenDesk) -> None:
    network = HeldNetwork()

    def part(market: Any, venue: Any) -> Any:
        if market.symbol != "CUP-B" or network.held:
            return venue

        def send(batch: Any, instrument: Any) -> Any:
            network.held.append((venue.execution, batch, instrument))
            return asyncio.get_running_loop().create_future()  # no answer, ever

        return Parts(venue, execution=Parts(venue.execution, send=send))

    async with set_desk(open_desk, part=part) as cup:
        cup.show()
        async with cup.running() as task:
            await until(lambda: cup.held == (10, 0, 10))
            for _ in range(2):  # asked once it would see the trade to its end
                task.cancel()
                await asyncio.sleep(0.05)
            with pytest.raises(asyncio.CancelledError):
                await task
        assert cup.held == (10, 0, 10)
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (10, 10, 10)), report
        (late,) = await network.let_go()
        assert late.orders[0].reason is RejectReason.DUPLICATE, "the id was used up by the hedge"
        assert cup.held == (10, 10, 10)


async def test_what_is_over_beside_a_halted_leg_is_traded_back(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        await owing_b(cup)
        cup.desk.venue.engine.halt("CUP-B", halted=True)
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.BLOCKED, (0, 0, 0)), report
        assert not report.standing.owes
        assert "ocx/main/CUP-B is not traded now" in report.reason


async def test_nothing_is_fired_past_what_could_not_be_taken(open_desk: OpenDesk) -> None:
    sinks: list[Any] = []

    def part(_market: Any, venue: Any) -> Any:
        async def run(instrument: Any, sink: Any) -> None:
            sinks.append(sink)
            await venue.feed.run(instrument, sink)

        return Parts(venue, feed=Parts(venue.feed, run=run))

    async with set_desk(open_desk, part=part) as cup:
        cup.show()
        cup.after_claim(lambda: sinks[0](None))
        with pytest.raises(ExceptionGroup):
            await cup.run()
        assert cup.orders() == []
        assert await cup.claims() == []


async def test_a_run_asked_to_go_sees_its_trade_to_its_end(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.30", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        async with cup.running() as task:
            await until(lambda: cup.held == (10, 0, 10))
            task.cancel()
            report: RunReport = await task
        assert (report.end, cup.held) == (RunEnd.TRADED, (10, 10, 10)), report


async def test_a_trade_nobody_recorded_is_found_by_its_claim_and_worked_off(
    open_desk: OpenDesk,
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.rest("CUP-B", Side.SELL, ("0.30", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        real = cup.desk.ports.writer

        def record(what: Any) -> None:
            if type(what).__name__ != "TradeFired":
                real.record(what)

        async def opened(_: Any) -> Any:
            await asyncio.Event().wait()

        cup.ports["writer"] = Parts(real, record=record)
        cup.ports["trades"] = Parts(cup.desk.ports.trades, opened=opened)
        async with cup.running() as task:
            await until(lambda: cup.held == (10, 0, 10))
            await asyncio.sleep(0.3)
            for _ in range(2):
                task.cancel()
                await asyncio.sleep(0.05)
        assert await cup.trades() == ()
        (stray,) = await cup.claims()
        cup.ports.clear()
        report = await cup.run(watch=False)
        assert (report.end, cup.held) == (RunEnd.BALANCED, (10, 10, 10)), report
        (trade,) = await cup.trades()
        assert (trade.fired.key, trade.stage) == (stray.key, TradeStage.BALANCED)
        assert trade.fired.capital == stray.capital


async def test_a_fill_nobody_expected_is_traded_back_at_once(open_desk: OpenDesk) -> None:
    dear = {"A": ("0.18", 20), "B": ("0.60", 20), "C": ("0.48", 20)}
    async with set_desk(open_desk) as cup:
        cup.show(dear)
        await cup.run(window_s=0.2)
        async with cup.running(window_s=20.0) as task:
            await until(lambda: cup.run_now is not None and cup.run_now.look.state == "watching")
            await _buy(cup, "CUP-A", 3)
            report = await task
        assert (report.end, cup.held) == (RunEnd.BALANCED, (0, 0, 0)), report
        assert [one["side"] for one in cup.orders("CUP-A")] == ["buy", "sell"]


async def _buy(cup: SetDesk, symbol: str, lots: int) -> None:
    """An order of the account that no run knows of."""
    engine = cup.desk.venue.engine
    from desk.orders import TimeInForce  # noqa: PLC0415
    from venues.simulation.orders import OrderRequest  # noqa: PLC0415

    engine.submit(
        cup.account,
        OrderRequest(
            symbol=symbol,
            side=Side.BUY,
            lots=lots,
            price=18,
            time_in_force=TimeInForce.IOC,
        ),
    )


async def test_hedges_larger_than_an_order_may_be_go_out_in_slices(open_desk: OpenDesk) -> None:
    limits = replace(LIMITS, max_order_notional=Decimal("2.9"))
    async with set_desk(open_desk, limits=limits) as cup:
        cup.show(
            asks={"A": ("0.10", 20), "B": ("0.28", 20), "C": ("0.10", 20)},
            bids={"A": ("0.05", 50), "B": ("0.26", 50), "C": ("0.05", 50)},
        )
        cup.rest("CUP-B", Side.SELL, ("0.45", 50))
        cup.arm(FaultKind.LEG_VANISHES, "B")
        report = await cup.run()
        assert (report.end, cup.held) == (RunEnd.TRADED, (10, 10, 10)), report
        assert [one["lots"] for one in cup.orders("CUP-B")] == [10, 6, 4]
        assert cycles(cup, "CUP-B") == [1, 2, 3]
