"""What was paid, read on from where it was read last; trouble with it hides no position."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from desk.breaks import BreakKind
from desk.errors import OutOfReach, Unresolved
from desk.payments import Payment, PaymentKind
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.test_reconciliation import (
    ACCOUNT,
    HOLD,
    books,
    breaks,
    holds,
    last,
    now_ms,
    quoted,
    reconcile,
)
from tests.activities.test_reconciliation_money import With, paid, telling, with_venue
from venues.simulation.hand import CROWD

DAY_MS = 86_400_000
FUNDING, TRANSFER = PaymentKind.FUNDING, PaymentKind.TRANSFER
Payments = Callable[[int, PaymentKind], Awaitable[Sequence[Payment]]]


async def listing(desk: Desk, payments: Payments) -> Desk:
    """The same desk, whose venue lists payments as told."""

    def change(venue: Any) -> Any:
        return With(
            venue,
            account=With(venue.account, payments=payments),
            capabilities=replace(venue.capabilities, tells_payments=frozenset(PaymentKind)),
        )

    return await with_venue(desk, change)


async def alerts(desk: Desk) -> list[str]:
    assert await desk.ports.writer.flush(30)
    ledger: Any = desk.ports.ledger
    return [one.text for one in await ledger.alerts(0)]


async def test_payments_that_cannot_be_read_hide_no_position_and_are_told_once(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        readable = await telling(plain, [])
        await reconcile(readable, ACCOUNT)

        async def unread(_since_ms: int, _kind: PaymentKind) -> Sequence[Payment]:
            raise Unresolved("payments: unreadable answer")

        desk = await listing(plain, unread)
        desk.venue.engine.tampering.set_position(
            "main", MARKET.symbol, 70, against=CROWD, told=True
        )
        report = await reconcile(desk, ACCOUNT)
        assert [one.found.kind for one in await breaks(desk)] == [BreakKind.POSITION]
        assert await holds(desk) == {HOLD}
        assert report.expected is None, "money is not judged"
        assert "unreadable answer" in report.trouble
        for _ in range(3):
            await reconcile(desk, ACCOUNT)
        told = [one for one in await alerts(desk) if "not judged" in one]
        assert len(told) == 1
        assert "anchor" in json.loads((await last(desk, ACCOUNT)).ours)


async def test_an_old_transfer_has_no_funding_read_again(open_desk: OpenDesk) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        asked: list[tuple[PaymentKind, int]] = []

        async def none(since_ms: int, kind: PaymentKind) -> Sequence[Payment]:
            asked.append((kind, since_ms))
            return ()

        desk = await listing(plain, none)
        await desk.ports.payments.book(
            [
                paid(desk, "d1", 1, ago_ms=90 * DAY_MS),
                paid(desk, "f1", 1, ago_ms=DAY_MS, funding=True),
            ]
        )
        await reconcile(desk, ACCOUNT)
        (funding,) = [since_ms for kind, since_ms in asked if kind is FUNDING]
        assert now_ms(desk) - funding < 2 * DAY_MS + 60_000
        asked.clear()
        await reconcile(desk, ACCOUNT)
        assert {kind for kind, _ in asked} == {FUNDING, TRANSFER}
        late = {kind: now_ms(desk) - since_ms for kind, since_ms in asked}
        assert late[FUNDING] < DAY_MS + 60_000, "from when money was judged"
        assert late[TRANSFER] < 14 * DAY_MS + 60_000


async def test_a_withdrawal_that_pended_for_days_is_booked_by_whoever_compares_then(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        listed = [paid(plain, "d1", 1)]
        await reconcile(await telling(plain, listed), ACCOUNT)
        listed.append(paid(plain, "w1", -5, ago_ms=9 * DAY_MS))
        await reconcile(await telling(plain, listed), ACCOUNT)
        assert (await books(plain)).transfers == -4


async def test_a_history_that_is_too_short_is_read_as_far_as_it_goes_and_the_gap_is_told(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        reaches_ms = now_ms(plain) - DAY_MS
        newest = paid(plain, "f2", 3, ago_ms=60_000, funding=True)

        async def short(since_ms: int, kind: PaymentKind) -> Sequence[Payment]:
            if kind is TRANSFER:
                return ()
            if since_ms < reaches_ms:
                raise OutOfReach("the venue's history ends before the time asked for", reaches_ms)
            return [newest]

        desk = await listing(plain, short)
        await desk.ports.payments.book([paid(desk, "f1", 1, ago_ms=3 * DAY_MS, funding=True)])
        for _ in range(2):
            assert not (await reconcile(desk, ACCOUNT)).trouble
        assert (await desk.ports.ledger.facts(MARKET, 1)).funding == 4
        told = [one for one in await alerts(desk) if "what was paid between" in one]
        assert len(told) == 1
