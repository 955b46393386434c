"""Checks what an order's signature promises: amounts, expiry, vault, key (x10.md section 14).

Everything is computed again from the body; amounts the client states are compared, never used.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import ceil

from fast_stark_crypto import get_order_msg_hash, verify

from venues.x10.simulator.settings import Domain, SimMarket

_BUFFER_S = 14 * 86_400
_FIELD = 2**251 + 17 * 2**192 + 1
_BETA = 0x6F21413EFBE40DE150E596D72F7A8C5609AD26C15C915C1F4CDFCB99CEE9E89
_LARGEST = 2**251


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is signed of an order: sizes in human units, `fee` the sum of all rates."""

    buying: bool
    quantity: Decimal
    price: Decimal
    fee: Decimal
    nonce: int
    expiry_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Signed integers of settlement (section 14.1)."""

    base: int
    quote: int
    fee: int


def amounts(terms: Terms, market: SimMarket) -> Amounts:
    """Rounded against the trader: a buyer pays up, a seller gets down, fees go up."""
    value = terms.quantity * terms.price
    rounding = ROUND_CEILING if terms.buying else ROUND_FLOOR
    sign = 1 if terms.buying else -1
    base = _whole(terms.quantity * market.synthetic_resolution, rounding)
    quote = _whole(value * market.collateral_resolution, rounding)
    fee = _whole(terms.fee * value * market.collateral_resolution, ROUND_CEILING)
    return Amounts(base=sign * base, quote=-sign * quote, fee=fee)


def order_hash(
    terms: Terms, market: SimMarket, domain: Domain, *, vault: int, public_key: int
) -> int:
    """The message the account signs (section 14.3)."""
    found = amounts(terms, market)
    return get_order_msg_hash(
        position_id=vault,
        base_asset_id=int(market.synthetic_id, 16),
        base_amount=found.base,
        quote_asset_id=int(market.collateral_id, 16),
        quote_amount=found.quote,
        fee_asset_id=int(market.collateral_id, 16),
        fee_amount=found.fee,
        expiration=ceil(Decimal(terms.expiry_ms) / 1000) + _BUFFER_S,
        salt=terms.nonce,
        user_public_key=public_key,
        domain_name=domain.name,
        domain_version=domain.version,
        domain_chain_id=domain.chain_id,
        domain_revision=domain.revision,
    )


def is_public_key(number: int) -> bool:
    """Whether a number is the x of a point of the Stark curve."""
    if not 0 < number < _FIELD:
        return False
    square = (number**3 + number + _BETA) % _FIELD
    return pow(square, (_FIELD - 1) // 2, _FIELD) == 1


def signed(public_key: int, message: int, r: int, s: int) -> bool:
    """Whether r and s are the key's signature of the message; the key must be one."""
    if not (0 < r < _LARGEST and 0 < s < _LARGEST):
        return False
    return verify(public_key, message, r, s)


def _whole(value: Decimal, rounding: str) -> int:
    return int(value.to_integral_value(rounding))
