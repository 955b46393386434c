"""What the ledger says of a market whose owner is looked for: its position and its last step."""

from decimal import Decimal

import pytest

from desk.identity import MarketId
from desk.ownership import BookedExposure
from desk.records import ControlDecision
from infra.postgres.engine import Database
from infra.postgres.hedges import PostgresHedgeBook
from infra.postgres.journal import write_batch
from infra.postgres.ownership import PostgresOwnership
from infra.postgres.reader import PostgresLedger
from tests.infra.postgres.samples import BTC, MARKET, OTHER, START_MS, answered, fill, sent

pytestmark = pytest.mark.services


@pytest.fixture
def book(database: Database) -> PostgresOwnership:
    return PostgresOwnership(database)


async def step(ledger: PostgresLedger, market: MarketId, kind: str, number: int) -> None:
    await ledger.record_decision(
        ControlDecision(
            market=market,
            epoch=1,
            kind=kind,
            reason="",
            by="ana",
            evidence="",
            at_ms=START_MS + number,
        )
    )


async def test_a_market_that_never_had_an_epoch_is_not_ours(book: PostgresOwnership) -> None:
    assert await book.exposures("ocx", "main", ["BTC-PERP", "ETH-PERP"]) == ()


async def test_an_account_is_quoted_from_its_first_epoch_on(
    book: PostgresOwnership, ledger: PostgresLedger
) -> None:
    assert not await book.quoted("ocx", "main")
    await ledger.open_epoch(MARKET, "worker-1/1", "run")
    assert await book.quoted("ocx", "main")
    assert not await book.quoted("ocx", "desk2")


async def test_what_rests_is_told_with_the_newest_epoch_and_its_owner(
    book: PostgresOwnership, ledger: PostgresLedger, database: Database
) -> None:
    """An older one would let two sessions use the same order ids."""
    for market, run in ((MARKET, 1), (MARKET, 2), (OTHER, 1)):
        await ledger.open_epoch(market, f"worker-1/{run}", "run")
    await database.transaction(lambda c: write_batch(c, [sent(1), answered(1)]))
    (found,) = await book.resting()
    assert (found.market, found.epoch, found.owner) == (MARKET, 2, "worker-1/2")


async def test_markets_with_a_booked_position_are_named_without_being_asked_for(
    book: PostgresOwnership, ledger: PostgresLedger
) -> None:
    for market in (MARKET, OTHER, MarketId("ocx", "desk2", "BTC-PERP")):
        await ledger.open_epoch(market, "worker-1/1", "run")
    await ledger.remember_instrument(BTC)
    await ledger.book_fills(MARKET, [fill(1, lots=3)])
    held = BookedExposure(market=MARKET, quantity=Decimal("0.003"))
    assert await book.exposures("ocx", "main", []) == (held,)
    flat = BookedExposure(market=OTHER, quantity=Decimal(0))
    assert await book.exposures("ocx", "main", ["ETH-PERP"]) == (held, flat)


async def test_the_last_step_is_the_newest_of_its_life_and_nothing_else(
    book: PostgresOwnership, ledger: PostgresLedger
) -> None:
    await ledger.open_epoch(MARKET, "worker-1/1", "run")
    for number, kind in enumerate(
        ["standing_down->stopped", "starting->quoting", "guardian alarm", "dead-man fired"]
    ):
        await step(ledger, MARKET, kind, number)
    await step(ledger, OTHER, "standing_down->stopped", 9)
    (found,) = await book.exposures("ocx", "main", ["BTC-PERP"])
    assert found.last_step == "starting->quoting"
    await step(ledger, MARKET, "flatten ended: abandoned", 10)
    (found,) = await book.exposures("ocx", "main", ["BTC-PERP"])
    assert found.last_step == "flatten ended: abandoned"


async def test_a_hedge_names_the_market_it_hedges_and_its_own_last_step(
    book: PostgresOwnership, ledger: PostgresLedger, database: Database
) -> None:
    source = MarketId("x10", "main", "BTC-USD")
    epoch = await ledger.open_epoch(OTHER, "hedge/run", "run")
    await PostgresHedgeBook(database).owe(source, OTHER, epoch, owed=5, position=0)
    await step(ledger, source, "starting->quoting", 1)
    await step(ledger, source, "hedge started", 2)
    await step(ledger, source, "quoting->paused", 3)
    (found,) = await book.exposures("ocx", "main", ["ETH-PERP"])
    assert (found.hedges, found.last_step) == (source, "hedge started")
    await step(ledger, source, "hedge stopped", 4)
    (found,) = await book.exposures("ocx", "main", ["ETH-PERP"])
    assert (found.kept, found.last_step) == (True, "hedge stopped")
    # Quoted by a session later on, it is a market like any other.
    await ledger.open_epoch(OTHER, "worker-1/1", "run")
    (found,) = await book.exposures("ocx", "main", ["ETH-PERP"])
    assert (found.hedges, found.last_step) == (None, "")
