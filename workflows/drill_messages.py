"""What people say to a drill, and what it answers. One JSON value each; messages only grow."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from desk.drills import DrillKind
from desk.identity import MarketId
from workflows.messages import Message, Money, Name


class StartDrill(Message):
    """Input of DrillWorkflow: `{"kind": "kill", "venue": "ocx", "symbol": "BTC-PERP"}`."""

    kind: DrillKind
    venue: Name
    symbol: Name
    account: Name = "drill"
    fleet: Name = "main"
    within_s: Annotated[int, Field(ge=1, le=600)] = 15
    max_notional: Money = Decimal(1_000)

    @property
    def market(self) -> MarketId:
        """The market that is drilled."""
        return MarketId(self.venue, self.account, self.symbol)


class DrillResult(Message):
    """Result of DrillWorkflow."""

    kind: DrillKind
    market: str
    passed: bool
    message: str
    facts: tuple[str, ...]
