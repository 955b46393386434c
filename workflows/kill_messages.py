"""What people and programs say to the fleet's kills, and what they answer.

One JSON value each; unknown fields are refused. Times ending in `_ms` are unix milliseconds.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from activities.kill_messages import KillStanding, MarketAnswer
from desk.records import LOSS, Kill, KillEffect
from desk.scopes import checked_scope, why_by_break
from workflows.messages import Message, Name, Request

_LATEST_MS = 4_102_444_800_000  # 2100-01-01


def _checked_moment(at_ms: int) -> int:
    if 0 <= at_ms < _LATEST_MS:
        return at_ms
    raise ValueError(
        f"{at_ms} is no time before 2100 in unix milliseconds; give milliseconds, or leave it out"
    )


def _for_people(scope: str) -> str:
    if why := why_by_break(checked_scope(scope)):
        raise ValueError(why.removeprefix("scope: "))
    return checked_scope(scope)


Scope = Annotated[str, AfterValidator(checked_scope)]
OpenScope = Annotated[str, AfterValidator(_for_people)]
Words = Annotated[str, Field(min_length=1, max_length=1_000)]
Moment = Annotated[int, AfterValidator(_checked_moment)]


class KillRequest(Request):
    """Signal `kill`: `{"scope": "fleet", "reason": "why", "by": "you"}`; the scope is enough.

    With `flatten` the positions are traded to zero. `at_ms` makes two tellings one kill.
    """

    scope: OpenScope
    flatten: bool = False
    at_ms: Moment | None = None

    def kill(self, now_ms: int) -> Kill:
        """The kill this asks for, from now on when it does not say since when."""
        return Kill(
            scope=self.scope,
            reason=self.reason,
            by=self.by,
            at_ms=now_ms if self.at_ms is None else self.at_ms,
            effect=KillEffect.FLATTEN if self.flatten else KillEffect.STOP,
        )


class LiftKill(Message):
    """Update `lift`: `{"scope": "fleet", "by": "you", "reason": "why"}`, all three.

    Kills of loss limits end by themselves; `early` lifts one before that.
    """

    scope: OpenScope
    by: Words
    reason: Words
    early: bool = False

    @property
    def too_early(self) -> bool:
        """Whether it asks for the end of a loss limit's kill without saying so."""
        return self.scope.startswith(LOSS) and not self.early


class LiftAnswer(Message):
    """What was lifted, and which wider kills go on stopping the same markets."""

    scope: str
    lifted: bool
    still_stopped_by: tuple[str, ...] = ()


class WorkerName(Message):
    """Signals `worker_joined` and `worker_left`; workers send them, not people."""

    worker: Words


class StartKill(Message):
    """Input of KillWorkflow: one kill, until every market in its scope has answered."""

    scope: Scope
    at_ms: Moment
    reason: str = "asked by the operator"
    by: str = "operator"
    effect: KillEffect = KillEffect.STOP
    until_ms: Moment | None = None
    fleet: Name = "main"
    carried: "KillCarried | None" = None

    @classmethod
    def of(cls, kill: Kill, fleet: str) -> "StartKill":
        """The input that keeps this kill of this fleet."""
        return cls(
            scope=kill.scope,
            at_ms=kill.at_ms,
            reason=kill.reason,
            by=kill.by,
            effect=kill.effect,
            until_ms=kill.until_ms,
            fleet=fleet,
        )

    @property
    def kill(self) -> Kill:
        """The kill itself."""
        return Kill(
            scope=self.scope,
            reason=self.reason,
            by=self.by,
            at_ms=self.at_ms,
            effect=self.effect,
            until_ms=self.until_ms,
        )


class KillCarried(Message):
    """What one run of a kill hands to the next. Not for people."""

    recorded: bool
    on_board: bool
    rounds: int
    alarms: int
    markets: tuple[MarketAnswer, ...]


class KillStatus(Message):
    """Answer to the `status` query of a kill, and its result.

    `complete` when every market has answered; `over` when the kill was lifted before that; neither
    when there was no market to ask, see `nobody`.
    """

    scope: str
    at_ms: int
    reason: str
    by: str
    effect: KillEffect
    recorded: bool
    on_board: bool
    complete: bool
    over: bool
    nobody: bool = False
    news: str
    answered: int
    markets: tuple[MarketAnswer, ...]

    @property
    def laggards(self) -> tuple[MarketAnswer, ...]:
        """Markets that have not answered."""
        return tuple(one for one in self.markets if one.waiting_for)


class StartControl(Message):
    """Input of ControlWorkflow: the fleet's name is enough."""

    fleet: Name = "main"
    carried: "ControlCarried | None" = None


class ControlCarried(Message):
    """What one run of the control desk hands to the next. Not for people."""

    workers: tuple[str, ...] = ()
    misread: tuple[str, ...] = ()
    last_ms: int = 0


class ControlStatus(Message):
    """Answer to the `status` query: who can be told directly, and the kills in force.

    `misread` are the last requests that could not be understood: nothing was killed for them.
    """

    fleet: str
    workers: tuple[str, ...]
    kills: tuple[KillStanding, ...]
    unread: str = ""
    misread: tuple[str, ...] = ()
