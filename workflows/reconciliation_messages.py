"""What a reconciliation is told, and what it reports. One JSON value each; messages only grow."""

from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from activities.reconciliation_messages import ReconcileKind
from desk.reconciliation import Tolerance
from workflows.messages import Message, Money, Name


class AfterSources(StrEnum):
    """What lets an account go on once its sources agree again: that they do, or a person."""

    AUTO = "auto"
    HAND = "hand"


class ReconcileAccount(Message):
    """Input of ReconciliationWorkflow: `{"venue": "ocx"}` compares the account `main` once.

    `kind` is `orders` or `account` (positions, equity, fills, payments and sources). The venue's
    equity may differ from our books' by `tolerance` quote currency, `tolerance_bps` of the worth
    of all positions, and, where the venue does not tell funding, `untold_bps` of it a day.
    """

    venue: Name
    account: Name = "main"
    fleet: Name = "main"
    kind: ReconcileKind = ReconcileKind.ACCOUNT
    every_s: int = Field(default=60, ge=5, le=3_600)
    tolerance: Money = Tolerance().amount
    tolerance_bps: Money = Tolerance().bps
    untold_bps: Money = Tolerance().untold_bps
    sources: AfterSources = AfterSources.AUTO


class ReconciliationReport(Message):
    """Result of ReconciliationWorkflow, and what the next run of its schedule begins with.

    `ours` and `theirs` count orders or positions. `breaks` are the numbers of those open on the
    account, `begun` those whose workflow this run started. `at_ms` is 0 when it could not compare;
    `blind_since_ms` is since when none could, and `told` whether a person heard of that.
    """

    account: str
    kind: ReconcileKind
    run_id: str
    at_ms: int = 0
    ours: int = 0
    theirs: int = 0
    requests: int = 0
    found: int = 0
    differences: tuple[str, ...] = ()
    breaks: tuple[int, ...] = ()
    begun: tuple[int, ...] = ()
    equity: Decimal | None = None
    expected: Decimal | None = None
    gap_s: int = 0
    trouble: str = ""
    blind_since_ms: int = 0
    told: bool = False
