"""Where a market stands: inventory, PnL and its peak, as folds over fills heard once each.

The venue's position is what we quote by; the sum of fills is its check.
"""

from dataclasses import dataclass
from decimal import Decimal

from desk.instrument import Instrument
from desk.orders import Fill
from desk.records import LedgerFacts
from desk.units import Lots, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Equity:
    """PnL at one moment and its peak, quote currency; position in signed lots."""

    pnl: Decimal
    peak: Decimal
    position: Lots
    mid: Decimal


class Standing:
    """One market's position and cash since ever, continued from the ledger's folds.

    PnL is cash received for fills and as funding, minus fees, plus the position valued at the mid:
    the same sum the position fold gives, without needing every old fill.
    """

    def __init__(
        self,
        instrument: Instrument,
        facts: LedgerFacts,
        *,
        known_since_ms: int,
        known: frozenset[str],
    ) -> None:
        self._instrument = instrument
        self._unit = instrument.tick_size * instrument.lot_size * instrument.multiplier
        self._cash = facts.cash - facts.fees + facts.funding
        self._peak = facts.peak_pnl
        self._known_since_ms = known_since_ms
        self._known = set(known)
        self.folded: Lots = facts.position
        self.position: Lots = facts.position
        self.fills = 0
        self.newest_trade: tuple[str, int] | None = None
        """Id and unix milliseconds of the fill heard last in this session."""

    @property
    def in_step(self) -> bool:
        """Whether the venue's position equals the sum of our fills."""
        return self.position == self.folded

    @property
    def cash(self) -> Decimal:
        """What fills paid, fees taken off and funding added, quote currency."""
        return self._cash

    @property
    def peak(self) -> Decimal | None:
        """The highest PnL so far, None before the first."""
        return self._peak

    @property
    def certain(self) -> Lots:
        """What is held by both words, the venue's and our fills': no more may be reduced."""
        if self.position * self.folded <= 0:
            return 0
        return min(self.position, self.folded, key=abs)

    def hear(self, fill: Fill) -> bool:
        """Fold one fill; False when it was heard or booked before."""
        if fill.traded_at_ms < self._known_since_ms or fill.trade_id in self._known:
            return False
        self._known.add(fill.trade_id)
        self.folded += fill.side.sign * fill.lots
        notional = self._unit * (fill.price * fill.lots)
        self._cash += (notional if fill.side is Side.SELL else -notional) - fill.fee
        self.fills += 1
        self.newest_trade = fill.trade_id, fill.traded_at_ms
        return True

    def equity(self, mid_x2: int) -> Equity:
        """PnL and peak at a mid given in half ticks; the peak moves with it."""
        seen = self.seen(mid_x2)
        self._peak = seen.peak
        return seen

    def seen(self, mid_x2: int) -> Equity:
        """PnL at a mid that may be gone the next moment; nothing is remembered of it."""
        pnl = self._cash + self._unit * self.folded * mid_x2 / 2
        return Equity(
            pnl=pnl,
            peak=pnl if self._peak is None else max(self._peak, pnl),
            position=self.folded,
            mid=self._instrument.tick_size * mid_x2 / 2,
        )
