"""What the guardian is told, and what it reports. One JSON value each; messages only grow."""

from enum import StrEnum

from pydantic import Field

from desk.identity import MarketId
from desk.ownership import Finding
from workflows.messages import Message, Name


class ExposurePolicy(StrEnum):
    """What is done about a position that nobody owns: tell a person, or trade it to zero too."""

    ALARM = "alarm"
    FLATTEN = "flatten"


class GuardAccount(Message):
    """Input of GuardianWorkflow: `{"venue": "ocx"}` is enough for the account `main`.

    `laggard_after_s`: how long orders of a running workflow may rest without a session.
    """

    venue: Name
    account: Name = "main"
    fleet: Name = "main"
    exposure: ExposurePolicy = ExposurePolicy.ALARM
    laggard_after_s: int = Field(default=30, ge=1, le=3_600)


class GuardianReport(Message):
    """Result of GuardianWorkflow, and what its next run begins with.

    `findings` stand now, foreign orders included. Orders are counted, `owned` counts markets;
    `flattens` are workflows this look started. `at_ms` is 0 when it could not look.
    """

    account: str
    at_ms: int = 0
    ours: int = 0
    foreign: int = 0
    owned: int = 0
    cleared: int = 0
    findings: tuple[Finding, ...] = ()
    flattens: tuple[str, ...] = ()
    begun: int = 0
    over: int = 0
    trouble: str = ""


def market_of(finding: Finding) -> MarketId:
    """The market of a finding that has one; ValueError for one of the whole account."""
    if finding.market is None:
        raise ValueError(f"{finding.kind.value}: this finding is about no single market")
    return finding.market
