"""A decision settles what it was made on, and who was too late is not told that it did."""

from dataclasses import replace

from activities.breaks import open_break
from activities.breaks_messages import BreakSettled
from desk.breaks import BreakKind
from tests.activities.break_desk import copies, found, interrupted_at
from tests.activities.conftest import MARKET, OpenDesk
from tests.activities.test_breaks import RECHECK, VENUE, alter_position, settle
from tests.activities.test_market_activities import quote


async def test_who_was_later_is_not_told_that_something_was_booked(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        alter_position(desk, 5)
        await quote(desk, 2)
        (known,) = await desk.ports.breaks.standing()

        async def bob() -> None:
            await settle(desk, known, RECHECK, by="bob")

        ports, step = interrupted_at(desk.ports, "breaks", "settle", bob, after=False)
        answer = await settle(replace(desk, ports=ports), known, VENUE, by="ana")
        assert step.happened
        assert answer == BreakSettled()
        (settled,) = await desk.ports.breaks.recent(9)
        assert (settled.settled_by, settled.decision) == ("bob", RECHECK)
        assert (await desk.ports.ledger.facts(MARKET, 0)).position == 0


async def test_a_decision_on_another_difference_settles_nothing(open_desk: OpenDesk) -> None:
    async with open_desk() as desk:
        known = await open_break(desk.ports, found(desk.ports))
        old = replace(known.found, kind=BreakKind.TRACE)
        answer = await settle(desk, known, VENUE, by="rule r", found=old)
        assert "another difference by now" in answer.refused
        assert (await copies(desk.ports)).closed
        assert not (await settle(desk, known, RECHECK, found=known.found)).refused
        assert (await copies(desk.ports)).opened
