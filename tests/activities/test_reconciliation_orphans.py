"""An order of ours that no cancel reaches: told once, tried each time, and settled when it goes."""

from typing import Any

from desk.breaks import BreakDecision, BreakKind
from desk.errors import Unresolved
from tests.activities.conftest import MARKET, OpenDesk
from tests.activities.sending import send
from tests.activities.test_reconciliation import (
    ORDERS,
    breaks,
    holds,
    our_id,
    quoted,
    reconcile,
    resting,
)
from tests.activities.test_reconciliation_money import With, with_venue


async def test_an_orphan_that_does_not_go_is_told_once_and_tried_each_time(
    open_desk: OpenDesk,
) -> None:
    async with open_desk() as desk:
        await quoted(desk)
        await send(desk, our_id(1))
        tried = []

        def change(venue: Any) -> Any:
            async def cancel(*given: Any) -> None:
                tried.append(given)
                raise Unresolved("cancel: nobody answered in time")

            return With(venue, execution=With(venue.execution, cancel=cancel))

        stuck = await with_venue(desk, change)
        for _ in range(3):
            report = await reconcile(stuck, ORDERS)
            assert "was not cancelled" in report.trouble
        assert len(tried) == 3
        (known,) = await breaks(desk)
        assert (known.found.kind, known.open) == (BreakKind.ORPHAN, True)
        assert report.standing == (known.number,)
        assert await holds(desk) == set()
        (told,) = await desk.ports.ledger.alerts(0)  # type: ignore[attr-defined]
        assert (told.market, told.severity) == (MARKET, "warning")
        assert told.text.endswith("1 of them did not go")

        await reconcile(desk, ORDERS)
        assert resting(desk) == set()
        (known,) = await breaks(desk)
        assert known.decision is BreakDecision.RULE
        last, _ = await desk.ports.ledger.alerts(0)  # type: ignore[attr-defined]
        assert last.text.endswith("cancelled by its id")
