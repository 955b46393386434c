"""PostgreSQL's books depend on what happened, not on how, when and how often it was told.

Every way into the books takes part: the writer's batches, the spool, the back-fill from the
venue's history, payments, two connections at once, transactions cut off and written again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import astuple, replace
from itertools import count, groupby
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.errors import Unavailable
from desk.identity import MarketId
from desk.orders import Fill
from desk.payments import Payment
from desk.records import LedgerRecord
from infra.postgres.engine import TROUBLES, Database
from infra.postgres.journal import write_batch
from infra.postgres.payments import PostgresPayments
from infra.postgres.reader import PostgresLedger
from infra.postgres.refusal import is_refusal
from infra.postgres.spool import Spool
from infra.postgres.times import to_ms
from tests.infra.postgres.histories import (
    Telling,
    Truth,
    books,
    instruments,
    market_of,
    mids,
    tellings,
    truths,
)

pytestmark = [pytest.mark.services, pytest.mark.timeout(3_600)]

_EXAMPLES = count(1)
_TRIES = 20
_SYMBOLS = ("BTC-PERP", "ETH-PERP")
Rows: TypeAlias = dict[tuple[object, ...], tuple[object, ...]]


class CutOffError(Exception):
    """The process died before the commit."""


class Teller:
    """Tells pieces of a history to the books, each by the way it would come in life."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._ledger = PostgresLedger(database)
        self._payments = PostgresPayments(database)
        self._folder = folder
        self._spools = count(1)

    async def remember(self, venue: str, symbol: str) -> None:
        for instrument in instruments(venue):
            if instrument.symbol == symbol:
                await insist(lambda made=instrument: self._ledger.remember_instrument(made))  # type: ignore[misc]

    async def tell(self, piece: Sequence[Telling], manner: str) -> None:
        for kind, some in groupby(piece, _way):
            part = list(some)
            if kind is Payment:
                paid = [one for one in part if isinstance(one, Payment)]
                await insist(lambda paid=paid: self._payments.book(paid))  # type: ignore[misc]
            elif kind is Fill:
                await self._backfill([one for one in part if isinstance(one, Fill)])
            else:
                records = [one for one in part if not isinstance(one, Payment | Fill)]
                await self._write(records, manner)

    async def _backfill(self, fills: Iterable[Fill]) -> None:
        for market, some in groupby(sorted(fills, key=market_of), market_of):
            heard = list(some)
            await insist(lambda m=market, heard=heard: self._ledger.book_fills(m, heard))  # type: ignore[misc]

    async def _write(self, records: Sequence[LedgerRecord], manner: str) -> None:
        if manner == "cut off":
            with pytest.raises(CutOffError):
                await insist(lambda: self._database.attempt(lambda c: _cut_off(c, records)))
        if manner == "spooled":
            await self._spooled(records)
        for _ in range(2 if manner == "commit unheard" else 1):
            await insist(lambda: self._database.attempt(lambda c: write_batch(c, records)))

    async def _spooled(self, records: Sequence[LedgerRecord]) -> None:
        spool = Spool(self._folder / f"{next(self._spools)}", name="dead")
        spool.keep(records)
        (spooled,) = spool.waiting()
        assert spooled.unreadable == 0
        kept = spooled.records
        await insist(lambda: self._database.attempt(lambda c: write_batch(c, kept)))
        spool.done(spooled)


async def insist(call: Callable[[], Awaitable[object]]) -> None:
    """As the writer does: what was not refused is tried again, such as after a deadlock of two."""
    for _ in range(_TRIES):
        try:
            await call()
            return
        except Unavailable:
            continue
        except TROUBLES as error:
            if is_refusal(error):
                raise
    pytest.fail(f"not written in {_TRIES} tries")


async def _cut_off(connection: AsyncConnection, records: Sequence[LedgerRecord]) -> None:
    await write_batch(connection, records)
    raise CutOffError


def _way(one: Telling) -> type:
    return type(one) if isinstance(one, Payment | Fill) else object


_MANNERS = st.sampled_from(["plain", "plain", "cut off", "commit unheard", "spooled"])


@st.composite
def moments(draw: st.DrawFn, told: Sequence[Telling]) -> list[list[tuple[Sequence[Telling], str]]]:
    """The tellings cut into pieces; pieces of one moment are told at once."""
    pieces, at = [], 0
    while at < len(told):
        size = draw(st.integers(1, 9))
        pieces.append((told[at : at + size], draw(_MANNERS)))
        at += size
    found, at = [], 0
    while at < len(pieces):
        size = draw(st.sampled_from([1, 1, 2, 3]))
        found.append(pieces[at : at + size])
        at += size
    return found


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
async def test_any_telling_of_the_same_events_gives_the_same_books(
    database: Database, tmp_path: Path, data: st.DataObject
) -> None:
    # A venue of its own for each example: the tables are never emptied.
    venue = f"v{next(_EXAMPLES)}"
    truth = data.draw(truths(venue=venue))
    told = data.draw(tellings(truth))
    plan = data.draw(moments(told))
    known = {symbol: data.draw(st.integers(0, len(plan))) for symbol in _SYMBOLS}
    teller = Teller(database, tmp_path / venue)
    for number, moment in enumerate([*plan, []]):
        async with asyncio.TaskGroup() as at_once:
            for symbol in _SYMBOLS:
                if known[symbol] == number:
                    at_once.create_task(teller.remember(venue, symbol))
            for piece, manner in moment:
                at_once.create_task(teller.tell(piece, manner))
    for symbol in _SYMBOLS:
        # As every opening of a session does.
        await teller.remember(venue, symbol)
    assert await fills(database, venue) == expected_fills(truth, told)
    assert await orders(database, venue) == expected_orders(truth)
    assert await positions(database, venue) == expected_positions(truth)
    assert await payments(database, venue) == expected_payments(truth)
    assert await rows(database, _HOURS_APART, venue) == []
    await facts_tie(database, truth)


_HOURS_APART = """
    SELECT account, symbol, hour, h.fills, f.fills, h.quantity, f.quantity, h.cash, f.cash
    FROM (SELECT * FROM fill_hours WHERE venue = :venue) h FULL JOIN (
        SELECT account, symbol, date_trunc('hour', traded_at, 'UTC') AS hour, count(*) AS fills,
               count(*) FILTER (WHERE mid IS NULL) AS unmeasured,
               sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS quantity,
               sum(price * quantity * multiplier * CASE side WHEN 'buy' THEN -1 ELSE 1 END) AS cash,
               sum(fee) AS fees
        FROM fills WHERE venue = :venue GROUP BY 1, 2, 3
    ) f USING (account, symbol, hour)
    WHERE (h.fills, h.unmeasured, h.quantity, h.cash, h.fees)
        IS DISTINCT FROM (f.fills, f.unmeasured, f.quantity, f.cash, f.fees)
"""


async def rows(database: Database, query: str, venue: str) -> list[tuple[object, ...]]:
    found = await database.transaction(lambda c: c.execute(text(query), {"venue": venue}))
    return [tuple(row) for row in found]


async def fills(database: Database, venue: str) -> list[tuple[object, ...]]:
    query = """
        SELECT account, trade_id, symbol, side, price_ticks, lots, liquidity, fee, fee_estimated,
               CAST(extract(epoch FROM traded_at) * 1000 AS bigint), client_order_id,
               venue_order_id, mid, price, quantity
        FROM fills WHERE venue = :venue ORDER BY 1, 2
    """
    return await rows(database, query, venue)


def expected_fills(truth: Truth, told: Sequence[Telling]) -> list[tuple[object, ...]]:
    known = {each.symbol: each for each in instruments(truth.venue)}
    heard = mids(told)
    return sorted(
        (
            *(fill.account, fill.trade_id, fill.symbol, fill.side.value, fill.price, fill.lots),
            *(fill.liquidity.value, fill.fee, False, fill.traded_at_ms),
            *(fill.client_order_id, fill.venue_order_id),
            heard.get((fill.account, fill.trade_id)),
            known[fill.symbol].price(fill.price),
            known[fill.symbol].quantity(fill.lots),
        )
        for fill in truth.fills
    )


async def positions(database: Database, venue: str) -> Rows:
    query = """
        SELECT account, symbol, fills, quantity, cash, fees, funding, last_trade_at, unpriced
        FROM positions WHERE venue = :venue
    """
    found: Rows = {}
    for account, symbol, *sums, last, unpriced in await rows(database, query, venue):
        assert unpriced == 0
        found[account, symbol] = (*sums, None if last is None else to_ms(last))  # type: ignore[arg-type]
    return found


def expected_positions(truth: Truth) -> Rows:
    return {
        (market.account, market.symbol): astuple(sums)
        for market, sums in books(truth).positions.items()
    }


async def orders(database: Database, venue: str) -> Rows:
    query = """
        SELECT account, symbol, client_order_id, sent_at, outcome, venue_order_id, message,
               answered_at, ended_at, ending
        FROM orders WHERE venue = :venue
    """
    found: Rows = {}
    for account, symbol, name, *words in await rows(database, query, venue):
        sent, outcome, number, message, answered, ended, ending = words
        moments = [None if at is None else to_ms(at) for at in (sent, answered, ended)]  # type: ignore[arg-type]
        found[account, symbol, name] = (
            *(moments[0], outcome, number, message, moments[1], moments[2]),
            ending,
        )
    return found


def expected_orders(truth: Truth) -> Rows:
    return {
        (market.account, market.symbol, name): astuple(order)
        for (market, name), order in books(truth).orders.items()
    }


async def payments(database: Database, venue: str) -> list[tuple[object, ...]]:
    query = """
        SELECT account, payment_id, kind, symbol, amount,
               CAST(extract(epoch FROM paid_at) * 1000 AS bigint)
        FROM payments WHERE venue = :venue ORDER BY payment_id
    """
    return await rows(database, query, venue)


def expected_payments(truth: Truth) -> list[tuple[object, ...]]:
    return sorted(
        (
            (one.account, one.payment_id, one.kind.value, one.symbol, one.amount, one.paid_at_ms)
            for one in truth.payments
        ),
        key=lambda row: str(row[1]),
    )


async def facts_tie(database: Database, truth: Truth) -> None:
    """What sessions start from says the same, in lots."""
    ledger, expected = PostgresLedger(database), books(truth)
    for instrument in instruments(truth.venue):
        for account in ("main", "spare"):
            market = MarketId(truth.venue, account, instrument.symbol)
            facts, sums = await ledger.facts(market, 0), expected.positions[market]
            assert facts.position * instrument.lot_size == sums.quantity
            assert (facts.cash, facts.fees, facts.funding) == (sums.cash, sums.fees, sums.funding)
            booked = await ledger.fills(market)
            mine = {fill for fill in truth.fills if market_of(fill) == market}
            assert {replace(fill, venue=truth.venue) for fill in booked} == mine
