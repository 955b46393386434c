"""What a decision to take the venue's word books, once for each break, with a name.

The rule: an adjustment is no fill; what it adds to a position it takes from cash at its price, so
that no PnL arises.
"""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.book_ports import Adjustment
from desk.errors import Unavailable
from infra.postgres.rows import printable
from infra.postgres.times import to_time

_BOOK: Final = text("""
WITH booked AS (
    INSERT INTO adjustments (
        break_id, venue, account, symbol, quantity, price, multiplier, amount,
        decided_by, reason, at
    )
    SELECT CAST(:number AS bigint), CAST(:venue AS text), CAST(:account AS text),
           CAST(:symbol AS text), CAST(:quantity AS numeric), CAST(:price AS numeric),
           i.multiplier, CAST(:amount AS numeric), CAST(:by AS text), CAST(:reason AS text),
           CAST(:at AS timestamptz)
    FROM (SELECT 1) AS always
    LEFT JOIN instruments i ON i.venue = :venue AND i.symbol = :symbol
    WHERE CAST(:symbol AS text) IS NULL OR i.multiplier IS NOT NULL
    RETURNING id, venue, account, symbol, quantity, price, multiplier
), folded AS (
    INSERT INTO positions AS p (venue, account, symbol, quantity, cash)
    SELECT venue, account, symbol, quantity, -quantity * price * multiplier
    FROM booked
    WHERE symbol IS NOT NULL
    ON CONFLICT (venue, account, symbol) DO UPDATE SET
        quantity = p.quantity + excluded.quantity, cash = p.cash + excluded.cash
)
SELECT id FROM booked
""")


async def book_adjustment(
    connection: AsyncConnection, number: int, adjustment: Adjustment, reason: str
) -> None:
    """Book what settles break `number`, and move the position it is of.

    Raises ValueError for money that cannot be booked, Unavailable for an unknown instrument.
    """
    fault = _fault(adjustment)
    if fault:
        raise ValueError(f"adjustment: {fault}")
    given = {
        "number": number,
        "venue": adjustment.venue,
        "account": adjustment.account,
        "symbol": adjustment.symbol,
        "quantity": adjustment.quantity,
        "price": adjustment.price,
        "amount": adjustment.amount,
        "by": printable(adjustment.by),
        "reason": printable(adjustment.reason or reason),
        "at": to_time(adjustment.at_ms),
    }
    found = await connection.execute(_BOOK, given)
    if found.first() is None:
        raise Unavailable(
            f"postgres: an adjustment of {adjustment.venue}/{adjustment.symbol} cannot be booked "
            "before its instrument is known; call remember_instrument"
        )


def _fault(adjustment: Adjustment) -> str | None:
    if not adjustment.quantity.is_finite() or not adjustment.amount.is_finite():
        return f"{adjustment.quantity} and {adjustment.amount} are not both amounts; give numbers"
    if adjustment.symbol is None and (adjustment.quantity or adjustment.price is not None):
        return "an account's money has no quantity and no price; name the symbol or leave them out"
    if adjustment.symbol is not None and not (adjustment.price and adjustment.price.is_finite()):
        return f"price: {adjustment.price} is no price of {adjustment.symbol}; give its mid"
    return None
