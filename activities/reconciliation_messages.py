"""What a reconciliation's workflow sends to its activities and gets back. Messages only grow."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from desk.reconciliation import Tolerance


class ReconcileKind(StrEnum):
    """What is compared: what rests, or everything else of the account."""

    ORDERS = "orders"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileInput:
    """One comparison of one account; `run_id` and `began_ms` name it, repeats included.

    `every_s` is when the next is due. `owners` are beginnings of workflow ids that, before a
    market's path, name who may own it, `drill` the whole id of what may own the account for a
    while. `lag_ms` is how late a session's records may reach the ledger, no less than a session
    is allowed. At most `most_orders` orders are cancelled, `most_freed` freed, and `most_fills`
    markets asked for their fills; the rest has its turn in the next runs. Sources that
    differed count as agreed after `agree_runs`.
    """

    venue: str
    account: str
    kind: ReconcileKind
    run_id: str
    began_ms: int
    every_s: int
    owners: tuple[str, ...] = ()
    drill: str = ""
    tolerance: Tolerance = field(default_factory=Tolerance)
    lag_ms: int = 10_000
    most_orders: int = 50
    most_freed: int = 2_000
    most_fills: int = 20
    agree_runs: int = 3
    auto_resume: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """What a comparison found and did. `differences` are sentences; `found` counts all of them.

    `ours` and `theirs` count what was compared. `standing` are the breaks open on the account
    now. `gap_s` is how long nobody compared before, zero when no run is missing. Money is quote
    currency, None where it was not judged.
    """

    run_id: str
    at_ms: int
    ours: int
    theirs: int
    requests: int
    found: int
    differences: tuple[str, ...] = ()
    standing: tuple[int, ...] = ()
    equity: Decimal | None = None
    expected: Decimal | None = None
    gap_s: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindInput:
    """A comparison that could not be made, and whether a person is to be told."""

    asked: ReconcileInput
    trouble: str
    tell: bool = False
