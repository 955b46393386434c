"""From a chance to orders on the wire: claim, look again, approve all legs, record, send at once.

The rule: nothing leaves that was not claimed, or while any leg's gate is closed; from the last look
to the last byte nobody else gets a turn.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from desk.arbitrage.verdicts import Opportunity, Passed
from desk.arbitrage_ports import Claim, ClaimGranted, ClaimRefused
from desk.arbitrage_records import TradeKey
from desk.errors import Unavailable
from desk.identity import MarketId
from desk.orders import Batch, BatchOutcome
from desk.risk.approval import Approved
from desk.risk.gate import Denied, review
from desk.units import NS_PER_MS
from quoting.arbitrage.answers import Fired
from quoting.arbitrage.leg import LiveLeg
from quoting.arbitrage.permission import why_not_fire
from quoting.arbitrage.ports import SetPorts
from quoting.arbitrage.report import RunOrder
from quoting.arbitrage.shot import Shot, batch_of, capital_of, claim_of, fired_of, fits
from quoting.arbitrage.sight import SetSight
from quoting.journal import record_sent

CLAIM_MS = 2_000
"""How long a claim is kept after the last word; whoever fires goes on giving it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """Nothing was sent: one word for counting, one sentence for people.

    `rests`: it would be the same the next moment, so the next try waits a little.
    """

    reason: str
    sentence: str
    rests: bool = True


_DISTRUST: Final = Missed(reason="fault", sentence="what was heard could not be taken")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """What was seen, with the books' `changes` then, led to by an update read at `caused_ns`."""

    seen: Opportunity
    changes: tuple[int, ...]
    caused_ns: int


class Firing:
    """Fires at most one trade. `epoch` is the set's; trades count on from 1 within it."""

    def __init__(
        self,
        order: RunOrder,
        *,
        epoch: int,
        legs: Sequence[LiveLeg],
        sight: SetSight,
        ports: SetPorts,
    ) -> None:
        self._order = order
        self._epoch = epoch
        self._legs: Mapping[MarketId, LiveLeg] = {leg.market: leg for leg in legs}
        self._sight = sight
        self._ports = ports
        self._number = 0
        self._doubtful: list[TradeKey] = []

    async def shoot(self, chance: Chance, faulty: Callable[[], bool]) -> Fired | Missed:
        """Claim the chance and send it, or say why not; then nothing is claimed any more.

        `faulty`, asked last, says that what was seen cannot be trusted.
        """
        ports = self._ports
        if why := why_not_fire(self._legs.values(), ports, ports.clock.monotonic_ns()):
            return Missed(reason="gate", sentence=why)
        if self._doubtful and not await self._given_up():
            return Missed(reason="claims", sentence="an earlier claim could not be given up")
        key = TradeKey(self._order.name, self._epoch, self._number + 1)
        claim = claim_of(key, chance.seen, self._legs, owner=self._order.owner, ttl_ms=CLAIM_MS)
        asked_ns = ports.clock.monotonic_ns()
        try:
            answer = await ports.claims.claim(claim)
        except Unavailable as error:
            self._number += 1
            self._doubtful.append(key)
            return Missed(reason="claims", sentence=str(error))
        if isinstance(answer, ClaimRefused):
            return Missed(reason=f"claim_{answer.reason.value}", sentence=answer.text)
        self._number += 1
        self._keep_requests(answer, asked_ns)
        shot = _DISTRUST if faulty() else self._aim(chance, claim, asked_ns)
        if isinstance(shot, Shot):
            return self._send(shot, chance.caused_ns)
        self._doubtful.append(key)
        await self._given_up()
        return shot

    def _aim(self, chance: Chance, claim: Claim, asked_ns: int) -> Shot | Missed:
        """Look once more, with all that is known now, and have every leg approved or none."""
        now_ns = self._ports.clock.monotonic_ns()
        if now_ns - asked_ns >= CLAIM_MS * NS_PER_MS:
            return Missed(reason="claim_late", sentence="the claim was answered too late to use")
        if why := why_not_fire(self._legs.values(), self._ports, now_ns):
            return Missed(reason="gate", sentence=why)
        again = self._sight.again(chance.seen, now_ns, chance.changes)
        if isinstance(again, Passed):
            return Missed(reason=again.reason.value, sentence=again.sentence, rests=False)
        if why := fits(again, claim, capital_of(again, self._legs)):
            return Missed(reason="moved", sentence=why, rests=False)
        legs = tuple(self._legs[one.market] for one in again.legs)
        batches: list[Approved[Batch]] = []
        for leg, planned in zip(legs, again.legs, strict=True):
            verdict = review(batch_of(leg, planned, again.aim), leg.context(now_ns))
            if isinstance(verdict, Denied):
                sentence = f"{leg.market.path}: {verdict.message}"
                return Missed(reason=verdict.reason.value, sentence=sentence)
            batches.append(verdict)
        return Shot(key=claim.key, chance=again, claim=claim, legs=legs, batches=tuple(batches))

    def _send(self, shot: Shot, caused_ns: int) -> Fired:
        """Everything on record, then all legs' bytes in one stretch."""
        clock, writer = self._ports.clock, self._ports.writer
        record = fired_of(shot, self._order, clock.wall_ns() // NS_PER_MS)
        for leg, batch in zip(shot.legs, shot.batches, strict=True):
            record_sent(writer, clock, leg.market, leg.instrument, leg.epoch, batch.value)
        writer.record(record)
        answers = [_sent(leg, batch) for leg, batch in zip(shot.legs, shot.batches, strict=True)]
        sent_ns = clock.monotonic_ns()
        for leg in shot.legs:
            leg.rate.record(sent_ns, 1)
        return Fired(
            shot=shot,
            record=record,
            positions=tuple(leg.position for leg in shot.legs),
            answers=tuple(answers),
            caused_ns=caused_ns,
            sent_ns=sent_ns - caused_ns,
        )

    def _keep_requests(self, granted: ClaimGranted, asked_ns: int) -> None:
        """Requests that the claim drew go to whoever sends; what is unused goes back from there."""
        purses = {purse.bucket: purse for leg in self._legs.values() if (purse := leg.venue.purse)}
        for drawn in granted.requests:
            purses[drawn.bucket].put(drawn.count, stamp=drawn.stamp, asked_ns=asked_ns)

    async def _given_up(self) -> bool:
        """Release claims that were not used; False while some could not be."""
        while self._doubtful:
            try:
                await self._ports.claims.release(self._doubtful[-1])
            except Unavailable:
                return False
            self._doubtful.pop()
        return True


def _sent(leg: LiveLeg, batch: Approved[Batch]) -> asyncio.Future[BatchOutcome]:
    """What the send will give; one that raises is an outcome nobody knows."""
    try:
        return asyncio.ensure_future(leg.venue.execution.send(batch, leg.instrument))
    except Exception as error:  # noqa: BLE001 - the other legs must go out, whatever it is
        failed: asyncio.Future[BatchOutcome] = asyncio.get_running_loop().create_future()
        failed.set_exception(error)
        return failed
