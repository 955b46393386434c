"""Waived lots are written once for each decision, shrink alone, and outlive who was told."""

import asyncio

import pytest

from desk.arbitrage_records import TradeStage
from infra.postgres.arbitrage import PostgresArbitrageBook
from infra.postgres.arbitrage_waivers import PostgresWaivers
from infra.postgres.engine import Database
from tests.infra.postgres.arbitrage_samples import NO, YES, fired

pytestmark = pytest.mark.services


@pytest.fixture
def waivers(database: Database) -> PostgresWaivers:
    return PostgresWaivers(database)


async def test_a_decision_is_on_record_once_and_for_its_set_alone(waivers: PostgresWaivers) -> None:
    assert await waivers.waived("rain") == {}
    await waivers.waive("rain", {}, epoch=1)
    await waivers.waive("rain", {YES: -5, NO: 0}, epoch=3)
    await waivers.waive("rain", {YES: -50, NO: -50}, epoch=3)
    assert await waivers.waived("rain") == {YES: -5, NO: 0}
    assert await waivers.waived("snow") == {}
    await waivers.waive("rain", {YES: -7, NO: 2}, epoch=4)
    await waivers.waive("rain", {YES: -5, NO: 0}, epoch=3)
    assert await waivers.waived("rain") == {YES: -7, NO: 2}, "an older word came late"


async def test_what_a_run_found_gone_does_not_come_back(waivers: PostgresWaivers) -> None:
    await waivers.waive("rain", {YES: -5, NO: 4}, epoch=3)
    await waivers.shrink("rain", {YES: -2, NO: 9}, epoch=4)
    assert await waivers.waived("rain") == {YES: -2, NO: 4}, "it never grows"
    await waivers.shrink("rain", {YES: -4, NO: -4}, epoch=5)
    assert await waivers.waived("rain") == {YES: -2, NO: 0}, "nor turns round"
    await waivers.waive("rain", {YES: -5, NO: 4}, epoch=3)
    assert await waivers.waived("rain") == {YES: -2, NO: 0}, "the decision's second attempt"


async def test_a_run_from_before_the_decision_says_nothing_of_it(waivers: PostgresWaivers) -> None:
    await waivers.waive("rain", {YES: -5}, epoch=3)
    await waivers.shrink("rain", {YES: 0}, epoch=3)
    await waivers.shrink("snow", {YES: 0}, epoch=9)
    assert await waivers.waived("rain") == {YES: -5}
    assert await waivers.waived("snow") == {}


async def test_two_who_write_at_once_agree(waivers: PostgresWaivers) -> None:
    legs = [{YES: -5, NO: -5}, {NO: -5, YES: -5}]
    await asyncio.gather(*(waivers.waive("rain", legs[n % 2], epoch=n) for n in range(1, 9)))
    await asyncio.gather(*(waivers.shrink("rain", {YES: -n}, epoch=9) for n in range(1, 9)))
    assert await waivers.waived("rain") == {YES: -1, NO: -5}


async def test_a_settled_trade_stays_so_and_is_a_persons(database: Database) -> None:
    book, key = PostgresArbitrageBook(database), fired().key
    await book.opened(fired())
    await book.settled(key, payout=fired().units, edge=fired().units, by="fills", reason="done")
    (before,) = await book.recent(5, "rain")
    for name in ("ana", "bob"):
        assert await book.hand_over(key, name, "its late fill") is TradeStage.SETTLED
    (after,) = await book.recent(5, "rain")
    assert (before.a_persons, after.a_persons) == (False, True)
    assert (after.stage, after.locked, after.edge) == (TradeStage.SETTLED, (), before.edge)
    (step,) = [one for one in after.steps if one.stage is TradeStage.HANDED_OVER]
    assert (step.by, step.reason) == ("ana", "its late fill")
