"""Funding and transfers, each booked once, and folded into positions in the same statement.

The rule: only a payment that was new moves a position's funding; a transfer moves none.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from desk.payments import Payment, PaymentKind
from infra.postgres.engine import Database
from infra.postgres.rows import payment_columns
from infra.postgres.times import to_ms

BOOK_PAYMENTS: Final = text("""
WITH booked AS (
    INSERT INTO payments (venue, account, kind, payment_id, symbol, amount, paid_at)
    SELECT venue, account, kind, payment_id, symbol, amount, paid_at FROM unnest(
        CAST(:venue AS text[]), CAST(:account AS text[]), CAST(:kind AS text[]),
        CAST(:payment_id AS text[]), CAST(:symbol AS text[]), CAST(:amount AS numeric[]),
        CAST(:paid_at AS timestamptz[])
    ) WITH ORDINALITY AS h(venue, account, kind, payment_id, symbol, amount, paid_at, place)
    ORDER BY venue, account, kind, payment_id, place
    ON CONFLICT (venue, account, kind, payment_id) DO NOTHING
    RETURNING venue, account, kind, symbol, amount
), folded AS (
    INSERT INTO positions AS p (venue, account, symbol, funding)
    SELECT venue, account, symbol, sum(amount)
    FROM booked
    WHERE kind = 'funding'
    GROUP BY venue, account, symbol
    ORDER BY venue, account, symbol
    ON CONFLICT (venue, account, symbol) DO UPDATE SET funding = p.funding + excluded.funding
)
SELECT count(*) FROM booked
""")

_LAST: Final = text("""
SELECT max(paid_at) AS at FROM payments
WHERE venue = :venue AND account = :account AND kind = :kind
""")


class PostgresPayments:
    """The PaymentBook over PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def book(self, payments: Sequence[Payment]) -> int:
        """Book payments not yet booked; how many were new.

        Raises Unavailable, and ValueError for funding of no market, a transfer of one, or an
        amount that is no number: then nothing is booked.
        """
        for payment in payments:
            _check(payment)
        given = payment_columns(payments)
        if not given:
            return 0

        async def write(connection: AsyncConnection) -> int:
            return int((await connection.execute(BOOK_PAYMENTS, given)).scalar_one())

        return await self._database.transaction(write)

    async def last_ms(self, venue: str, account: str, kind: PaymentKind) -> int | None:
        """When the newest booked payment of a kind was made, unix milliseconds; None without one.

        Raises Unavailable.
        """
        given = {"venue": venue, "account": account, "kind": kind.value}
        found = await self._database.transaction(lambda c: c.execute(_LAST, given))
        at = found.scalar_one()
        return None if at is None else to_ms(at)


def _check(payment: Payment) -> None:
    name = f"payments: {payment.payment_id} of {payment.venue}/{payment.account}"
    if not payment.amount.is_finite():
        raise ValueError(f"{name} has the amount {payment.amount}; give what was paid")
    if (payment.kind is PaymentKind.FUNDING) != (payment.symbol is not None):
        raise ValueError(f"{name} is {payment.kind} of {payment.symbol}; only funding has a market")
