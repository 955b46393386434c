"""What the guardian's workflow sends to activities and gets back. Messages only grow."""

from dataclasses import dataclass

from desk.identity import MarketId
from desk.ownership import Finding, FindingKind


@dataclass(frozen=True, slots=True, kw_only=True)
class LookInput:
    """Which account to look at.

    `owners` are beginnings of workflow ids that, before a market's path, name who may own it;
    `hedge` is the same before the path of the market whose inventory is hedged, and `drill` is
    the whole id of what may own every market of the account for a while. Orders of
    `overdue` markets are cancelled when no session holds their lease, though their workflow runs.
    """

    venue: str
    account: str
    owners: tuple[str, ...]
    hedge: str
    drill: str = ""
    overdue: tuple[MarketId, ...] = ()
    clear_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LookReport:
    """What was seen. `judged` are the kinds of findings that could be looked for.

    `ours` and `foreign` count orders; `owned` markets with orders or a position have an owner.
    `cleared` counts orders that were cancelled and that the venue lists no more.
    """

    at_ms: int
    ours: int
    foreign: int
    owned: int
    cleared: int
    findings: tuple[Finding, ...]
    judged: tuple[FindingKind, ...]
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellInput:
    """What a person must hear of one account."""

    venue: str
    account: str
    begun: tuple[Finding, ...] = ()
    over: tuple[Finding, ...] = ()
