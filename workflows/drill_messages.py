"""What people say to a drill, and what it answers. One JSON value each; messages only grow."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from desk.drills import DrillKind
from workflows.messages import AboutMarket, Message, Money, Name


class StartDrill(AboutMarket):
    """Input of DrillWorkflow: `{"kind": "kill", "venue": "ocx", "symbol": "BTC-PERP"}`."""

    kind: DrillKind
    account: Name = "drill"
    within_s: Annotated[int, Field(ge=1, le=600)] = 15
    max_notional: Money = Decimal(1_000)


class DrillResult(Message):
    """Result of DrillWorkflow."""

    kind: DrillKind
    market: str
    passed: bool
    message: str
    facts: tuple[str, ...]
