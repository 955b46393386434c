"""What a kill's workflow remembers: who was asked, who has answered, what is still to be told.

The one rule: a market once asked stays asked; only evidence, or a venue lost for good, ends it.
"""

from collections.abc import Iterable
from typing import Final

from activities.kill_messages import MarketAnswer, MarketStages, StageSeen
from desk.identity import MarketId
from desk.records import KillEffect, KillStage
from workflows.kill_messages import KillCarried, KillStatus, StartKill

_NOT_ASKED: Final = "not asked yet"
_ALARMS_S: Final = (10, 30, 60, 120, 300)
_EVERY_ALARM_S: Final = 600


class KillRecord:
    """One value that survives continue-as-new whole; no decisions of trading, no Temporal."""

    def __init__(self, start: StartKill) -> None:
        carried = start.carried
        self._start = start
        self._answers = {one.market: one for one in carried.markets} if carried else {}
        self.recorded = carried.recorded if carried else False
        self.on_board = carried.on_board if carried else False
        self.rounds = carried.rounds if carried else 0
        self.alarms = carried.alarms if carried else 0
        self.over = False
        self.unread = "nobody was asked yet"
        self.said = ""

    @property
    def complete(self) -> bool:
        """Whether the kill is durable, everybody is known, and all have answered."""
        return self._settled and bool(self._answers)

    @property
    def nobody(self) -> bool:
        """Whether the kill is durable, and there is no market in its scope that could answer."""
        return self._settled and not self._answers

    @property
    def _settled(self) -> bool:
        return self.recorded and not self.unread and not self.pending()

    def asked(self, markets: Iterable[MarketId]) -> None:
        """These have to answer."""
        for market in markets:
            new = MarketAnswer(market=market, stages=(), waiting_for=_NOT_ASKED)
            self._answers.setdefault(market, new)

    def heard(self, found: MarketStages) -> None:
        """What the record holds of one market; what was answered needs no further try."""
        seen = {one.stage: one for one in found.stages}
        known = self._answers.get(found.market)
        for one in known.stages if known else ():
            seen.setdefault(one.stage, one)
        waiting = known.waiting_for if known else _NOT_ASKED
        self._answers[found.market] = MarketAnswer(
            market=found.market,
            stages=tuple(sorted(seen.values(), key=lambda one: one.at_ms)),
            waiting_for="" if self._all(seen) else waiting or _NOT_ASKED,
            unverified=known.unverified if known else "",
            keyless=known.keyless if known else 0,
        )

    def took(self, answer: MarketAnswer) -> None:
        """How far a try brought one market."""
        self._answers[answer.market] = answer

    def ended_round(self, unread: str) -> None:
        """Everybody was asked; `unread` says why perhaps not everybody is known."""
        self.rounds += 1
        self.unread = unread

    def markets(self) -> tuple[MarketId, ...]:
        """Everybody who has to answer."""
        return tuple(sorted(self._answers))

    def stages(self, market: MarketId) -> tuple[StageSeen, ...]:
        """What one market has answered."""
        return self._answers[market].stages

    def keyless(self, market: MarketId) -> int:
        """How many tries in a row had no settings of its account."""
        return self._answers[market].keyless

    def pending(self) -> tuple[MarketId, ...]:
        """Markets that have to be asked (again)."""
        return tuple(
            market
            for market in self.markets()
            if self._answers[market].waiting_for and not self._answers[market].unverified
        )

    def alarm_due(self, after_s: int) -> bool:
        """Whether a person must hear of laggards now; all that fell due before are one alarm."""
        if after_s < _due_s(self.alarms):
            return False
        while after_s >= _due_s(self.alarms):
            self.alarms += 1
        return True

    def news(self) -> str:
        """How the kill stands, in one sentence."""
        asked, late = len(self._answers), len(self.pending())
        if self.over:
            return f"lifted or replaced while {late} of {asked} markets had not answered"
        if self.complete:
            lost = sum(bool(one.unverified) for one in self._answers.values())
            also = f"; {lost} of them could not be looked at any more" if lost else ""
            return f"complete: all {asked} markets have answered{also}"
        if self.nobody:
            return (
                f"{self._start.scope} covers no market that was ever quoted; it stays in force: "
                "look whether the scope is spelled as meant"
            )
        if late:
            return f"waiting for {late} of {asked} markets"
        return self.unread or "waiting until the record has it"

    def carried(self) -> KillCarried:
        """What the next run starts from."""
        return KillCarried(
            recorded=self.recorded,
            on_board=self.on_board,
            rounds=self.rounds,
            alarms=self.alarms,
            markets=tuple(self._answers[market] for market in self.markets()),
        )

    def status(self) -> KillStatus:
        """Answer to the status query."""
        kill = self._start.kill
        return KillStatus(
            scope=kill.scope,
            at_ms=kill.at_ms,
            reason=kill.reason,
            by=kill.by,
            effect=kill.effect,
            recorded=self.recorded,
            on_board=self.on_board,
            complete=self.complete,
            over=self.over,
            nobody=self.nobody,
            news=self.said,
            answered=len(self._answers) - len(self.pending()),
            markets=tuple(self._answers[market] for market in self.markets()),
        )

    def _all(self, seen: dict[KillStage, StageSeen]) -> bool:
        wanted = {KillStage.GATE_CLOSED, KillStage.CANCELS_SENT, KillStage.LISTED_ZERO}
        if self._start.effect is KillEffect.FLATTEN:
            wanted.add(KillStage.FLAT)
        return wanted <= set(seen)


def _due_s(alarms: int) -> int:
    known = len(_ALARMS_S)
    if alarms < known:
        return _ALARMS_S[alarms]
    return _ALARMS_S[-1] + (alarms - known + 1) * _EVERY_ALARM_S
