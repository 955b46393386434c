"""What a crash or a lost database leaves behind is found again, and nothing starts by itself."""

import re

import asyncpg
from temporalio.service import RPCError, RPCStatusCode

from flotilla.owned import Owned, owned_markets
from tests.chaos.ground import Market, kill
from tests.chaos.outages import empty_redis, unreachable
from tests.chaos.test_unowned import LOOKS, alerts
from workflows import names

# A schedule that is missing is made within half a minute; then the first look is made.
BOUND_S = 150


async def on_record(market: Market) -> dict[str, bool]:
    """Client order ids that our books know were sent, and whether they rest by them."""
    session = await asyncpg.connect(market.services.database_url.replace("+asyncpg", ""), ssl=False)
    try:
        found = await session.fetch(
            "SELECT client_order_id, ended_at IS NULL "
            "AND COALESCE(outcome, '') NOT IN ('rejected', 'denied') AS rests "
            "FROM orders WHERE account = $1 AND sent_at IS NOT NULL",
            market.id.account,
        )
    finally:
        await session.close()
    return {row["client_order_id"]: row["rests"] for row in found}


async def resting(market: Market) -> set[str]:
    """Client order ids that rest, by the venue's own record."""
    log = await market.log()
    rests = log.resting()
    return {one.identity.encode() for one in log.accepted() if one.order_id in rests}


async def cancelled(market: Market) -> int:
    """How many orders the dead-man's switch says the venue took away."""
    session = await asyncpg.connect(market.services.database_url.replace("+asyncpg", ""), ssl=False)
    try:
        (said,) = await session.fetch(
            "SELECT evidence FROM control_decisions WHERE account = $1 AND kind = 'dead-man fired'",
            market.id.account,
        )
    finally:
        await session.close()
    found = re.search(r"cancelled (\d+)", said["evidence"])
    assert found is not None, said
    return int(found[1])


async def owned(market: Market) -> Owned:
    """What the ledger says of this market."""
    (one,) = [one for one in await owned_markets(market.settings) if one.market == market.id]
    return one


async def lose_temporal(market: Market) -> None:
    """Its database is deleted and the server killed: it comes back knowing nothing."""
    for file in (market.services.data_dir / "temporal").glob("temporal.db*"):
        file.unlink()
    market.services.kill("temporal")
    assert market.handle is not None
    handle = market.handle

    async def forgotten() -> bool:
        try:
            await handle.describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await market.until("Temporal knows nothing of it", forgotten, within_s=60)
    market.handle = None


async def test_orders_sent_while_postgres_was_away_are_found_or_counted_after_a_kill(
    market: Market,
) -> None:
    """Killed with -9 its backlog is lost, and no spool was written: only the venue knows.

    Whoever clears cancels first: of what the venue lists no more by then, it told the number.
    """
    worker = await market.quoting()
    async with unreachable(market, "postgres"):
        before = (await market.log()).accepted()[-1].sequence

        async def more_were_sent() -> bool:
            newer = [one for one in (await market.log()).accepted() if one.sequence > before]
            return len(newer) >= 10 and bool(await resting(market))

        await market.until("orders were sent that no record has", more_were_sent)
        await market.venue.post("quiet", {"marketId": market.id.symbol, "on": True})
        await kill(worker)
    rested = await resting(market)
    assert rested, "something rested when its session died"
    assert rested - set(await on_record(market)), "and nobody had recorded it"
    epoch = await market.epoch()
    # Nobody trades with them until they are found.
    await market.worker()

    async def cleared() -> bool:
        return not (await market.log()).resting(epoch=epoch)

    await market.until("nothing of the dead session rests", cleared, within_s=60)
    await market.venue.post("quiet", {"marketId": market.id.symbol, "on": False})
    await market.until("it quotes again", lambda: market.quotes_above(epoch), within_s=90)

    async def accounted_for() -> bool:
        listed = rested & set(await on_record(market))
        return listed == rested or await cancelled(market) == len(rested)

    await market.until("what was found is on record", accounted_for)
    known = await on_record(market)
    assert not [one for one in rested if known.get(one)], "as over"
    await market.finish()
    assert not any((await on_record(market)).values()), "nothing rests by our books"
    await market.judge()


async def test_a_lost_temporal_starts_nothing_and_leaves_nothing_unwatched(market: Market) -> None:
    """Its guardian is made again, cancels what rests, tells what is held, and quotes nothing."""
    worker = await market.worker(**LOOKS)
    await market.start()
    await market.until("something rests", market.has_quotes)
    await market.venue.post("quiet", {"marketId": market.id.symbol, "on": True})
    await market.hold_a_position()

    async def booked() -> bool:
        return bool((await owned(market)).held) and await market.has_quotes()

    await market.until("our books hold it, and something rests", booked, within_s=60)
    await kill(worker)
    await empty_redis(market)
    await lose_temporal(market)
    epoch = await market.epoch()
    assert await market.has_quotes(), "only the venue knows of them"
    before = await owned(market)
    assert before.left_alone
    assert before.held
    assert before.workflow == "none"
    await market.worker(**LOOKS)
    await market.until("nothing rests", market.has_none, within_s=BOUND_S)

    async def guarded() -> bool:
        schedule = names.guardian_schedule_id("chaos", market.id.venue, market.id.account)
        return bool(await market.client.get_schedule_handle(schedule).describe())

    await market.until("the guardian is scheduled again", guarded, within_s=BOUND_S)

    async def told() -> bool:
        return len(await alerts(market, "nobody owns it")) == 1

    await market.until("a person is told of the position", told, within_s=BOUND_S)
    log = await market.log()
    assert log.epochs()[-1] == epoch, "nobody quoted again"
    after = await owned(market)
    assert (after.held, after.workflow) == (before.held, "none")
    # What was owned is owned again by a person's word, and the books agree.
    await market.start()
    await market.venue.post("quiet", {"marketId": market.id.symbol, "on": False})
    await market.until("it quotes again", lambda: market.quotes_above(epoch), within_s=90)
    await market.finish()
    await market.judge()


async def test_a_worker_that_outlives_temporals_database_makes_its_schedules_again(
    market: Market,
) -> None:
    await market.worker(**LOOKS)
    await market.start()
    await market.until("something rests", market.has_quotes)
    epoch = await market.epoch()
    await lose_temporal(market)
    await market.until("its session leaves", market.has_none, within_s=60)

    async def guarded() -> bool:
        schedule = names.guardian_schedule_id("chaos", market.id.venue, market.id.account)
        return bool(await market.client.get_schedule_handle(schedule).describe())

    await market.until("the guardian is scheduled again", guarded, within_s=BOUND_S)
    assert (await market.log()).epochs()[-1] == epoch, "nobody quoted again"
    assert not any((await on_record(market)).values()), "nothing rests by our books"
