"""What a market's loop starts from."""

from dataclasses import dataclass
from decimal import Decimal

from desk.identity import MarketId
from desk.instrument import Instrument
from desk.ports import Capabilities
from desk.quoting.parameters import QuoteParameters
from desk.records import LedgerFacts
from desk.risk.limits import RiskLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSetup:
    """What a loop starts from; `known*` tell which fills the ledger has already.

    `prior_sigma_bps` serves until this session has a volatility estimate of its own.
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
