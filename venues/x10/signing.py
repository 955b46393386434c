"""Order amounts, and the Stark signature over them; integers and exact fractions only.

The private key is held by `Signer` alone and is part of no repr, error or log.
"""

import random
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from fast_stark_crypto import get_order_msg_hash, get_public_key, sign

from desk.errors import ConfigurationFault
from desk.units import Lots, Side, Ticks
from venues._transport.secret import Secret

_CURVE_ORDER = 0x800000000000010FFFFFFFFFFFFFFFFB781126DCAE7B2321E66A241ADC64D2F
_DOMAIN_NAME, _DOMAIN_VERSION, _DOMAIN_REVISION = "Perpetuals", "v0", "1"
_SETTLEMENT_BUFFER_S = 14 * 86_400
_NONCE_PRIME = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a market settles in: asset ids and units per whole asset (x10.md section 5.1)."""

    synthetic_id: int
    synthetic_resolution: int
    collateral_id: int
    collateral_resolution: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Signed whole units of the base and quote asset, and the highest fee (section 14.1)."""

    base: int
    quote: int
    fee: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The two numbers of a signature."""

    r: int
    s: int


class Scale:
    """Turns lots and ticks of one market and one fee rate into settlement units."""

    __slots__ = ("_base", "_fee", "_quote")

    def __init__(
        self, *, tick: Decimal, lot: Decimal, fee_rate: Decimal, settlement: Settlement
    ) -> None:
        base = Fraction(lot) * settlement.synthetic_resolution
        quote = Fraction(lot) * Fraction(tick) * settlement.collateral_resolution
        fee = quote * Fraction(fee_rate)
        self._base = (base.numerator, base.denominator)
        self._quote = (quote.numerator, quote.denominator)
        self._fee = (fee.numerator, fee.denominator)

    def amounts(self, side: Side, price: Ticks, lots: Lots) -> Amounts:
        """Units to sign: buys round up, sells round down in size, the fee always up."""
        value = price * lots
        fee = _up(value, self._fee)
        if side is Side.BUY:
            return Amounts(base=_up(lots, self._base), quote=-_up(value, self._quote), fee=fee)
        return Amounts(base=-_down(lots, self._base), quote=_down(value, self._quote), fee=fee)


class Signer:
    """Signs orders of one position for one Starknet domain."""

    def __init__(self, *, private_key: Secret, vault: int, domain: str) -> None:
        self._private = private_number(private_key)
        self._vault = vault
        self._domain = domain
        self.public_key: int = public_of(self._private)

    def __repr__(self) -> str:
        return f"Signer(vault={self._vault}, domain={self._domain!r})"

    def order_hash(
        self, amounts: Amounts, settlement: Settlement, *, nonce: int, expiry_s: int
    ) -> int:
        """Hash of an order that expires at a whole unix second (section 14.3)."""
        return get_order_msg_hash(
            self._vault,
            settlement.synthetic_id,
            amounts.base,
            settlement.collateral_id,
            amounts.quote,
            settlement.collateral_id,
            amounts.fee,
            expiry_s + _SETTLEMENT_BUFFER_S,
            nonce,
            self.public_key,
            _DOMAIN_NAME,
            _DOMAIN_VERSION,
            self._domain,
            _DOMAIN_REVISION,
        )

    def sign(
        self, amounts: Amounts, settlement: Settlement, *, nonce: int, expiry_s: int
    ) -> Signature:
        """Signature over an order; the same input gives the same signature. About 0.35 ms."""
        r, s = sign(
            self._private, self.order_hash(amounts, settlement, nonce=nonce, expiry_s=expiry_s)
        )
        return Signature(r=r, s=s)


class Nonces:
    """Numbers from 1 to 2^31 - 1, each once before any comes again (section 6.2)."""

    def __init__(self, random: random.Random) -> None:
        self._last = random.randrange(_NONCE_PRIME)
        # The modulus is prime, so every step visits all numbers.
        self._step = random.randrange(1, _NONCE_PRIME)

    def next(self) -> int:
        """One that was not given before."""
        self._last = (self._last + self._step) % _NONCE_PRIME
        return self._last + 1


def private_number(key: Secret) -> int:
    """A Stark private key as a number; ConfigurationFault when it is none."""
    try:
        number = int(key.reveal(), 16)
    except ValueError:
        number = 0
    if not 0 < number < _CURVE_ORDER:
        raise ConfigurationFault(
            "private_key: it is not a Stark private key; give it as 0x and hex digits"
        )
    return number


def public_of(private: int) -> int:
    """Public key of a private key."""
    return get_public_key(private)


def _up(units: int, scale: tuple[int, int]) -> int:
    return -(-units * scale[0] // scale[1])


def _down(units: int, scale: tuple[int, int]) -> int:
    return units * scale[0] // scale[1]
