"""What orders offer on each side of a market, in lots and in what those lots would cost."""

from dataclasses import dataclass

from desk.units import Lots, Side, Ticks


@dataclass(slots=True, kw_only=True)
class Offers:
    """Lots on each side and their cost, ticks times lots; or changes of both, negative for less."""

    bids: Lots = 0
    asks: Lots = 0
    bid_cost: int = 0
    ask_cost: int = 0

    def add(self, side: Side, price: Ticks, lots: Lots) -> None:
        """Count lots more (negative: less) at a price."""
        if side is Side.BUY:
            self.bids += lots
            self.bid_cost += price * lots
        else:
            self.asks += lots
            self.ask_cost += price * lots

    def plus(self, side: Side, price: Ticks, lots: Lots) -> "Offers":
        """The same with lots more; this one stays as it is."""
        more = self.joined(_NOTHING)
        more.add(side, price, lots)
        return more

    def joined(self, more: "Offers") -> "Offers":
        """Both together."""
        return Offers(
            bids=self.bids + more.bids,
            asks=self.asks + more.asks,
            bid_cost=self.bid_cost + more.bid_cost,
            ask_cost=self.ask_cost + more.ask_cost,
        )


_NOTHING = Offers()
