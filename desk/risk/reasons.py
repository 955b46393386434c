"""Why the gate refuses: every denial carries the limit, the value that broke it, and a sentence."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

Figure: TypeAlias = Decimal | int | str | None


class DenialReason(StrEnum):
    """Which rule a batch broke."""

    MARKET = "wrong_market"
    SLOT = "side_differs_from_slot"
    PRICE = "price_not_positive"
    LOTS = "lots_not_positive"
    MIN_SIZE = "below_minimum_size"
    MIN_NOTIONAL = "below_minimum_notional"
    BAND = "outside_venue_band"
    DUPLICATE = "duplicate_client_order_id"
    SIZE = "order_size"
    NOTIONAL = "order_notional"
    POSITION = "max_position"
    COLLAR = "price_collar"
    STALE_BOOK = "stale_book"
    STALE_ACCOUNT = "stale_account"
    RATE = "order_rate"
    SELF_CROSS = "self_crossing"
    FUNDS = "account_funds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The gate's no to a whole batch.

    `limit` and `value` share the unit the message names; `value` is None when nothing is known
    (a book never heard). `client_order_id` names the order, None when the batch as a whole failed.
    """

    reason: DenialReason
    limit: Figure
    value: Figure
    message: str
    client_order_id: str | None = None
