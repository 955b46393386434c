"""What the books must say after a process that recorded was killed, held against the venue's file.

The rule: fills and payments are exactly the venue's; of what we said ourselves only the last words
of a killed life may be missing, and no more orders than were counted as unrecorded.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal

import asyncpg

from desk.identity import MarketId, OrderIdentity
from desk.orders import Fill, OutcomeKind
from desk.payments import Payment, PaymentKind
from desk.records import OrderAnswered, OrderEnded, OrderSent
from infra.postgres.tables import RESTING
from quoting.journal import FOUND
from tests.chaos.books_recorder import BOUND, CLEARED, MARKETS, Line, instrument, resting_at


async def folds_hold(url: str) -> None:
    """At every moment, recovered or not: a position is the fold of its booked fills."""
    connection = await asyncpg.connect(url)
    apart = await connection.fetch(_FOLDS_APART)
    hours = await connection.fetch(_HOURS_APART)
    await connection.close()
    assert apart == hours == []


async def books_hold(
    url: str, lines: Sequence[Line], lives: Iterable[int], in_order: Collection[int]
) -> None:
    """After the last recovery: exactly what the venue knows, and every intent accounted for."""
    connection = await asyncpg.connect(url)
    try:
        await _fills_and_payments(connection, lines)
        await _orders(connection, lines, lives, in_order)
    finally:
        await connection.close()


async def _fills_and_payments(connection: asyncpg.Connection, lines: Sequence[Line]) -> None:
    rows = await connection.fetch(
        "SELECT trade_id, symbol, side, price_ticks, lots, fee, client_order_id FROM fills"
    )
    fills = [line.what for line in lines if isinstance(line.what, Fill)]
    assert sorted(tuple(row) for row in rows) == sorted(
        (
            *(one.trade_id, one.symbol, one.side.value, one.price, one.lots, one.fee),
            one.client_order_id,
        )
        for one in fills
    )
    rows = await connection.fetch("SELECT payment_id, kind, symbol, amount FROM payments")
    paid = [line.what for line in lines if isinstance(line.what, Payment)]
    assert sorted(map(str, (tuple(row) for row in rows))) == sorted(
        str((one.payment_id, one.kind.value, one.symbol, one.amount)) for one in paid
    )
    rows = await connection.fetch("SELECT symbol, quantity, cash, fees, funding FROM positions")
    assert {row["symbol"]: tuple(row)[1:] for row in rows} == _sums(fills, paid)


async def _orders(
    connection: asyncpg.Connection,
    lines: Sequence[Line],
    lives: Iterable[int],
    in_order: Collection[int],
) -> None:
    rows = await connection.fetch(
        "SELECT symbol, client_order_id, batch_id, outcome, ending FROM orders"
    )
    booked = {(row["symbol"], row["client_order_id"]): row for row in rows}
    assert await connection.fetchval(f"SELECT count(*) FROM orders WHERE {RESTING}") == 0  # noqa: S608
    for life in lives:
        told = [line for line in lines if line.life == life]
        _one_life(life, told, booked, in_order=life in in_order)
        past = [line for line in lines if line.life <= life]
        for market in MARKETS:
            for order in resting_at(past, market):
                found = booked[market.symbol, order.client_order_id]
                assert found["ending"] is not None, "rested at the venue, and was found there"


def _one_life(
    life: int,
    told: Sequence[Line],
    booked: dict[tuple[str, str], asyncpg.Record],
    *,
    in_order: bool,
) -> None:
    ours = [line for line in told if not _of_recovery(line)]
    written = [_written(line.what, booked) for line in ours]
    kept = written.index(False) if False in written else len(written)
    if in_order:
        assert kept == len(written), f"life {life} spooled, and lost something"
    late = [line.what for line, is_there in zip(ours, written, strict=True) if is_there][kept:]
    assert late == [], f"life {life} lost {ours[kept].what}, and kept what came later"
    allowed: dict[MarketId, int] = defaultdict(int)
    missing: dict[MarketId, int] = defaultdict(int)
    for line, is_written in zip(ours, written, strict=True):
        if isinstance(line.what, OrderSent):
            allowed[line.what.market] = line.unrecorded
            missing[line.what.market] += not is_written
            identity = OrderIdentity.decode(line.what.client_order_id)
            assert identity is not None
            assert identity.tag == line.what.market.tag, "its id says whose it is"
            assert identity.epoch == line.what.epoch
    for market in MARKETS:
        assert missing[market] <= allowed[market] <= BOUND, f"life {life}: {market.path}"


_FOLDS_APART = """
    SELECT symbol, p.fills, f.fills, p.quantity, f.quantity, p.cash, f.cash, p.fees, f.fees
    FROM positions p FULL JOIN (
        SELECT symbol, count(*) AS fills,
               sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS quantity,
               sum(price * quantity * multiplier * CASE side WHEN 'buy' THEN -1 ELSE 1 END) AS cash,
               sum(fee) AS fees
        FROM fills GROUP BY symbol
    ) f USING (symbol)
    WHERE p.fills <> 0 AND (p.fills, p.quantity, p.cash, p.fees)
        IS DISTINCT FROM (f.fills, f.quantity, f.cash, f.fees)
"""


_HOURS_APART = """
    SELECT symbol, hours.fills, p.fills, hours.cash, p.cash, hours.fees, p.fees
    FROM positions p JOIN (
        SELECT symbol, sum(fills) AS fills, sum(quantity) AS quantity, sum(cash) AS cash,
               sum(fees) AS fees
        FROM fill_hours GROUP BY symbol
    ) AS hours USING (symbol)
    WHERE (hours.fills, hours.quantity, hours.cash, hours.fees)
        IS DISTINCT FROM (p.fills, p.quantity, p.cash, p.fees)
"""


def _sums(fills: Sequence[Fill], paid: Sequence[Payment]) -> dict[str, tuple[Decimal, ...]]:
    found: dict[str, tuple[Decimal, ...]] = {}
    for market in MARKETS:
        made, zero = instrument(market), Decimal(0)
        mine = [one for one in fills if one.symbol == market.symbol]
        funding = [
            one.amount
            for one in paid
            if one.kind is PaymentKind.FUNDING and one.symbol == market.symbol
        ]
        if mine or funding:
            found[market.symbol] = (
                sum((one.side.sign * made.quantity(one.lots) for one in mine), zero),
                -sum((one.side.sign * made.notional(one.price, one.lots) for one in mine), zero),
                sum((one.fee for one in mine), zero),
                sum(funding, zero),
            )
    return found


def _of_recovery(line: Line) -> bool:
    """Not handed over as a record of its own: the venue's own words, and what recovery cancels."""
    match line.what:
        case OrderEnded(how=how):
            return how == CLEARED
        case OrderSent() | OrderAnswered():
            return False
        case _:
            return True


def _written(what: object, booked: dict[tuple[str, str], asyncpg.Record]) -> bool:
    """Whether this very record is in the books, not what was found at the venue in its place."""
    assert isinstance(what, OrderSent | OrderAnswered | OrderEnded)
    row = booked.get((what.market.symbol, what.client_order_id))
    if row is None:
        return False
    match what:
        case OrderSent(batch_id=batch_id):
            return bool(row["batch_id"] == batch_id and batch_id != FOUND)
        case OrderAnswered(kind=OutcomeKind.UNRESOLVED):
            return row["outcome"] is not None
        case OrderAnswered(kind=kind):
            return bool(row["outcome"] == kind.value)
        case OrderEnded(how=how):
            return bool(row["ending"] == how)
