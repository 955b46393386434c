"""What a session says to the kills that ended it: gate closed, cancels sent, nothing listed.

The one rule: a stage is said when it was seen, never before; the record keeps the first word.
"""

from desk.identity import MarketId
from desk.permit import Permit, wants_answers
from desk.ports import Clock, LedgerWriter
from desk.records import Kill, KillAnswer, KillStage
from desk.units import NS_PER_MS
from quoting.clearing import ClearReport


class KillReply:
    """One session's answers. Kills that come while it leaves are answered as well."""

    def __init__(
        self,
        *,
        market: MarketId,
        epoch: int,
        owner: str,
        permit: Permit,
        ledger: LedgerWriter,
        clock: Clock,
    ) -> None:
        self._market = market
        self._session = f"session {epoch} of {owner}"
        self._permit = permit
        self._ledger = ledger
        self._clock = clock
        self._closed_ns = 0

    def gate_closed(self, on_their_way: int) -> None:
        """The session sends nothing more; so many requests had no answer yet."""
        self._closed_ns = self._clock.monotonic_ns()
        self._closed(f"{self._session} sends no more; {on_their_way} requests were on their way")

    def cancelled(self, report: ClearReport) -> None:
        """A first cancel-all was made; orders on their way may have missed it."""
        if report.confirmed_ns is not None:
            self._say(
                KillStage.CANCELS_SENT,
                report.confirmed_ns,
                f"{self._session}: the venue confirmed the cancel-all",
            )

    def cleared(self, report: ClearReport) -> None:
        """The last clearing is over, and nothing was on its way any more."""
        self._closed(f"{self._session} sends no more")
        self.cancelled(report)
        if report.verified_ns is not None:
            seen = f"{self._session}: zero orders listed twice, {report.attempts} rounds"
            # A venue that confirms no cancel has shown by its lists that none was needed.
            self._say(KillStage.CANCELS_SENT, report.verified_ns, seen)
            self._say(KillStage.LISTED_ZERO, report.verified_ns, seen)

    def _closed(self, evidence: str) -> None:
        self._say(KillStage.GATE_CLOSED, self._closed_ns, evidence)

    def _say(self, stage: KillStage, seen_ns: int, evidence: str) -> None:
        now_ns = self._clock.monotonic_ns()
        seen_ms = (self._clock.wall_ns() - (now_ns - seen_ns)) // NS_PER_MS
        for kill in filter(wants_answers, self._permit.stopping):
            self._ledger.record(self._answer(kill, stage, seen_ms, evidence))

    def _answer(self, kill: Kill, stage: KillStage, seen_ms: int, evidence: str) -> KillAnswer:
        return KillAnswer(
            scope=kill.scope,
            set_at_ms=kill.at_ms,
            market=self._market,
            stage=stage,
            # What was so before the kill came is so from its moment on.
            at_ms=max(seen_ms, kill.at_ms),
            evidence=evidence,
        )
