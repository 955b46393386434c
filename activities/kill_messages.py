"""What a kill's workflow sends to activities and gets back. Messages only grow."""

from dataclasses import dataclass

from desk.identity import MarketId
from desk.records import Kill, KillStage


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSeen:
    """One stage of a market's answer; `at_ms` is unix milliseconds."""

    stage: KillStage
    at_ms: int
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketStages:
    """How far one market has come."""

    market: MarketId
    stages: tuple[StageSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeInput:
    """Who has to answer? `fleet` and the words are how markets' workflows are found."""

    kill: Kill
    fleet: str
    market_workflow: str
    fleet_attribute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeReport:
    """Who has to answer; `unread` says what could not be read, empty when all was."""

    markets: tuple[MarketId, ...]
    unread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectInput:
    """What has been answered? Waits up to `wait_s` for those who have not."""

    kill: Kill
    markets: tuple[MarketId, ...]
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What the record holds; `over` when the kill is in force no more."""

    answers: tuple[MarketStages, ...] = ()
    over: bool = False
    unread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerInput:
    """Bring one market as far as it can be brought now. `tries` counts from zero.

    `keyless` is how many tries in a row, up to now, had no settings of its account.
    `workflow_id` and `flatten_id` are those of the market's workflow and of a flatten of it;
    `state_attribute` names the search attribute that says what the former is doing.
    """

    kill: Kill
    market: MarketId
    known: tuple[StageSeen, ...]
    tries: int
    workflow_id: str
    flatten_id: str
    fleet: str
    flatten_workflow: str
    flatten_queue: str
    state_attribute: str
    keyless: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketAnswer:
    """How far it has come; `waiting_for` says why no further, empty when it has answered.

    `unverified` says why nobody can look at its venue any more, where that is so for good;
    `keyless` is how many tries in a row had no settings of its account.
    """

    market: MarketId
    stages: tuple[StageSeen, ...]
    waiting_for: str = ""
    unverified: str = ""
    keyless: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmInput:
    """Tell a person; without a kill where none was understood."""

    kill: Kill | None
    severity: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftInput:
    """Lift what stood at exactly this scope at `asked_ms`, unix milliseconds (None: now)."""

    scope: str
    by: str
    reason: str
    asked_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftReport:
    """Whether one was `lifted`, another was set there `again`, and the `wider` ones that stand."""

    lifted: bool
    again: bool
    wider: tuple[Kill, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KillStanding:
    """One kill in force, and how many of the markets asked have answered."""

    kill: Kill
    asked: int
    answered: int
