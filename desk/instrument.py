"""What one market trades in: tick, lot, limits and fees. The only place that rounds."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from desk.units import BPS, Lots, Side, Ticks


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a market pays in the end: 1 quote unit per base unit if its outcome comes true, else 0.

    Exactly one of an event's `outcomes` markets pays.
    """

    event: str
    outcome: str
    outcomes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One tradable thing at one venue.

    `tick_size` is quote currency per tick, `lot_size` base units per lot, `multiplier` quote value
    of one base unit at price one (1 for linear contracts). Fees are basis points of notional;
    a negative fee is a rebate. Band limits are in ticks, None when the venue gives none. `base` and
    `quote` are currencies, "" when the venue does not name them; `settlement` is None for what
    pays no fixed sum in the end.
    """

    venue: str
    symbol: str
    tick_size: Decimal
    lot_size: Decimal
    min_lots: Lots = 1
    min_notional: Decimal = Decimal(0)
    multiplier: Decimal = Decimal(1)
    maker_fee_bps: Decimal = Decimal(0)
    taker_fee_bps: Decimal = Decimal(0)
    band_low: Ticks | None = None
    band_high: Ticks | None = None
    active: bool = True
    base: str = ""
    quote: str = ""
    settlement: Settlement | None = None

    def price_ticks(self, price: Decimal, side: Side) -> Ticks:
        """Round a price away from the market: bids down, asks up."""
        rounding = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
        return int((price / self.tick_size).to_integral_value(rounding))

    def exact_ticks(self, price: Decimal) -> Ticks:
        """Ticks of a price the venue gave; ValueError when it is not on the grid."""
        ticks = price / self.tick_size
        if ticks != ticks.to_integral_value():
            raise ValueError(
                f"price {price} of {self.symbol} is not a multiple of {self.tick_size}"
            )
        return int(ticks)

    def lots(self, quantity: Decimal) -> Lots:
        """Round a quantity towards zero."""
        return int(quantity / self.lot_size)

    def exact_lots(self, quantity: Decimal) -> Lots:
        """Lots of a quantity the venue gave; ValueError when it is not on the grid."""
        lots = quantity / self.lot_size
        if lots != lots.to_integral_value():
            raise ValueError(
                f"size {quantity} of {self.symbol} is not a multiple of {self.lot_size}"
            )
        return int(lots)

    def price(self, ticks: Ticks) -> Decimal:
        """Quote currency of so many ticks."""
        return self.tick_size * ticks

    def quantity(self, lots: Lots) -> Decimal:
        """Base units of so many lots."""
        return self.lot_size * lots

    def notional(self, ticks: Ticks, lots: Lots) -> Decimal:
        """Unsigned quote value of so many lots at a price."""
        return self.tick_size * self.lot_size * self.multiplier * (ticks * abs(lots))

    def fee(self, ticks: Ticks, lots: Lots, *, maker: bool) -> Decimal:
        """Fee in quote currency, positive when paid, negative when a rebate."""
        rate = self.maker_fee_bps if maker else self.taker_fee_bps
        return self.notional(ticks, lots) * rate / BPS
