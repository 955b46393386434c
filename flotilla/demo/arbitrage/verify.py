"""After the demo of arbitrage: positions, orders and fills by the venue's own word, and the claims.

Complete sets are no exposure: what counts is that every leg of a set holds the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from activities.ports import ActivityPorts
from desk.arbitrage_ports import ClaimStage, StandingClaim
from desk.arbitrage_records import ArbitrageTrade
from desk.identity import MarketId
from flotilla.demo.arbitrage.scenes import Shown
from flotilla.demo.arbitrage.sets import Scene, ShownSet
from quoting.agreement import look
from workflows.arbitrage_messages import ArbitrageStatus

_TRADES: Final = 50
_ZERO: Final = Decimal(0)
_MILLIONTH: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class LegFacts:
    """One leg, read back; positions in base units."""

    market: MarketId
    open_orders: int
    position: Decimal
    ledger_position: Decimal
    fills: int
    ledger_equals_venue: bool
    difference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVerdict:
    """One set's final facts. Amounts are quote currency; trades are newest first."""

    shown_set: ShownSet
    shown: Shown
    status: ArbitrageStatus
    legs: tuple[LegFacts, ...]
    trades: tuple[ArbitrageTrade, ...]
    claims: tuple[StandingClaim, ...]

    @property
    def complete(self) -> Decimal:
        """Complete sets by the venue's positions."""
        return min(leg.position for leg in self.legs)

    @property
    def claimed(self) -> Decimal:
        """Capital that is still claimed."""
        return sum((part.amount for one in self.claims for part in one.capital), _ZERO)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is not as due, a sentence each; empty when the set is as promised."""
        found = [] if self.shown.happened else [self.shown.what]
        for leg in self.legs:
            if leg.open_orders:
                found.append(f"{leg.market.path}: the venue lists {leg.open_orders} orders")
            if not leg.ledger_equals_venue:
                found.append(f"{leg.market.path}: ledger and venue differ: {leg.difference}")
            if leg.position != self.complete:
                more = leg.position - self.complete
                found.append(f"{leg.market.path}: {more:f} more than complete sets need")
        if any(self.status.owed):
            found.append(f"lots are still owed: {self.status.owed}")
        if (self.shown_set.scene is Scene.WHOLE) and self.shown.happened and not self.complete:
            found.append("the venue holds no complete set of what was taken")
        return (*found, *self._claim_troubles())

    @property
    def holds(self) -> bool:
        """Whether it showed what was promised, and nothing is left open."""
        return not self.troubles

    def as_json(self) -> dict[str, object]:
        """The set's part of the demo's JSON."""
        sent = {one.key: one for one in self.status.trades}
        return {
            "set": self.shown_set.name,
            "scene": self.shown_set.scene.value,
            "promised": self.shown_set.scene.promise,
            "happened": self.shown.happened,
            "what": self.shown.what,
            "took_s": self.shown.took_s,
            "troubles": list(self.troubles),
            "trades": [
                {
                    "key": trade.fired.key.text,
                    "units": str(trade.fired.units),
                    "edge_expected": str(trade.fired.edge_expected),
                    "edge": None if trade.edge is None else str(trade.edge),
                    "stages": [step.stage.value for step in trade.steps],
                    "outcome": sent[trade.fired.key].outcome if trade.fired.key in sent else "",
                    "sent_us": sent[trade.fired.key].sent_us if trade.fired.key in sent else None,
                }
                for trade in self.trades
            ],
            "states": [change.model_dump(mode="json") for change in self.status.history],
            "final": {
                "complete": str(self.complete),
                "owed": list(self.status.owed),
                "locked": str(self.status.locked),
                "claimed": str(self.claimed),
                "claims": [one.stage.value for one in self.claims],
                "legs": [_leg_json(leg) for leg in self.legs],
            },
        }

    def _claim_troubles(self) -> Sequence[str]:
        found = [
            f"{one.key.text} is still claimed ({one.stage.value})"
            for one in self.claims
            if one.stage is not ClaimStage.HELD
        ]
        # Claims are kept in millionths, rounded up part by part.
        parts = sum(len(one.capital) for one in self.claims)
        if not 0 <= self.claimed - self.status.locked <= parts * _MILLIONTH:
            found.append(f"{self.claimed:f} is claimed and {self.status.locked:f} locked on record")
        return found


async def verify_set(
    shown_set: ShownSet, shown: Shown, status: ArbitrageStatus, ports: ActivityPorts
) -> SetVerdict:
    """Look with fresh eyes; writes nothing. Raises what venue and services raise."""
    claims = [one for one in await ports.claims.open() if one.key.set_name == shown_set.name]
    return SetVerdict(
        shown_set=shown_set,
        shown=shown,
        status=status,
        legs=tuple([await _facts(leg, ports) for leg in shown_set.legs]),
        trades=tuple(await ports.trades.recent(_TRADES, shown_set.name)),
        claims=tuple(claims),
    )


async def _facts(market: MarketId, ports: ActivityPorts) -> LegFacts:
    venue = await ports.venues.venue(market.venue, market.account)
    instrument = next(item for item in await venue.instruments() if item.symbol == market.symbol)
    seen = await look(market, instrument, venue, ports.ledger, life_epoch=0)
    return LegFacts(
        market=market,
        open_orders=seen.venue_open_orders,
        position=instrument.quantity(seen.venue_position),
        ledger_position=instrument.quantity(seen.ledger_position),
        fills=seen.venue_fills,
        ledger_equals_venue=seen.ledger_equals_venue,
        difference=seen.difference,
    )


def _leg_json(leg: LegFacts) -> dict[str, object]:
    return {
        "market": leg.market.path,
        "venue_open_orders": leg.open_orders,
        "venue_position": str(leg.position),
        "ledger_position": str(leg.ledger_position),
        "venue_fills": leg.fills,
        "ledger_equals_venue": leg.ledger_equals_venue,
        "difference": leg.difference,
    }
