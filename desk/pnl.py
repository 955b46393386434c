"""Where the PnL of a period came from, and whether a day ties to the venue's equity.

The rule: the parts add up to cash and holding at the mid, less fees, plus funding, to the last
digit; what nobody can price is said, never guessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import StrEnum
from typing import Final

from desk.identity import MarketId

MARK_AGE_MS: Final = 60_000
"""A fill that came without a mid is measured against the last mark, if it is no older than this."""

# Sums and products of money carry more digits than the default context, so none is ever rounded.
_EXACT = Context(prec=80)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What was held at one moment: signed base units, and the last mid known then."""

    quantity: Decimal = _ZERO
    mid: Decimal | None = None
    marked_at_ms: int | None = None

    def worth(self, multiplier: Decimal | None) -> Decimal | None:
        """Quote currency at the mid; None when something is held and its price is not known."""
        if not self.quantity:
            return _ZERO
        if self.mid is None or multiplier is None:
            return None
        return _EXACT.multiply(_EXACT.multiply(self.quantity, multiplier), self.mid)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSums:
    """What the ledger adds up for one market and one period, in quote currency.

    `cash` is what the fills paid (sells positive, buys negative, fees apart), `worth` what they
    traded, valued at the mid of each fill (buys positive). `adjusted` is what adjustments added to
    the holding, at their price. `unmeasured` of the fills had no mid and no mark near enough; they
    count in `worth` at their own price. `estimated` of them were measured against a mark. `priced`
    is False while fills are booked that nobody could price yet.
    """

    market: MarketId
    opening: Holding = Holding()
    closing: Holding = Holding()
    multiplier: Decimal | None = None
    fills: int = 0
    estimated: int = 0
    unmeasured: int = 0
    turnover: Decimal = _ZERO
    cash: Decimal = _ZERO
    worth: Decimal = _ZERO
    fees: Decimal = _ZERO
    funding: Decimal = _ZERO
    adjusted: Decimal = _ZERO
    priced: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMoney:
    """Money of one account that no market made: transfers, and adjustments of its balance."""

    venue: str
    account: str
    transfers: Decimal = _ZERO
    adjustments: Decimal = _ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class PnlParts:
    """Where PnL came from, in quote currency.

    `spread` is what fills earned against the mid at that moment, `inventory` what the holding
    earned as the mid moved, `fees` what was paid (negative for rebates), `funding` what was
    received, `adjustments` what named decisions booked.
    """

    spread: Decimal = _ZERO
    inventory: Decimal = _ZERO
    fees: Decimal = _ZERO
    funding: Decimal = _ZERO
    adjustments: Decimal = _ZERO

    @property
    def total(self) -> Decimal:
        """All of it; fees are taken off."""
        fees = self.fees.copy_negate()
        return _sum((self.spread, self.inventory, fees, self.funding, self.adjustments))

    def __add__(self, other: "PnlParts") -> "PnlParts":
        return PnlParts(
            spread=_EXACT.add(self.spread, other.spread),
            inventory=_EXACT.add(self.inventory, other.inventory),
            fees=_EXACT.add(self.fees, other.fees),
            funding=_EXACT.add(self.funding, other.funding),
            adjustments=_EXACT.add(self.adjustments, other.adjustments),
        )


def decompose(sums: MarketSums) -> PnlParts | None:
    """Where one market's PnL of a period came from; None when a price is missing.

    An adjustment moves the holding at its own price, so it makes no PnL by itself.
    """
    if (held := _held(sums)) is None:
        return None
    opening, closing = held
    return PnlParts(
        spread=_EXACT.add(sums.worth, sums.cash),
        inventory=_less(closing, opening, sums.worth, sums.adjusted),
        fees=sums.fees,
        funding=sums.funding,
    )


def pnl_of(sums: MarketSums) -> Decimal | None:
    """The same from the other side: the change of cash and holding, less fees, plus funding."""
    if (held := _held(sums)) is None:
        return None
    opening, closing = held
    gained = _sum((closing, sums.cash, sums.funding))
    return _less(gained, opening, sums.adjusted, sums.fees)


def exposure(markets: Iterable[MarketSums]) -> Decimal:
    """Unsigned worth of what is held, at the beginning or the end, whichever is more."""
    known = tuple(markets)
    return max(
        _sum((one.opening.worth(one.multiplier) or _ZERO).copy_abs() for one in known),
        _sum((one.closing.worth(one.multiplier) or _ZERO).copy_abs() for one in known),
    )


class TieVerdict(StrEnum):
    """Whether a period ties. UNKNOWN: an equity or a price is missing, or not all of it is ours."""

    TIES = "ties"
    OFF = "off"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityReading:
    """The venue's word on an account's equity, quote currency, and when it was read."""

    equity: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Equity at both ends of a period, and what was held in it that this deployment never quoted.

    What such markets make is in the equity and in none of our books.
    """

    opening: EquityReading
    closing: EquityReading
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """One account's period against the venue: `residual` is what our books do not explain.

    `residual` = closing - opening equity - transfers - PnL, adjustments being part of the PnL.
    """

    venue: str
    account: str
    verdict: TieVerdict
    reason: str = ""
    opening: EquityReading | None = None
    closing: EquityReading | None = None
    transfers: Decimal = _ZERO
    pnl: Decimal | None = None
    residual: Decimal | None = None
    allowed: Decimal | None = None

    @property
    def flagged(self) -> bool:
        """Whether a person has to look: off, or not to be judged."""
        return self.verdict is not TieVerdict.TIES


def tie(
    money: AccountMoney,
    markets: Sequence[MarketSums],
    readings: Readings,
    allowed: Decimal,
) -> Tie:
    """Judge one account. `markets` and `money` are of the time between the two readings."""
    opening, closing = readings.opening, readings.closing
    unpriced = [one.market.symbol for one in markets if decompose(one) is None]
    pnl = None
    if not unpriced:
        made = [parts.total for parts in map(decompose, markets) if parts is not None]
        pnl = _sum((*made, money.adjustments))
    residual = None
    verdict, reason = TieVerdict.UNKNOWN, f"no price is known of {', '.join(unpriced)}"
    if pnl is not None:
        residual = _less(closing.equity, opening.equity, money.transfers, pnl)
        off = residual.copy_abs() > allowed
        verdict = TieVerdict.OFF if off else TieVerdict.TIES
        reason = f"{residual:+f} is not explained, more than {allowed:f}" if off else ""
    if readings.foreign:
        held = ", ".join(readings.foreign)
        verdict = TieVerdict.UNKNOWN
        reason = f"{held} was held here and was never quoted by this deployment"
    return Tie(
        venue=money.venue,
        account=money.account,
        verdict=verdict,
        reason=reason,
        opening=opening,
        closing=closing,
        transfers=money.transfers,
        pnl=pnl,
        residual=residual,
        allowed=allowed,
    )


def _held(sums: MarketSums) -> tuple[Decimal, Decimal] | None:
    """Worth of the holding at the beginning and at the end; None when it cannot be known."""
    opening = sums.opening.worth(sums.multiplier)
    closing = sums.closing.worth(sums.multiplier)
    if opening is None or closing is None or not sums.priced:
        return None
    return opening, closing


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = _ZERO
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total


def _less(amount: Decimal, *taken: Decimal) -> Decimal:
    # The minus sign would round to the default context; this does not.
    return _sum((amount, *(one.copy_negate() for one in taken)))
