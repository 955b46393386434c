"""The page says what is measured from where, what is limited, and until when it is latched."""

from dataclasses import replace
from decimal import Decimal

from activities.loss_messages import LossPicture, ScopeLoss
from desk.daily_loss import DayLimits
from desk.records import KillEffect
from workflows.daily_loss_messages import DailyLossStatus
from workflows.daily_loss_page import losses_page

BEGINS_MS, ENDS_MS = 1_763_683_200_000, 1_763_769_600_000
ROW = ScopeLoss(
    scope="fleet",
    start=Decimal(10),
    now=Decimal("-20.5"),
    peak=Decimal(12),
    limits=DayLimits(soft=Decimal(20), hard=Decimal(25), drawdown=Decimal(31)),
    latch=KillEffect.REDUCE,
    latch_until_ms=ENDS_MS,
)


def page(*rows: ScopeLoss, uncounted: tuple[str, ...] = ()) -> str:
    picture = LossPicture(
        at_ms=BEGINS_MS, begins_ms=BEGINS_MS, ends_ms=ENDS_MS, scopes=rows, uncounted=uncounted
    )
    return losses_page(DailyLossStatus(picture=picture, history=())).replace("\u00a0", "")


def test_the_page_shows_the_day_the_references_the_limits_and_the_latch() -> None:
    text = page(ROW)
    assert "2025-11-21 00:00 UTC to 2025-11-22 00:00 UTC" in text
    assert "since start | below peak" in text
    assert "| -30.50 | -32.50 | 20 | 25 | 31 | reduce until 2025-11-22 00:00 UTC |" in text
    assert "deposits and withdrawals are no part of it" in text


def test_the_markets_that_lost_most_are_shown_and_the_rest_counted() -> None:
    markets = [
        replace(ROW, scope=f"market:ocx/main/M{number:02}", now=Decimal(-number))
        for number in range(25)
    ]
    text = page(ROW, *markets)
    assert "M24" in text
    assert "M03" not in text
    assert "5 more markets lost less." in text


def test_what_could_not_be_counted_is_said() -> None:
    assert "Not counted, no price known yet: ocx/main/X." in page(ROW, uncounted=("ocx/main/X",))


def test_before_the_first_look_there_is_nothing() -> None:
    assert losses_page(DailyLossStatus(picture=None, history=())).endswith("Not looked yet.")
