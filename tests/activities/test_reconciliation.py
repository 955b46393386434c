"""Books against the venue on real parts: what differs is found, and nothing else is touched."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

from activities.reconciliation import ReconciliationActivities
from activities.reconciliation_messages import (
    BlindInput,
    ReconcileInput,
    ReconcileKind,
    ReconcileReport,
)
from desk.book_ports import AccountBooks, ReconciliationRun
from desk.breaks import Break, BreakDecision, BreakKind
from desk.identity import MarketId, OrderIdentity, Slot
from desk.instrument import Instrument
from desk.orders import OutcomeKind
from desk.records import OrderAnswered, OrderSent
from desk.units import NS_PER_MS, Side
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.sending import send
from venues.simulation.faults import Fault, FaultKind
from venues.simulation.hand import CROWD

ORDERS = ReconcileKind.ORDERS
ACCOUNT = ReconcileKind.ACCOUNT
HOLD = f"break:market:{MARKET.path}"
HOLD_ACCOUNT = "break:account:ocx/main"


def our_id(level: int, *, epoch: int = 1) -> str:
    """An id as a session of this market makes it."""
    return OrderIdentity(tag=MARKET.tag, epoch=epoch, cycle=7, slot=Slot(Side.BUY, level)).encode()


async def reconcile(desk: Desk, kind: ReconcileKind, **given: object) -> ReconcileReport:
    """One run, with records that are late by a moment at most."""
    request = ReconcileInput(
        venue="ocx",
        account="main",
        kind=kind,
        run_id=str(uuid4()),
        began_ms=now_ms(desk),
        every_s=60,
        lag_ms=300,
        owners=("market/", "flatten/"),
    )
    request = replace(request, **given)  # type: ignore[arg-type]
    return await desk.run(ReconciliationActivities(desk.ports).reconcile, request)


def now_ms(desk: Desk) -> int:
    return desk.ports.clock.wall_ns() // NS_PER_MS


async def quoted(desk: Desk) -> Instrument:
    """The market is ours: it had an epoch, and its instrument is known."""
    await desk.ports.ledger.open_epoch(MARKET, "worker-0/1", "run")
    venue = await desk.ports.venues.venue("ocx", "main")
    (instrument,) = [one for one in await venue.instruments() if one.symbol == MARKET.symbol]
    await desk.ports.ledger.remember_instrument(instrument)
    return instrument


async def booked(desk: Desk, *client_order_ids: str) -> None:
    """By our books these rest."""
    for client_order_id in client_order_ids:
        desk.ports.writer.record(
            OrderSent(
                market=MARKET,
                epoch=1,
                client_order_id=client_order_id,
                batch_id=client_order_id,
                side=Side.BUY,
                price=1,
                lots=1,
                reduce_only=False,
                sent_at_ms=now_ms(desk),
            )
        )
        desk.ports.writer.record(
            OrderAnswered(
                market=MARKET,
                client_order_id=client_order_id,
                kind=OutcomeKind.ACCEPTED,
                venue_order_id=client_order_id,
                message="",
                answered_at_ms=now_ms(desk),
            )
        )
    assert await desk.ports.writer.flush(30)


async def books(desk: Desk) -> AccountBooks:
    return await desk.ports.reconciliations.books("ocx", "main")


async def held(desk: Desk) -> Decimal:
    return (await books(desk)).positions.get(MARKET.symbol, Decimal(0))


async def breaks(desk: Desk) -> Sequence[Break]:
    return await desk.ports.breaks.recent(20)


async def holds(desk: Desk) -> set[str]:
    return {kill.scope for kill in await desk.ports.ledger.active_kills()}


async def last(desk: Desk, kind: ReconcileKind) -> ReconciliationRun:
    run = await desk.ports.reconciliations.last("ocx", "main", kind.value)
    assert run is not None
    return run


def resting(desk: Desk) -> set[str]:
    return {str(order.client_order_id) for order in desk.venue.engine.open_orders("main")}


# --- orders ------------------------------------------------------------------------------------


async def test_sides_that_agree_cost_one_request_and_are_kept(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(0))
        await booked(desk, our_id(0))
        assert await desk.ports.lease.acquire(MARKET, 1, "worker-0/1", 60_000)
        report = await reconcile(desk, ORDERS)
        assert (report.ours, report.theirs, report.found, report.standing) == (1, 1, 0, ())
        assert report.requests == 1
        run = await last(desk, ORDERS)
        assert json.loads(run.ours) == json.loads(run.theirs)
        assert (run.run_id, run.trouble) == (report.run_id, "")
        assert resting(desk) == {our_id(0)}


async def test_a_ghost_is_freed_after_one_more_question_and_kept_as_settled(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await booked(desk, our_id(3))
        report = await reconcile(desk, ORDERS)
        assert report.found == 1
        assert (await books(desk)).orders == ()
        (known,) = await breaks(desk)
        assert (known.found.kind, known.decision) == (BreakKind.GHOST, BreakDecision.RULE)
        assert our_id(3) in known.found.text
        assert report.standing == ()
        assert await holds(desk) == set(), "no gate is closed over it"
        assert (await reconcile(desk, ORDERS)).found == 0


async def test_many_ghosts_are_confirmed_by_one_more_listing(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(99))
        await booked(desk, our_id(99), *(our_id(level) for level in range(30)))
        assert await desk.ports.lease.acquire(MARKET, 1, "worker-0/1", 60_000)
        report = await reconcile(desk, ORDERS)
        assert [one.client_order_id for one in (await books(desk)).orders] == [our_id(99)]
        assert report.requests < 10
        assert len(await breaks(desk)) == 1


async def test_an_orphan_is_cancelled_by_its_id_and_nothing_of_others_is(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        living = our_id(2, epoch=2)
        await send(desk, our_id(1))
        await send(desk, living)
        await send(desk, "by-hand-1")
        await booked(desk, living)
        assert await desk.ports.lease.acquire(MARKET, 2, "worker-0/1", 60_000)
        report = await reconcile(desk, ORDERS)
        assert resting(desk) == {living, "by-hand-1"}
        (known,) = await breaks(desk)
        assert (known.found.kind, known.decision) == (BreakKind.ORPHAN, BreakDecision.RULE)
        assert report.found == 1
        (told,) = await desk.ports.ledger.alerts(0)  # type: ignore[attr-defined]
        assert (told.market, told.severity) == (MARKET, "warning")
        assert "rest that no session and no book answers for" in told.text
        assert told.text.endswith("cancelled by its id")


async def test_an_order_whose_record_comes_late_is_left_alone(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(1))
        assert await desk.ports.lease.acquire(MARKET, 1, "worker-0/1", 60_000)
        async with asyncio.TaskGroup() as tasks:
            comparing = tasks.create_task(reconcile(desk, ORDERS, lag_ms=4_000))
            while not desk.venue.engine.open_orders("main"):
                await asyncio.sleep(0.01)
            await asyncio.sleep(1)  # what a session may take to write down what it sent
            await booked(desk, our_id(1))
        assert resting(desk) == {our_id(1)}
        assert comparing.result().found == 0


async def test_an_order_that_nobody_answers_for_is_cancelled_though_it_is_booked(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(1))
        await booked(desk, our_id(1))
        await reconcile(desk, ORDERS)
        assert resting(desk) == set()
        assert (await books(desk)).orders == ()


async def test_an_order_of_an_epoch_that_a_session_has_left_behind_is_cancelled(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        old, new = our_id(1, epoch=1), our_id(1, epoch=2)
        await send(desk, old)
        await send(desk, new)
        await booked(desk, old, new)
        assert await desk.ports.lease.acquire(MARKET, 2, "worker-0/1", 60_000)
        await reconcile(desk, ORDERS)
        assert resting(desk) == {new}


async def test_orders_of_a_market_that_was_never_quoted_here_are_somebody_elses(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await send(desk, our_id(1))
        report = await reconcile(desk, ORDERS)
        assert resting(desk) == {our_id(1)}
        assert report.found == 0


# --- fills and positions -----------------------------------------------------------------------


async def test_a_missed_fill_is_booked_from_the_history_by_its_id_and_on_record(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        instrument = await quoted(desk)
        await send(desk, our_id(9), lots=50, taking=True)
        await booked(desk, our_id(9))
        report = await reconcile(desk, ACCOUNT)
        assert await held(desk) == instrument.quantity(50)
        assert report.standing == ()
        (known,) = await breaks(desk)
        assert (known.found.kind, known.settled_by) == (BreakKind.MISSED_FILL, "rule missed_fill")


async def test_a_fill_that_a_session_books_meanwhile_was_not_missed(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        instrument = await quoted(desk)
        await send(desk, our_id(9), lots=50, taking=True)
        await booked(desk, our_id(9))
        venue = await desk.ports.venues.venue("ocx", "main")
        told = await venue.account.fills(instrument, 0)
        async with asyncio.TaskGroup() as group:
            run = group.create_task(reconcile(desk, ACCOUNT, lag_ms=5_000))
            await asyncio.sleep(1)
            await desk.ports.ledger.book_fills(MARKET, told)
        assert await held(desk) == instrument.quantity(50)
        assert run.result().found == 0
        assert not await breaks(desk)


async def test_a_fill_that_nobody_heard_for_long_is_on_record(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        instrument = await quoted(desk)
        await send(desk, our_id(9), lots=50, taking=True)
        await booked(desk, our_id(9))
        venue = await desk.ports.venues.venue("ocx", "main")
        (fill, *_) = await venue.account.fills(instrument, 0)
        async with asyncio.timeout(60):
            while now_ms(desk) < fill.traded_at_ms + 7_000:
                await asyncio.sleep(0.2)
        report = await reconcile(desk, ACCOUNT)
        assert await held(desk) == instrument.quantity(50)
        (known,) = await breaks(desk)
        assert (known.found.kind, known.decision) == (BreakKind.MISSED_FILL, BreakDecision.RULE)
        assert fill.trade_id in known.found.text
        assert fill.trade_id in known.found.theirs
        assert report.standing == ()
        assert await holds(desk) == set()


async def test_a_position_changed_behind_our_back_closes_the_gate_of_its_market(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        instrument = await quoted(desk)
        await reconcile(desk, ACCOUNT)
        desk.venue.engine.tampering.set_position(
            "main", MARKET.symbol, 70, against=CROWD, told=True
        )
        report = await reconcile(desk, ACCOUNT)
        (known,) = await breaks(desk)
        assert (known.found.kind, known.found.symbol) == (BreakKind.POSITION, MARKET.symbol)
        assert json.loads(known.found.theirs)["quantity"] == f"{instrument.quantity(70):f}"
        assert report.standing == (known.number,)
        assert await holds(desk) == {HOLD}
        await desk.ports.board.rearm(())
        assert [kill.scope for kill in await desk.ports.board.kills(MARKET)] == [HOLD]
        assert await held(desk) == 0, "nothing is booked to make it go away"
        other = MarketId("ocx", "main", "ETH-PERP")
        assert await desk.ports.board.kills(other) == ()
        await reconcile(desk, ACCOUNT)
        assert len(await breaks(desk)) == 1, "it is seen again, not opened again"


async def test_a_position_in_a_market_that_was_never_ours_is_no_break(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        desk.venue.engine.tampering.set_position("main", "ETH-PERP", 7, against=CROWD, told=True)
        report = await reconcile(desk, ACCOUNT)
        assert (report.found, report.standing) == (0, ())
        run = await last(desk, ACCOUNT)
        ours, theirs = json.loads(run.ours), json.loads(run.theirs)
        assert "never quoted" in ours["not_judged"]
        assert ours["foreign"] == ["ETH-PERP"]
        assert run.began_ms <= theirs["equity_at_ms"] <= run.ended_ms


# --- equity ------------------------------------------------------------------------------------


async def test_money_that_no_book_explains_closes_the_gate_of_the_account(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        first = await reconcile(desk, ACCOUNT)
        assert first.equity == first.expected == Decimal(100_000)
        desk.venue.engine.tampering.move_balance("main", Decimal(-40), against=CROWD)
        report = await reconcile(desk, ACCOUNT)
        (known,) = await breaks(desk)
        assert (known.found.kind, known.found.symbol) == (BreakKind.BALANCE, None)
        assert json.loads(known.found.ours)["equity"] == "100000"
        assert json.loads(known.found.theirs)["equity"] == "99960"
        assert report.standing == (known.number,)
        assert await holds(desk) == {HOLD_ACCOUNT}


async def test_trading_and_its_fees_are_expected(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await reconcile(desk, ACCOUNT)
        await send(desk, our_id(9), lots=50, taking=True)
        report = await reconcile(desk, ACCOUNT)
        assert await held(desk) != 0
        kinds = [one.found.kind for one in await breaks(desk)]
        assert kinds == [BreakKind.MISSED_FILL], "no session books here, and the money is expected"
        assert report.expected is not None
        assert report.equity is not None
        assert abs(report.equity - report.expected) < 60


async def test_a_difference_within_the_tolerance_is_none(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await reconcile(desk, ACCOUNT)
        desk.venue.engine.tampering.move_balance("main", Decimal("-0.9"), against=CROWD)
        report = await reconcile(desk, ACCOUNT)
        assert (report.found, report.standing) == (0, ())


# --- sources -----------------------------------------------------------------------------------


async def test_sources_that_contradict_each_other_stop_the_account_until_they_agree(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await reconcile(desk, ACCOUNT)
        fault = Fault(kind=FaultKind.ENDPOINT_DIFFERS, market="ETH-PERP", lots=5)
        desk.venue.faults.add(fault)
        report = await reconcile(desk, ACCOUNT)
        kinds = {one.found.kind for one in await breaks(desk)}
        assert BreakKind.SOURCES in kinds
        assert HOLD_ACCOUNT in await holds(desk)
        assert report.standing
        desk.venue.faults.clear()
        for _ in range(2):
            await reconcile(desk, ACCOUNT)
            assert HOLD_ACCOUNT in await holds(desk), "not at the first agreement"
        await reconcile(desk, ACCOUNT)
        (known,) = [one for one in await breaks(desk) if one.found.kind is BreakKind.SOURCES]
        assert known.decision is BreakDecision.RULE
        assert HOLD_ACCOUNT not in await holds(desk)


# --- the record --------------------------------------------------------------------------------


async def test_runs_that_did_not_happen_are_noticed_by_the_next(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        long_ago = now_ms(desk) - 600_000
        await reconcile(desk, ORDERS, every_s=15, began_ms=long_ago)
        report = await reconcile(desk, ORDERS, every_s=15)
        assert report.gap_s in range(595, 700)
        assert "nobody compared" in report.differences[0]
        assert (await reconcile(desk, ORDERS, every_s=15)).gap_s == 0


async def test_a_run_that_could_not_compare_is_kept_and_loses_no_anchor(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await reconcile(desk, ACCOUNT)
        asked = ReconcileInput(
            venue="ocx",
            account="main",
            kind=ACCOUNT,
            run_id="blind",
            began_ms=now_ms(desk),
            every_s=60,
        )
        work = ReconciliationActivities(desk.ports).record_blind
        await desk.run(work, BlindInput(asked=asked, trouble="the venue is away", tell=True))
        run = await last(desk, ACCOUNT)
        assert (run.run_id, run.trouble) == ("blind", "the venue is away")
        desk.venue.engine.tampering.move_balance("main", Decimal(-40), against=CROWD)
        report = await reconcile(desk, ACCOUNT)
        assert report.expected == Decimal(100_000)
        assert len(report.standing) == 1
