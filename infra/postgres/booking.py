"""Books fills exactly once and folds them into positions in the same statement.

The rule: only a fill that was new moves a position. Prices and sizes are also kept in quote and
base units of the instrument as it was then, since venues change ticks and lots over the years.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.instrument import Instrument
from desk.orders import Fill
from infra.postgres.rows import fill_columns

BOOK_FILLS: Final = text("""
WITH heard AS (
    SELECT * FROM unnest(
        CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:symbol AS text[]),
        CAST(:trade_id AS text[]), CAST(:side AS text[]), CAST(:price_ticks AS bigint[]),
        CAST(:lots AS bigint[]), CAST(:liquidity AS text[]), CAST(:fee AS numeric[]),
        CAST(:fee_estimated AS boolean[]), CAST(:traded_at AS timestamptz[]),
        CAST(:client_order_id AS text[]), CAST(:venue_order_id AS text[])
    ) WITH ORDINALITY AS f(
        venue, account, symbol, trade_id, side, price_ticks, lots, liquidity, fee,
        fee_estimated, traded_at, client_order_id, venue_order_id, place
    )
), booked AS (
    INSERT INTO fills (
        venue, account, symbol, trade_id, side, price_ticks, lots, price, quantity, multiplier,
        liquidity, fee, fee_estimated, traded_at, client_order_id, venue_order_id
    )
    SELECT h.venue, h.account, h.symbol, h.trade_id, h.side, h.price_ticks, h.lots,
           h.price_ticks * i.tick_size, h.lots * i.lot_size, i.multiplier,
           h.liquidity, h.fee, h.fee_estimated, h.traded_at, h.client_order_id, h.venue_order_id
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

# A fee heard later from the venue itself replaces the one estimated from the tier; once.
SETTLE_FEES: Final = text("""
WITH heard AS (
    SELECT * FROM unnest(
        CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:trade_id AS text[]),
        CAST(:fee AS numeric[]), CAST(:fee_estimated AS boolean[])
    ) AS h(venue, account, trade_id, fee, fee_estimated)
    WHERE NOT fee_estimated
), guessed AS (
    SELECT f.venue, f.account, f.symbol, f.trade_id, h.fee, h.fee - f.fee AS change
    FROM fills f JOIN heard h USING (venue, account, trade_id)
    WHERE f.fee_estimated
    ORDER BY f.venue, f.account, f.trade_id
    FOR UPDATE OF f
), settled AS (
    UPDATE fills f SET fee = g.fee, fee_estimated = false
    FROM guessed g
    WHERE f.venue = g.venue AND f.account = g.account AND f.trade_id = g.trade_id
    RETURNING g.venue, g.account, g.symbol, g.change
), changes AS (
    SELECT venue, account, symbol, sum(change) AS change
    FROM settled
    GROUP BY venue, account, symbol
)
UPDATE positions p SET fees = p.fees + c.change
FROM changes c
WHERE p.venue = c.venue AND p.account = c.account AND p.symbol = c.symbol
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


async def book_fills(connection: AsyncConnection, fills: Iterable[Fill]) -> int:
    """Book what is not yet booked, and settle fees that were estimates; how many were new."""
    given = fill_columns(fills)
    if not given:
        return 0
    fees = {name: given[name] for name in ("venue", "account", "trade_id", "fee", "fee_estimated")}
    await connection.execute(SETTLE_FEES, fees)
    found = await connection.execute(BOOK_FILLS, given)
    return int(found.scalar_one())


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
