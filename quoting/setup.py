"""What a market's loop starts from."""

from dataclasses import dataclass
from decimal import Decimal

from desk.daily_loss import MarketDay
from desk.identity import MarketId
from desk.instrument import Instrument
from desk.planning import PlanRules
from desk.ports import Capabilities
from desk.quoting.parameters import QuoteParameters
from desk.records import LedgerFacts
from desk.risk.limits import RiskLimits
from desk.units import NS_PER_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSetup:
    """What a loop starts from; `known*` tell which fills the ledger has already.

    `prior_sigma_bps` serves until this session has a volatility estimate of its own, and
    `usual_latency_ms` is what earlier sessions found usual for a round trip of orders.
    """

    market: MarketId
    instrument: Instrument
    epoch: int
    parameters: QuoteParameters
    limits: RiskLimits
    capabilities: Capabilities
    facts: LedgerFacts
    known_since_ms: int
    known: frozenset[str]
    prior_sigma_bps: Decimal | None = None
    usual_latency_ms: Decimal | None = None
    day: MarketDay | None = None

    @property
    def rules(self) -> PlanRules:
        """How this market's orders may be changed."""
        return PlanRules(
            symbol=self.instrument.symbol,
            tolerance_bps=self.parameters.requote_tolerance_bps,
            debounce_ns=self.parameters.debounce_ms * NS_PER_MS,
            atomic_ladder=self.capabilities.atomic_ladder,
            replaces_orders=self.capabilities.replaces_orders,
            max_batch_orders=self.capabilities.max_batch_orders,
        )
