"""Position and PnL of one market, folded over fills and funding by average cost.

PnL is exact: it equals cash from fills plus the holding at the mid, less fees, plus funding.
"""

from dataclasses import dataclass, replace
from decimal import Context, Decimal

from desk.instrument import Instrument
from desk.orders import Fill
from desk.units import Lots

# Sums and products of money carry more digits than the default context, so none is ever rounded.
_EXACT = Context(prec=80)
_COST_PLACES = Decimal("1e-18")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Signed holding of one market and what it earned, in quote currency.

    `cash` is what the fills paid (sells positive, buys negative, multiplier included, fees
    apart), `cost` what the open holding was bought for (negative when short), `fees` paid are
    positive, `funding` received is positive.
    """

    tick_size: Decimal
    lot_value: Decimal
    lots: Lots = 0
    cash: Decimal = _ZERO
    cost: Decimal = _ZERO
    fees: Decimal = _ZERO
    funding: Decimal = _ZERO

    @classmethod
    def flat(cls, instrument: Instrument) -> "Position":
        """Nothing held, nothing earned."""
        return cls(
            tick_size=instrument.tick_size,
            lot_value=_EXACT.multiply(instrument.lot_size, instrument.multiplier),
        )

    @classmethod
    def resumed(
        cls,
        instrument: Instrument,
        *,
        lots: Lots,
        cash: Decimal,
        fees: Decimal,
        funding: Decimal = _ZERO,
    ) -> "Position":
        """A position from sums over its past fills, whose order is not known.

        PnL is exact. The split is not: while something is held, all of it counts as unrealised
        and the average price is the one at which the whole past breaks even.
        """
        cost = _EXACT.minus(cash) if lots else _ZERO
        return replace(
            cls.flat(instrument), lots=lots, cash=cash, cost=cost, fees=fees, funding=funding
        )

    @property
    def average_price(self) -> Decimal | None:
        """Quote currency per base unit the open holding cost; None when flat."""
        if not self.lots:
            return None
        return self.cost / (self.lot_value * self.lots)

    @property
    def realised(self) -> Decimal:
        """Gains of what was closed, before fees and funding."""
        return _EXACT.add(self.cash, self.cost)

    def unrealised(self, mid_x2: int) -> Decimal:
        """Gain of the open holding were it closed at the mid (half ticks)."""
        return _EXACT.subtract(self._worth(mid_x2), self.cost)

    def pnl(self, mid_x2: int) -> Decimal:
        """Realised and unrealised gains, less fees, plus funding."""
        gross = _EXACT.add(self.cash, self._worth(mid_x2))
        return _EXACT.add(_EXACT.subtract(gross, self.fees), self.funding)

    def _worth(self, mid_x2: int) -> Decimal:
        half_tick_lot = _EXACT.multiply(self.tick_size, self.lot_value) / 2
        return _EXACT.multiply(half_tick_lot, Decimal(self.lots * mid_x2))


def apply_fill(position: Position, fill: Fill, instrument: Instrument) -> Position:
    """The position after a fill; each fill must be given once.

    What closes leaves at the average cost; what passes through zero opens at the fill's price.
    ValueError for a fill of another market or without size.
    """
    if fill.symbol != instrument.symbol or fill.lots <= 0:
        raise ValueError(
            f"fill {fill.trade_id}: {fill.lots} lots of {fill.symbol} cannot be booked "
            f"on {instrument.symbol}; give positive lots of that market"
        )
    change = fill.side.sign * fill.lots
    lot_price = _EXACT.multiply(
        _EXACT.multiply(position.tick_size, position.lot_value), Decimal(fill.price)
    )
    return replace(
        position,
        lots=position.lots + change,
        cash=_EXACT.subtract(position.cash, _EXACT.multiply(lot_price, Decimal(change))),
        cost=_cost_after(position, change, lot_price),
        fees=_EXACT.add(position.fees, fill.fee),
    )


def apply_funding(position: Position, amount: Decimal) -> Position:
    """The position after a funding payment, positive when received."""
    return replace(position, funding=_EXACT.add(position.funding, amount))


def _cost_after(position: Position, change: Lots, lot_price: Decimal) -> Decimal:
    held, after = position.lots, position.lots + change
    if after == 0:
        return _ZERO
    if held * change >= 0:
        return _EXACT.add(position.cost, _EXACT.multiply(lot_price, Decimal(change)))
    if held * after < 0:
        return _EXACT.multiply(lot_price, Decimal(after))
    kept = _EXACT.divide(_EXACT.multiply(position.cost, Decimal(after)), Decimal(held))
    return kept.quantize(_COST_PLACES, context=_EXACT)
