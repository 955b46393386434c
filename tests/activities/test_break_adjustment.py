"""What a decision books is what differs for good, and no more of it than was found."""

from decimal import Decimal
from itertools import count
from typing import Any

from desk.instrument import Instrument
from desk.reconciliation import Tolerance
from tests.activities.conftest import MARKET, Desk, OpenDesk
from tests.activities.test_reconciliation import ACCOUNT, books, held, quoted, reconcile
from tests.activities.test_reconciliation_money import (
    With,
    move,
    standing,
    take_venues_word,
    telling,
    with_venue,
)
from venues.simulation.hand import CROWD


def hold(desk: Desk, lots: int) -> None:
    """Behind everybody's back."""
    desk.venue.engine.tampering.set_position("main", MARKET.symbol, lots, against=CROWD, told=True)


async def test_no_money_is_booked_while_what_differs_still_moves(open_desk: OpenDesk) -> None:
    async with open_desk() as plain:
        number = await standing(plain)
        desk = await telling(plain, [], lambda: move(plain, 5))
        assert "still moves" in (await take_venues_word(desk, number)).refused
        assert (await books(desk)).adjusted == 0


async def test_no_position_is_booked_while_what_differs_still_moves(open_desk: OpenDesk) -> None:
    async with open_desk() as plain:
        await quoted(plain)
        hold(plain, 70)
        (number,) = (await reconcile(plain, ACCOUNT)).standing
        growing = count(71)

        def change(venue: Any) -> Any:
            async def position(instrument: Instrument) -> Any:
                hold(plain, next(growing))
                return await venue.account.position(instrument)

            return With(venue, account=With(venue.account, position=position))

        desk = await with_venue(plain, change)
        assert "still moves" in (await take_venues_word(desk, number)).refused
        assert await held(desk) == 0


async def test_a_break_is_no_smaller_because_more_is_allowed_by_now(open_desk: OpenDesk) -> None:
    """It ends by itself, or is no difference to a decision, only as far as was allowed then."""
    async with open_desk() as desk:
        await quoted(desk)
        narrow, wide = Tolerance(amount=Decimal("0.1")), Tolerance(amount=Decimal(20))
        await reconcile(desk, ACCOUNT, tolerance=narrow)
        desk.venue.engine.tampering.move_balance("main", Decimal("0.5"), against=CROWD)
        (number,) = (await reconcile(desk, ACCOUNT, tolerance=narrow)).standing
        for _ in range(4):
            assert (await reconcile(desk, ACCOUNT, tolerance=wide)).standing == (number,)
        settled = await take_venues_word(desk, number)
        assert settled.booked == "+0.5 was booked to the account"
