"""Books fills exactly once and folds them into positions in the same statement.

The rule: only a fill that was new moves a position. Prices and sizes are also kept in quote and
base units of the instrument as it was when the fill was heard, since venues change ticks and lots.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.instrument import Instrument
from desk.records import FillSeen
from infra.postgres.rows import fill_columns

BOOK_FILLS: Final = text("""
WITH heard AS (
    SELECT * FROM unnest(
        CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:symbol AS text[]),
        CAST(:trade_id AS text[]), CAST(:side AS text[]), CAST(:price_ticks AS bigint[]),
        CAST(:lots AS bigint[]), CAST(:liquidity AS text[]), CAST(:fee AS numeric[]),
        CAST(:fee_estimated AS boolean[]), CAST(:traded_at AS timestamptz[]),
        CAST(:client_order_id AS text[]), CAST(:venue_order_id AS text[]),
        CAST(:mid AS numeric[]), CAST(:tick_size AS numeric[]), CAST(:lot_size AS numeric[]),
        CAST(:multiplier AS numeric[])
    ) WITH ORDINALITY AS f(
        venue, account, symbol, trade_id, side, price_ticks, lots, liquidity, fee,
        fee_estimated, traded_at, client_order_id, venue_order_id, mid,
        tick_size, lot_size, multiplier, place
    )
), booked AS (
    INSERT INTO fills (
        venue, account, symbol, trade_id, side, price_ticks, lots, price, quantity, multiplier,
        liquidity, fee, fee_estimated, traded_at, client_order_id, venue_order_id, mid
    )
    SELECT h.venue, h.account, h.symbol, h.trade_id, h.side, h.price_ticks, h.lots,
           h.price_ticks * COALESCE(h.tick_size, i.tick_size),
           h.lots * COALESCE(h.lot_size, i.lot_size), COALESCE(h.multiplier, i.multiplier),
           h.liquidity, h.fee, h.fee_estimated, h.traded_at, h.client_order_id, h.venue_order_id,
           h.mid
    FROM heard h LEFT JOIN instruments i ON i.venue = h.venue AND i.symbol = h.symbol
    ORDER BY h.place
    ON CONFLICT (venue, account, trade_id) DO NOTHING
    RETURNING venue, account, symbol, side, price, quantity, multiplier, fee, traded_at
), folded AS (
    INSERT INTO positions AS p (
        venue, account, symbol, fills, unpriced, quantity, cash, fees, last_trade_at
    )
    SELECT venue, account, symbol, count(*), count(*) FILTER (WHERE price IS NULL),
           COALESCE(sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END), 0),
           COALESCE(sum(
               price * quantity * multiplier * CASE side WHEN 'buy' THEN -1 ELSE 1 END
           ), 0),
           sum(fee), max(traded_at)
    FROM booked
    GROUP BY venue, account, symbol
    ORDER BY venue, account, symbol
    ON CONFLICT (venue, account, symbol) DO UPDATE SET
        fills = p.fills + excluded.fills,
        unpriced = p.unpriced + excluded.unpriced,
        quantity = p.quantity + excluded.quantity,
        cash = p.cash + excluded.cash,
        fees = p.fees + excluded.fees,
        last_trade_at = GREATEST(p.last_trade_at, excluded.last_trade_at)
)
SELECT count(*) FROM booked
""")

_HEARD_AGAIN: Final = """
    INSERT INTO fills AS f (
        venue, account, symbol, trade_id, side, price_ticks, lots, liquidity, fee,
        fee_estimated, traded_at, client_order_id, venue_order_id, mid
    )
    SELECT * FROM unnest(
        CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:symbol AS text[]),
        CAST(:trade_id AS text[]), CAST(:side AS text[]), CAST(:price_ticks AS bigint[]),
        CAST(:lots AS bigint[]), CAST(:liquidity AS text[]), CAST(:fee AS numeric[]),
        CAST(:fee_estimated AS boolean[]), CAST(:traded_at AS timestamptz[]),
        CAST(:client_order_id AS text[]), CAST(:venue_order_id AS text[]),
        CAST(:mid AS numeric[])
    ) AS h(
        venue, account, symbol, trade_id, side, price_ticks, lots, liquidity, fee,
        fee_estimated, traded_at, client_order_id, venue_order_id, mid
    )
    ORDER BY venue, account, trade_id
    ON CONFLICT (venue, account, trade_id) DO UPDATE SET
"""
"""All of these are booked, so every row conflicts: the way to them is the key, whatever the
statistics say. A join may read the whole table instead."""

# A fee heard later from the venue itself replaces the one estimated from the tier; once.
SETTLE_FEES: Final = text(f"""
WITH settled AS (
    {_HEARD_AGAIN}
        fee = excluded.fee, fee_estimated = false, fee_guessed = f.fee
    WHERE f.fee_estimated AND NOT excluded.fee_estimated
    RETURNING venue, account, symbol, fee - fee_guessed AS change
)
INSERT INTO positions AS p (venue, account, symbol, fees)
SELECT venue, account, symbol, sum(change)
FROM settled
GROUP BY venue, account, symbol
ORDER BY venue, account, symbol
ON CONFLICT (venue, account, symbol) DO UPDATE SET fees = p.fees + excluded.fees
""")  # noqa: S608 - a constant of ours

# A fill that was booked from the venue's history has no mid; who heard it live may know it. Of the
# order's names some ways tell one, some both, some none.
NOTE_MORE: Final = text(f"""
    {_HEARD_AGAIN}
        mid = COALESCE(f.mid, excluded.mid),
        client_order_id = COALESCE(f.client_order_id, excluded.client_order_id),
        venue_order_id = COALESCE(f.venue_order_id, excluded.venue_order_id)
    WHERE (f.mid IS NULL AND excluded.mid IS NOT NULL)
        OR (f.client_order_id IS NULL AND excluded.client_order_id IS NOT NULL)
        OR (f.venue_order_id IS NULL AND excluded.venue_order_id IS NOT NULL)
""")

_REMEMBER: Final = text("""
INSERT INTO instruments (venue, symbol, tick_size, lot_size, multiplier, seen_at)
VALUES (:venue, :symbol, :tick_size, :lot_size, :multiplier, now())
ON CONFLICT (venue, symbol) DO UPDATE SET
    tick_size = excluded.tick_size, lot_size = excluded.lot_size,
    multiplier = excluded.multiplier, seen_at = excluded.seen_at
""")

_PRICE_LATE: Final = text("""
WITH priced AS (
    UPDATE fills SET
        price = price_ticks * CAST(:tick_size AS numeric),
        quantity = lots * CAST(:lot_size AS numeric),
        multiplier = CAST(:multiplier AS numeric)
    WHERE venue = :venue AND symbol = :symbol AND price IS NULL
    RETURNING account, side, price, quantity, multiplier
), late AS (
    SELECT account, count(*) AS fills,
           sum(CASE side WHEN 'buy' THEN quantity ELSE -quantity END) AS quantity,
           sum(price * quantity * multiplier * CASE side WHEN 'buy' THEN -1 ELSE 1 END) AS cash
    FROM priced
    GROUP BY account
)
UPDATE positions AS p SET
    unpriced = p.unpriced - late.fills,
    quantity = p.quantity + late.quantity,
    cash = p.cash + late.cash
FROM late
WHERE p.venue = :venue AND p.account = late.account AND p.symbol = :symbol
""")


async def book_fills(connection: AsyncConnection, heard: Iterable[FillSeen]) -> int:
    """Book what is not yet booked, complete what was booked with less; how many were new."""
    given = fill_columns(heard)
    if not given:
        return 0
    found = await connection.execute(BOOK_FILLS, given)
    new = int(found.scalar_one())
    if new < len(given["trade_id"]):
        # Only now everybody else's booking of them is seen.
        await connection.execute(SETTLE_FEES, given)
        await connection.execute(NOTE_MORE, given)
    return new


async def remember_instrument(connection: AsyncConnection, instrument: Instrument) -> None:
    """Keep tick, lot and multiplier, and price the fills that were booked without them."""
    facts = {
        "venue": instrument.venue,
        "symbol": instrument.symbol,
        "tick_size": instrument.tick_size,
        "lot_size": instrument.lot_size,
        "multiplier": instrument.multiplier,
    }
    await connection.execute(_REMEMBER, facts)
    await connection.execute(_PRICE_LATE, facts)
