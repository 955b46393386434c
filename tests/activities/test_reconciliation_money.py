"""An account's money on real parts: what was paid is no break, and nothing is invented."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from activities.breaks import BreakActivities
from activities.breaks_messages import BreakSettled, SettleBreakInput
from activities.reconciliation import ReconciliationActivities
from activities.reconciliation_messages import BlindInput, ReconcileInput, ReconcileReport
from desk.book_ports import ReconciliationRun
from desk.breaks import BreakDecision, BreakKind
from desk.payments import Payment, PaymentKind
from desk.records import EquityMark
from quoting.agreement import look
from tests.activities.break_desk import interrupted_at
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.sending import send
from tests.activities.test_market_activities import rows
from tests.activities.test_reconciliation import (
    ACCOUNT,
    HOLD_ACCOUNT,
    books,
    breaks,
    held,
    holds,
    last,
    now_ms,
    our_id,
    quoted,
    reconcile,
)
from venues.simulation.hand import CROWD

DAY_MS = 86_400_000


class With:
    """A part as it is, save what is given."""

    def __init__(self, inner: Any, **given: Any) -> None:
        self._inner = inner
        self._given = given

    def __getattr__(self, name: str) -> Any:
        return self._given[name] if name in self._given else getattr(self._inner, name)


async def with_venue(desk: Desk, change: Callable[[Any], Any]) -> Desk:
    """The same desk, whose venue is changed."""
    changed = change(await desk.ports.venues.venue("ocx", "main"))

    async def venue(name: str, account: str) -> Any:
        assert (name, account) == ("ocx", "main")
        return changed

    venues: Any = With(desk.ports.venues, venue=venue)
    return replace(desk, ports=replace(desk.ports, venues=venues))


async def telling(
    desk: Desk, listed: Sequence[Payment], meanwhile: Callable[[], object] = lambda: None
) -> Desk:
    """The same desk, whose venue lists payments; something happens before it tells the balance."""

    def change(venue: Any) -> Any:
        async def payments(since_ms: int, kind: PaymentKind) -> Sequence[Payment]:
            return [one for one in listed if one.kind is kind and one.paid_at_ms >= since_ms]

        async def balance() -> Any:
            meanwhile()
            return await venue.account.balance()

        return With(
            venue,
            account=With(venue.account, payments=payments, balance=balance),
            capabilities=replace(venue.capabilities, tells_payments=frozenset(PaymentKind)),
        )

    return await with_venue(desk, change)


def paid(
    desk: Desk, number: str, amount: int, *, ago_ms: int = 0, funding: bool = False
) -> Payment:
    return Payment(
        venue="ocx",
        account="main",
        payment_id=number,
        kind=PaymentKind.FUNDING if funding else PaymentKind.TRANSFER,
        amount=Decimal(amount),
        paid_at_ms=now_ms(desk) - ago_ms,
        symbol=MARKET.symbol if funding else None,
    )


def move(desk: Desk, amount: int) -> None:
    """Behind everybody's back."""
    desk.venue.engine.tampering.move_balance("main", Decimal(amount), against=CROWD)


async def take_venues_word(desk: Desk, number: int, **given: Any) -> BreakSettled:
    request = SettleBreakInput(
        number=number, decision=BreakDecision.VENUE, by="ana", reason="looked", **given
    )
    settled: BreakSettled = await desk.run(BreakActivities(desk.ports).settle_named, request)
    return settled


async def standing(desk: Desk) -> int:
    """A difference of forty that no book explains is open."""
    await quoted(desk)
    await reconcile(desk, ACCOUNT)
    move(desk, 40)
    (number,) = (await reconcile(desk, ACCOUNT)).standing
    return number


# --- payments ----------------------------------------------------------------------------------


async def test_a_deposit_in_the_middle_of_a_run_is_no_break(open_desk: OpenDesk) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        listed: list[Payment] = []
        due: list[int] = []

        def deposit() -> None:
            if due:
                move(plain, due.pop())
                listed.append(paid(plain, "d1", 500))

        desk = await telling(plain, listed, deposit)
        await reconcile(desk, ACCOUNT)
        due.append(500)
        report = await reconcile(desk, ACCOUNT)
        assert report.found == 0
        assert report.equity == report.expected == Decimal(100_500)
        assert not await breaks(desk)


async def test_a_break_over_a_deposit_that_is_listed_late_ends_by_itself(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        listed: list[Payment] = []
        desk = await telling(plain, listed)
        await reconcile(desk, ACCOUNT)
        move(desk, 500)
        assert len((await reconcile(desk, ACCOUNT)).standing) == 1
        listed.append(paid(desk, "d1", 500))
        for _ in range(2):
            assert (await reconcile(desk, ACCOUNT)).found == 0
            assert await holds(desk) == {HOLD_ACCOUNT}, "not at the first agreement"
        await reconcile(desk, ACCOUNT)
        assert await holds(desk) == set()
        (known,) = await breaks(desk)
        assert known.decision is BreakDecision.RULE
        assert (await books(desk)).adjusted == 0


async def test_a_run_that_could_not_compare_begins_the_count_of_agreement_anew(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        number = await standing(desk)
        move(desk, -40)
        for _ in range(2):
            assert (await reconcile(desk, ACCOUNT)).standing == (number,)
        asked = ReconcileInput(
            venue="ocx",
            account="main",
            kind=ACCOUNT,
            run_id="blind",
            began_ms=now_ms(desk),
            every_s=60,
        )
        blind = BlindInput(asked=asked, trouble="away", tell=False)
        await desk.run(ReconciliationActivities(desk.ports).record_blind, blind)
        for _ in range(2):
            assert (await reconcile(desk, ACCOUNT)).standing == (number,)
        assert (await reconcile(desk, ACCOUNT)).standing == ()


async def test_funding_that_is_listed_hours_late_is_booked(open_desk: OpenDesk) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        listed: list[Payment] = []
        desk = await telling(plain, listed)
        listed += [paid(desk, "f1", 7, funding=True), paid(desk, "d1", 1)]
        await reconcile(desk, ACCOUNT)
        listed.append(paid(desk, "f2", 7, ago_ms=20 * 3_600_000, funding=True))
        await reconcile(desk, ACCOUNT)
        assert (await desk.ports.ledger.facts(MARKET, 1)).funding == 14


async def test_the_last_look_counts_funding_as_the_daily_loss_does(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        instrument = await quoted(desk)
        venue = await desk.ports.venues.venue("ocx", "main")
        await desk.ports.payments.book([paid(desk, "f1", -25, funding=True)])
        report = await look(MARKET, instrument, venue, desk.ports.ledger, life_epoch=1)
        (part,) = await desk.ports.losses.pnl(None, MARKET)
        assert report.pnl == part.pnl == -25


# --- decisions ---------------------------------------------------------------------------------


async def test_a_decision_books_what_differs_now_once(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        number = await standing(desk)
        move(desk, 5)
        refused = await take_venues_word(desk, number, largest=Decimal(44))
        assert "differs by 45, more than 44" in refused.refused
        settled = await take_venues_word(desk, number)
        assert settled.booked == "+45 was booked to the account"
        report = await reconcile(desk, ACCOUNT)
        assert (report.found, report.standing) == (0, ())
        assert (await books(desk)).adjusted == 45


async def test_a_difference_that_has_gone_is_not_booked(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        number = await standing(desk)
        move(desk, -40)
        refused = await take_venues_word(desk, number)
        assert "nothing differs any more" in refused.refused
        assert (await books(desk)).adjusted == 0


async def test_a_deposit_that_is_listed_by_now_is_not_booked_beside_it(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        number = await standing(plain)
        desk = await telling(plain, [paid(plain, "d1", 40)])
        refused = await take_venues_word(desk, number)
        assert "nothing differs any more" in refused.refused
        settled = await books(desk)
        assert settled.adjusted == 0
        assert settled.transfers == 40


async def test_money_is_not_settled_before_positions_are(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        number = await standing(desk)
        desk.venue.engine.tampering.set_position(
            "main", MARKET.symbol, 70, against=CROWD, told=True
        )
        assert "settle them first" in (await take_venues_word(desk, number)).refused


async def test_a_run_that_read_before_a_decision_opens_nothing(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        number = await standing(desk)

        async def decide() -> None:
            assert not (await take_venues_word(desk, number)).refused

        ports, decision = interrupted_at(desk.ports, "breaks", "open", decide, after=False)
        await reconcile(replace(desk, ports=ports), ACCOUNT)
        assert decision.happened
        assert (await reconcile(desk, ACCOUNT)).standing == ()
        assert (await books(desk)).adjusted == 40
        assert await holds(desk) == set()


# --- anchors -----------------------------------------------------------------------------------


async def test_a_first_comparison_does_not_stand_on_an_old_mark(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        instrument = await quoted(desk)
        await send(desk, our_id(9), lots=500, taking=True)
        venue = await desk.ports.venues.venue("ocx", "main")
        await desk.ports.ledger.book_fills(MARKET, await venue.account.fills(instrument, 0))
        bids, asks = desk.venue.engine.book(MARKET.symbol, 1)
        mid = instrument.tick_size * (bids[0][0] + asks[0][0]) / 2
        for at_ms, marked in ((now_ms(desk) - 3 * DAY_MS, mid * Decimal("0.9")), (None, mid)):
            mark = EquityMark(
                market=MARKET,
                epoch=1,
                pnl=Decimal(0),
                peak=Decimal(0),
                position=500,
                mid=marked,
                at_ms=now_ms(desk) if at_ms is None else at_ms,
            )
            desk.ports.writer.record(mark)
            assert await desk.ports.writer.flush(30)
            report = await reconcile(desk, ACCOUNT)
            assert (report.found, report.standing) == (0, ())


async def aged(desk: Desk, **changes: object) -> ReconciliationRun:
    """The last run, with another anchor, as one more run."""
    run = await last(desk, ACCOUNT)
    ours = json.loads(run.ours)
    ours["anchor"] |= changes
    old = replace(run, run_id="aged", began_ms=run.began_ms + 1, ours=json.dumps(ours))
    await desk.ports.reconciliations.record(old)
    return old


async def test_what_a_new_anchor_accepts_is_on_record_with_its_sum(
    open_desk: OpenDesk, database_url: str
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await reconcile(desk, ACCOUNT)
        day_ago_ms = now_ms(desk) - DAY_MS - 3_600_001
        await aged(desk, at_ms=day_ago_ms, seen_ms=day_ago_ms, untold="20", accepted="11")
        move(desk, -15)
        report: ReconcileReport = await reconcile(desk, ACCOUNT)
        assert (report.found, report.standing) == (0, ())
        anchor = json.loads((await last(desk, ACCOUNT)).ours)["anchor"]
        assert (anchor["equity"], anchor["untold"], anchor["accepted"]) == ("99985", "0", "-4")
        assert await desk.ports.writer.flush(30)
        query = "SELECT reason FROM control_decisions WHERE kind = 'reconciliation accepts'"
        ((reason,),) = await rows(database_url, query)
        assert str(reason).startswith("-15 between the venue's equity and our books")
        assert str(reason).endswith("of 20.00 that it may be; -4 in all")
        move(desk, -15)
        (number,) = (await reconcile(desk, ACCOUNT)).standing
        (known,) = [one for one in await breaks(desk) if one.number == number]
        assert known.found.kind is BreakKind.BALANCE
        assert "-4 was accepted before" in known.found.text


async def test_nothing_is_accepted_while_a_break_waits_for_a_decision(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        number = await standing(desk)
        move(desk, -25)
        day_ago_ms = now_ms(desk) - DAY_MS - 3_600_001
        await aged(desk, at_ms=day_ago_ms, seen_ms=day_ago_ms, untold="20")
        assert (await reconcile(desk, ACCOUNT)).standing == (number,)
        anchor = json.loads((await last(desk, ACCOUNT)).ours)["anchor"]
        assert (anchor["equity"], anchor["at_ms"]) == ("100000", day_ago_ms)
        assert (await take_venues_word(desk, number)).booked == "+15 was booked to the account"


# --- positions that hide -----------------------------------------------------------------------


async def test_books_that_are_wrong_by_one_clip_are_found_while_clips_trade(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        instrument = await quoted(desk)
        venue = await desk.ports.venues.venue("ocx", "main")
        seen = []
        for number in range(4):
            await send(desk, our_id(number), lots=50, taking=True)
            await desk.ports.ledger.book_fills(MARKET, await venue.account.fills(instrument, 0))
            if number == 0:
                desk.venue.engine.tampering.set_position(
                    "main", MARKET.symbol, 0, against=CROWD, told=True
                )
            seen.append(len((await reconcile(desk, ACCOUNT)).standing))
        assert seen == [0, 0, 1, 1], "once could be a race, three times on end is none"
        (known,) = await breaks(desk)
        assert (known.found.kind, known.found.symbol) == (BreakKind.POSITION, MARKET.symbol)


async def test_a_market_that_the_venue_lists_no_more_can_be_settled(open_desk: OpenDesk) -> None:
    async with open_desk() as plain:
        instrument = await quoted(plain)
        venue = await plain.ports.venues.venue("ocx", "main")
        await send(plain, our_id(1), lots=50, taking=True)
        await plain.ports.ledger.book_fills(MARKET, await venue.account.fills(instrument, 0))

        async def others() -> Sequence[Any]:
            return [one for one in await venue.instruments() if one.symbol != MARKET.symbol]

        desk = await with_venue(plain, lambda known: With(known, instruments=others))
        plain.venue.engine.tampering.set_position(
            "main", MARKET.symbol, 0, against=CROWD, told=True
        )
        (number,) = (await reconcile(desk, ACCOUNT)).standing
        plain.venue.engine.tampering.set_position(
            "main", MARKET.symbol, 50, against=CROWD, told=True
        )
        refused = await take_venues_word(desk, number, price=Decimal(60_000))
        assert "nobody can say that it holds none" in refused.refused
        plain.venue.engine.tampering.set_position(
            "main", MARKET.symbol, 0, against=CROWD, told=True
        )
        assert "give one with the decision" in (await take_venues_word(desk, number)).refused
        settled = await take_venues_word(desk, number, price=Decimal(60_000))
        assert settled.booked == "-0.0050 BTC-PERP was booked at 60000"
        assert await held(desk) == 0
        assert (await reconcile(desk, ACCOUNT)).standing == ()
        assert "not_judged" not in json.loads((await last(desk, ACCOUNT)).ours)
