"""One session's trace while it runs: each step of the loop, kept by reference until it is encoded.

The rule: on the way of a quote nothing is copied, encoded or written; what cannot be kept is said
to be lost, and quoting never waits for it.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from desk.daily_loss import DayFacts, Finding, MarketDay
from desk.identity import MarketId, OrderIdentity, Slot
from desk.lifecycle import SessionReason
from desk.orders import Batch
from desk.permit import Permit
from desk.records import Kill
from desk.trace_ports import DecisionSample
from desk.trading_day import TradingDay
from quoting.actions import Action, Leave, SendBatch
from quoting.inbox import InboxEvent
from quoting.trace_frames import DayState, Head, ended_frame, head_frame, lost_frame, step_frame
from quoting.trace_words import kind_of, why

MOST_STEPS: Final = 2_000
"""Steps that may wait to be encoded; a minute and more of them."""
MOST_BYTES: Final = 1_000_000
"""Encoded bytes that may wait for the disk."""

_Day: TypeAlias = tuple[TradingDay, DayFacts | None, Finding | None, Kill | None, TradingDay | None]
_FROM_OUTSIDE: Final = {
    SessionReason.WINDOW: "its time was over, and the next session follows",
    SessionReason.CANCELLED: "its workflow or its worker asked it to go",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """One step, by reference to what it heard and decided."""

    number: int
    now_ns: int
    permit: Permit | None
    day: DayState | None
    left: bool
    failed: str
    reason: str
    events: list[InboxEvent]
    actions: list[Action]


class SessionTrace:
    """What one session heard and decided. `frames` are encoded and wait for the disk.

    `samples` are decisions for the record: everything that takes quotes away, and one in
    `sample_every` sends. `why_lost` is why the trace ends before the session, empty while it goes
    on. `refused` counts what the disk did not take.
    """

    def __init__(self, *, head: Head, permit: Permit, sample_every: int) -> None:
        self.head = head
        self.frames: list[bytes] = []
        self.waiting_bytes = 0
        self.samples: list[DecisionSample] = []
        self.why_lost = ""
        self.over = False
        self.refused = 0
        self._permit = permit
        self._day = head.setup.day
        self._sample_every = sample_every
        self._pending: deque[_Taken] = deque()
        self._number = 0
        self._sends = 0
        self._shown: frozenset[Slot] = frozenset()
        self._events: list[InboxEvent] | None = None
        self._permit_seen: Permit | None = None
        self._permit_news: Permit | None = None
        self._day_seen = _parts(self._day)
        self._day_news: DayState | None = None
        self._left = False

    @property
    def market(self) -> MarketId:
        """Whose trace it is."""
        return self.head.setup.market

    @property
    def head_bytes(self) -> bytes:
        """The head, as every file of the journal begins with it."""
        return head_frame(self.head)

    # --- on the way of a quote ---------------------------------------------------------------

    def begins(self, events: list[InboxEvent]) -> None:
        """A step begins: it heard these, and sees permit and day as they are now."""
        self._events = events
        if self._permit != self._permit_seen:
            self._permit_seen = self._permit_news = replace(self._permit)
        parts = _parts(self._day)
        if parts is not None and parts != self._day_seen:
            self._day_news = _state(parts)

    def took(self, now_ns: int, actions: list[Action], reason: str) -> None:
        """The step that began decided this, by the loop's own words for this reason."""
        self._take(now_ns, actions, reason, "")

    def failed(self, now_ns: int, what: str) -> None:
        """The step that began ended by an exception, unless it had decided before."""
        if self._events is not None:
            self._take(now_ns, [], "", what)

    def left(self) -> None:
        """From here on the loop sends nothing more."""
        self._left = True

    def told_to_leave(self, leave: Leave, now_ns: int, failed: str = "") -> None:
        """The session ends; for what the loop did not decide itself there is a sample.

        `failed` names the task of the session that broke down and so ended it.
        """
        if leave.reason in _FROM_OUTSIDE:
            said = failed or leave.message or _FROM_OUTSIDE[leave.reason]
            said = f"{leave.reason.value}; {said}"
            self.samples.append(self._sample(self._number + 1, now_ns, "leave", said, b""))

    def _take(self, now_ns: int, actions: list[Action], reason: str, failed: str) -> None:
        events, self._events = self._events, None
        # The loop itself may have moved the day in this step; a replay does so by itself.
        self._day_seen = _parts(self._day)
        if events is None:
            return
        self._number += 1
        if len(self._pending) >= MOST_STEPS:
            self.lose(f"{MOST_STEPS} steps waited to be written")
        if self.why_lost and not self._may_sample(actions, failed):
            return
        self._pending.append(
            _Taken(
                number=self._number,
                now_ns=now_ns,
                permit=self._permit_news,
                day=self._day_news,
                left=self._left,
                failed=failed,
                reason=reason if actions else "",
                events=events,
                actions=actions,
            )
        )
        self._permit_news = self._day_news = None
        self._left = False

    # --- afterwards --------------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether steps wait to be encoded."""
        return bool(self._pending)

    def encode(self, most: int) -> None:
        """Encode so many steps at most; never raises."""
        while most and self._pending:
            most -= 1
            self._encode(self._pending.popleft())

    def finish(self) -> None:
        """Encode what is left and say that nothing is missing; the session is over."""
        if not self.over:
            self.encode(len(self._pending))
            self.over = True
            if not self.why_lost:
                self._keep(ended_frame(self._number))

    def lose(self, why_lost: str) -> None:
        """Keep no more steps, and say where they end; what was decided is sampled all the same."""
        if not self.why_lost:
            self.why_lost = why_lost
            self._pending = deque(one for one in self._pending if one.actions or one.failed)
            self._keep(lost_frame(why_lost))

    def take_frames(self) -> list[bytes]:
        """The frames that wait, to be written; `give_back` when they could not be."""
        frames, self.frames = self.frames, []
        self.waiting_bytes = 0
        return frames

    def give_back(self, frames: list[bytes]) -> None:
        """They are not written yet."""
        self.refused += 1
        self.frames[:0] = frames
        self.waiting_bytes += sum(map(len, frames))

    def _may_sample(self, actions: list[Action], failed: str) -> bool:
        return bool(actions or failed) and len(self._pending) < MOST_STEPS

    def _encode(self, step: _Taken) -> None:
        """Its frame, while there is a trace, and its samples in any case."""
        frame = b"" if self.why_lost else self._frame(step)
        if frame:
            self._keep(frame)
        if step.actions:
            self._consider(step, frame)
        if step.failed:
            said = f"the step failed: {step.failed}"
            self.samples.append(self._sample(step.number, step.now_ns, "leave", said, frame))
        if self.waiting_bytes > MOST_BYTES:
            self.lose(f"the disk did not take {MOST_BYTES} bytes in time")

    def _frame(self, step: _Taken) -> bytes:
        """The step as bytes; empty, and the trace is over, when no frame can hold it."""
        try:
            return step_frame(
                step.number,
                step.now_ns,
                permit=step.permit,
                day=step.day,
                left=step.left,
                failed=step.failed,
                reason=step.reason,
                events=step.events,
                actions=step.actions,
            )
        except Exception as error:  # noqa: BLE001 - a value no frame can hold must not stop quotes
            self.lose(f"step {step.number} could not be encoded: {type(error).__name__}")
            return b""

    def _keep(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.waiting_bytes += len(frame)

    def _consider(self, step: _Taken, frame: bytes) -> None:
        """Samples of this step, one of each kind of decision."""
        reasons: dict[str, list[str]] = {}
        for action in step.actions:
            if isinstance(action, SendBatch) and not self._worth_keeping(action.approved.value):
                continue
            reasons.setdefault(kind_of(action), []).append(why(action, step.reason))
        self.samples.extend(
            self._sample(step.number, step.now_ns, kind, "; ".join(said), frame)
            for kind, said in reasons.items()
        )

    def _worth_keeping(self, batch: Batch) -> bool:
        """Every batch that leaves a place empty, and one in so many of the others."""
        self._sends += 1
        placed = frozenset(order.slot for order in batch.orders)
        if batch.replace_all:
            gone, self._shown = self._shown - placed, placed
        else:
            gone = frozenset(_slots(batch.cancels)) - placed
        return bool(gone) or self._sends % self._sample_every == 1 or self._sample_every == 1

    def _sample(
        self, number: int, now_ns: int, kind: str, reason: str, frame: bytes
    ) -> DecisionSample:
        return DecisionSample(
            run_id=self.head.run_id,
            market=self.market,
            epoch=self.head.setup.epoch,
            at_ms=self.head.wall_ms(now_ns),
            step=number,
            kind=kind,
            reason=reason,
            frame=frame,
        )


def broken_down(tasks: Iterable[asyncio.Task[None]]) -> str:
    """Which of a session's tasks failed, and how; empty when none did."""
    for task in tasks:
        error = task.exception() if task.done() and not task.cancelled() else None
        if error is not None:
            job = getattr(task.get_coro(), "__qualname__", task.get_name())
            return f"{job} failed: {type(error).__name__} {error}"
    return ""


def _parts(day: MarketDay | None) -> _Day | None:
    return None if day is None else (day.day, day.facts, day.soft, day.reduction, day.lost_in)


def _state(parts: _Day) -> DayState:
    day, facts, soft, reduction, lost_in = parts
    return DayState(day=day, facts=facts, soft=soft, reduction=reduction, lost_in=lost_in)


def _slots(client_ids: tuple[str, ...]) -> list[Slot]:
    found = (OrderIdentity.decode(one) for one in client_ids)
    return [identity.slot for identity in found if identity is not None]
