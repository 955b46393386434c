"""What a person took over by name is let be, as long as it is there, and nothing beyond it."""

from collections.abc import Sequence
from dataclasses import replace

from activities.arbitrage import ArbitrageActivities
from activities.arbitrage_messages import ReleaseSetInput, RunSetResult
from activities.arbitrage_waiver import released_before
from desk.arbitrage_records import ArbitrageTrade, TradeStage
from desk.identity import OrderIdentity, Slot
from desk.units import Side
from quoting.arbitrage.books import epochs_of
from quoting.arbitrage.report import DischargePhase, RunEnd, RunReport
from tests.activities.arbitrage_set import SetDesk, set_desk, until
from tests.activities.conftest import Desk, OpenDesk
from tests.activities.set_desk import CAPS, MARKETS, ONE, PLAN, TWO, by_hand, fired, open_set
from tests.activities.test_arbitrage_open_run import RUN, run_set
from tests.activities.test_arbitrage_run_round import PAIRS, circle, show
from venues.simulation.faults import Fault, FaultKind

WAIT = replace(RUN, phase=DischargePhase.WAIT)


def over(report: RunReport) -> tuple[int, ...]:
    """The waiver that a release of what is owed now leads to."""
    return tuple(-leg.excess for leg in report.standing.legs)


async def cup_with_five_over(cup: SetDesk) -> tuple[int, ...]:
    """Ten complete sets, and five of A beyond them that somebody bought."""
    cup.show()
    await cup.run()
    assert cup.held == (10, 10, 10)
    cup.rest("CUP-B", Side.SELL, ("0.28", 0), ("0.60", 50))  # no other trade pays
    by_hand(cup.desk, "CUP-A", Side.BUY, 5)
    owing = await cup.run(watch=False, phase=DischargePhase.WAIT)
    assert over(owing) == (-5, 0, 0)
    return over(owing)


# --- lots of an outcome set -------------------------------------------------------------------


async def test_waived_lots_sold_by_hand_while_it_watches_open_no_set(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        waived = await cup_with_five_over(cup)
        before = len(cup.orders())
        async with cup.running(window_s=20.0, waived=waived) as task:
            await until(lambda: cup.run_now is not None and cup.run_now.look.state == "watching")
            by_hand(cup.desk, "CUP-A", Side.SELL, 5)
            report = await task
        assert (report.end, cup.held) == (RunEnd.BALANCED, (10, 10, 10)), report
        assert len(cup.orders()) == before + 1, "the one by hand"
        assert report.waived == ()


async def test_a_leg_that_has_not_filled_yet_is_no_lot_taken_away(open_desk: OpenDesk) -> None:
    async with set_desk(open_desk) as cup:
        waived = await cup_with_five_over(cup)
        cup.show()
        cup.arm(FaultKind.LEG_VANISHES, "A")
        report = await cup.run(waived=waived)
        assert (report.end, report.waived) == (RunEnd.TRADED, (-5, 0, 0)), report
        a, b, c = cup.held
        assert (a - 5, b) == (c, c), "what is beyond the five is whole"


async def test_a_release_of_what_would_be_completed_keeps_what_is_there(
    open_desk: OpenDesk,
) -> None:
    async with set_desk(open_desk) as cup:
        cup.show()
        cup.arm(FaultKind.LEG_VANISHES, "B")
        owing = await cup.run(rounds=0)
        cup.rest("CUP-B", Side.SELL, ("0.28", 50))
        owing = await cup.run(rounds=0, watch=False)
        assert [leg.owed for leg in owing.standing.legs] == [0, 10, 0], "to be completed"
        assert over(owing) == (-10, 0, -10)
        (trade,) = await cup.trades()
        await cup.desk.ports.trades.hand_over(trade.fired.key, "ana", "kept")
        by_hand(cup.desk, "CUP-A", Side.SELL, 10)
        before = len(cup.orders())
        report = await cup.run(watch=False, waived=over(owing))
        assert (report.end, len(cup.orders())) == (RunEnd.BALANCED, before), report
        assert (cup.held, report.waived) == ((0, 0, 10), (0, 0, -10))
        (trade,) = await cup.trades()
        assert trade.stage is TradeStage.HANDED_OVER, "it explains at a start what is held"


async def released(desk: Desk) -> ReleaseSetInput:
    """Fifteen of one leg, ten of the other, and the five between them released by name."""
    await fired(desk, 15)
    by_hand(desk, ONE.symbol, Side.BUY, 15)
    by_hand(desk, TWO.symbol, Side.BUY, 10)
    await open_set(desk)
    owing = (await run_set(desk, WAIT)).report
    release = ReleaseSetInput(
        plan=PLAN, epoch=owing.epoch, owed="", by="ana", reason="kept", waived=over(owing)
    )
    assert await desk.run(ArbitrageActivities(desk.ports).release_set, release) == 1
    return release


def positions(result: RunSetResult) -> Sequence[int]:
    return [leg.position for leg in result.report.standing.legs]


async def test_waived_lots_sold_by_hand_before_a_run_open_no_set(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        release = await released(desk)
        assert release.waived == (-5, 0)
        by_hand(desk, ONE.symbol, Side.SELL, 5)
        result = await run_set(desk, replace(RUN, waived=release.waived))
        assert (result.report.end, positions(result)) == (RunEnd.BALANCED, [10, 10]), result
        assert (result.waived, result.report.waived) == ((), ())


async def test_a_release_outlives_stop_and_start(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        release = await released(desk)
        opened = await open_set(desk)
        assert opened.waived == release.waived
        result = await run_set(desk, replace(RUN, waived=opened.waived))
        assert (result.report.end, positions(result)) == (RunEnd.BALANCED, [15, 10]), result


async def test_what_a_run_found_gone_is_owed_again_whoever_forgot_it(open_desk: OpenDesk) -> None:
    async with open_desk(markets=MARKETS, FLOTILLA_ARBITRAGE_CAPS=CAPS) as desk:
        release = await released(desk)
        by_hand(desk, ONE.symbol, Side.SELL, 5)
        await run_set(desk, replace(WAIT, waived=release.waived))
        await desk.run(ArbitrageActivities(desk.ports).release_set, release)  # its second attempt
        by_hand(desk, ONE.symbol, Side.BUY, 5)
        # Nobody heard how that run ended: the workflow still tells the old waiver.
        result = await run_set(desk, replace(WAIT, waived=release.waived))
        assert [leg.owed for leg in result.report.standing.legs] == [-5, 0], result
        assert await released_before(desk.ports, PLAN) == ()


# --- trades of a triangle ---------------------------------------------------------------------


async def one_owing(cup: SetDesk) -> tuple[ArbitrageTrade, RunReport]:
    show(cup)
    cup.desk.venue.faults.add(Fault(kind=FaultKind.LEG_VANISHES, market="ETH-BTC-SPOT"))
    report = await cup.run(rounds=0)
    assert report.end is RunEnd.OWED
    newest, *_ = await cup.trades()
    assert report.standing.trade == newest.fired.key
    return newest, report


async def release_round(cup: SetDesk, report: RunReport) -> None:
    """As the workflow has it done."""
    plan = replace(PLAN, name=cup.name, kind=cup.kind, legs=cup.legs, owner=cup.owner)
    release = ReleaseSetInput(
        plan=plan,
        epoch=report.epoch,
        owed="",
        by="ana",
        reason="drill",
        trade=report.standing.trade,
    )
    assert await cup.desk.run(ArbitrageActivities(cup.desk.ports).release_set, release) == 1


async def test_a_released_round_is_let_be_and_the_next_one_is_worked_off(
    open_desk: OpenDesk,
) -> None:
    async with circle(open_desk) as cup:
        _, report = await one_owing(cup)
        await release_round(cup, report)
        kept, before = cup.held, len(cup.orders())
        report = await cup.run(watch=False)
        assert (report.end, report.standing.owes) == (RunEnd.BALANCED, False), report
        assert (cup.held, len(cup.orders())) == (kept, before)
        _, report = await one_owing(cup)
        assert cup.held != kept
        # Told as lots of it, the first release would cover this one as well.
        report = await cup.run(watch=False, waived=tuple(leg.owed for leg in report.standing.legs))
        assert (report.end, report.standing.owes) == (RunEnd.BALANCED, False), report
        assert cup.held == kept, "traded back, and no further"


async def test_a_late_fill_of_a_released_round_is_a_persons(open_desk: OpenDesk) -> None:
    async with circle(open_desk) as cup:
        show(cup)
        cup.desk.venue.faults.add(Fault(kind=FaultKind.LEG_VANISHES, market="ETH-BTC-SPOT"))
        await cup.run()
        (trade,) = await cup.trades()
        assert (trade.stage, cup.held) == (TradeStage.SETTLED, (0, 0, 0))
        market = cup.legs[PAIRS.index("BTC-USDC-SPOT")]
        late = [
            OrderIdentity(
                tag=market.tag,
                epoch=epochs_of(trade)[market],
                cycle=900 + number,
                slot=Slot(Side.BUY, 0),
            ).encode()
            for number in range(2)
        ]
        by_hand(cup.desk, market.symbol, Side.BUY, 20_000, late[0])
        report = await cup.run(watch=False, phase=DischargePhase.WAIT)
        assert (report.standing.owes, report.standing.trade) == (True, trade.fired.key), report
        await release_round(cup, report)
        by_hand(cup.desk, market.symbol, Side.BUY, 20_000, late[1])
        before = len(cup.orders())
        report = await cup.run(watch=False)
        assert (report.end, len(cup.orders())) == (RunEnd.BALANCED, before), report
        (trade,) = await cup.trades()
        assert (trade.stage, trade.a_persons) == (TradeStage.SETTLED, True)
