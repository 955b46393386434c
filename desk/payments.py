"""Money that an account receives or pays without a fill: funding, and transfers in and out."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class PaymentKind(StrEnum):
    """Why money moved. Funding is PnL of its market; a transfer is no PnL at all."""

    FUNDING = "funding"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One movement of money, unique by venue, account and payment id.

    `payment_id` is the venue's, or derived deterministically where a venue gives none. `amount` is
    quote currency, positive when the account received it. `paid_at_ms` is the venue's wall clock,
    unix milliseconds. `symbol` is None for transfers.
    """

    venue: str
    account: str
    payment_id: str
    kind: PaymentKind
    amount: Decimal
    paid_at_ms: int
    symbol: str | None = None
