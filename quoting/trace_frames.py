"""Frames of a decision trace: what a session heard and decided, as bytes and back, exactly.

The rule: numbers of kinds are never used for another type; fields have names, so that a journal
written before a field came can still be read.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import msgspec

from desk.daily_loss import DayFacts, Finding, MarketDay
from desk.market import BookDelta, BookSnapshot, FeedAlive, FeedLost
from desk.orders import (
    AccountAlive,
    AccountChange,
    AccountLost,
    AccountSnapshot,
    Batch,
    OrderUpdate,
)
from desk.permit import Permit
from desk.records import Kill
from desk.risk.approval import Approved
from desk.trace_ports import TraceUnreadable
from desk.trading_day import TradingDay
from quoting.actions import (
    Action,
    AskFate,
    ClearAll,
    Leave,
    Resnapshot,
    SendBatch,
    Withdraw,
)
from quoting.inbox import (
    Answered,
    AuditBegun,
    Audited,
    Cleared,
    FundsSeen,
    InboxEvent,
    Settled,
    Tick,
)
from quoting.setup import LoopSetup

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A `SendBatch` as a journal gives it back: only the gate makes `Approved` values."""

    approved: Batch
    caused_ns: int | None


Decided: TypeAlias = SentBatch | ClearAll | AskFate | Withdraw | Resnapshot | Leave

EVENT_KINDS: Final[dict[type, int]] = {
    Tick: 0,
    BookSnapshot: 1,
    BookDelta: 2,
    FeedAlive: 3,
    FeedLost: 4,
    AccountSnapshot: 5,
    AccountChange: 6,
    OrderUpdate: 7,
    AccountAlive: 8,
    AccountLost: 9,
    Answered: 10,
    Cleared: 11,
    AuditBegun: 12,
    Audited: 13,
    Settled: 14,
    FundsSeen: 15,
}
ACTION_KINDS: Final[dict[type, int]] = {
    SendBatch: 0,
    ClearAll: 1,
    AskFate: 2,
    Withdraw: 3,
    Resnapshot: 4,
    Leave: 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DayState:
    """A session's trading day as it was before a step; see `MarketDay`."""

    day: TradingDay
    facts: DayFacts | None
    soft: Finding | None
    reduction: Kill | None
    lost_in: TradingDay | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a journal begins with: all that the loop started from, and who ran it.

    `code` names the decision code; `began_ns` and `began_wall_ns` are one moment by two clocks.
    """

    format: int
    run_id: str
    owner: str
    code: str
    began_ns: int
    began_wall_ns: int
    setup: LoopSetup
    day: DayState | None

    def wall_ms(self, at_ns: int) -> int:
        """Unix milliseconds of a monotonic moment of the session."""
        return (self.began_wall_ns + at_ns - self.began_ns) // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the loop: what it heard, in order, what else it saw, and what it decided.

    `permit` and `day` are None while they are as they were before. `left` says that the session
    was told to send nothing more before this step; `failed` is what ended it by an exception, and
    `decided` are then no decisions. `reason` is why the loop did what it did, in its own words.
    """

    number: int
    now_ns: int
    permit: Permit | None
    day: DayState | None
    left: bool
    failed: str
    reason: str
    events: tuple[InboxEvent, ...]
    decided: bytes

    @property
    def actions(self) -> tuple[Decided, ...]:
        """The decisions, read back. TraceUnreadable for kinds of a later version."""
        return read_decided(self.decided)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Frames after this one are missing; `why` says so."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The session was over after so many steps; nothing is missing before this."""

    steps: int


Frame: TypeAlias = Head | Step | Lost | Ended


def _plain(value: object) -> object:
    if isinstance(value, Approved):
        return value.value
    raise TypeError(f"{type(value).__name__} has no place in a trace")


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_plain)
_encode: Final = _ENCODER.encode
_Items: TypeAlias = list[tuple[int, msgspec.Raw]]
_ITEMS: Final = msgspec.msgpack.Decoder(_Items)
_Kinds: TypeAlias = dict[int, msgspec.msgpack.Decoder[Any]]
_EVENTS: Final[_Kinds] = {
    number: msgspec.msgpack.Decoder(kind) for kind, number in EVENT_KINDS.items()
}
_DECIDED: Final[_Kinds] = {
    number: msgspec.msgpack.Decoder(SentBatch if kind is SendBatch else kind)
    for kind, number in ACTION_KINDS.items()
}
_FRAME: Final = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
_HEAD: Final = msgspec.msgpack.Decoder(Head)
_LOST: Final = msgspec.msgpack.Decoder(Lost)
_STEP: Final = msgspec.msgpack.Decoder(
    tuple[int, int, Permit | None, DayState | None, bool, str, str, _Items, msgspec.Raw]
)
_RAW: Final = msgspec.msgpack.Decoder(list[msgspec.Raw])
_INT: Final = msgspec.msgpack.Decoder(int)
_IS_HEAD, _IS_STEP, _IS_LOST, _IS_ENDED = range(4)


def head_frame(head: Head) -> bytes:
    """A head as bytes; its day is told by `head.day`, never by the setup's living object."""
    plain = replace(head, setup=replace(head.setup, day=None))
    return _encode((_IS_HEAD, plain))


def step_frame(
    number: int,
    now_ns: int,
    *,
    permit: Permit | None,
    day: DayState | None,
    left: bool,
    failed: str,
    reason: str,
    events: "list[InboxEvent]",
    actions: "list[Action]",
) -> bytes:
    """One step as bytes. Raises what msgspec raises for values no frame can hold."""
    heard = [(EVENT_KINDS[type(event)], event) for event in events]
    decided = msgspec.Raw(decided_bytes(actions))
    return _encode((_IS_STEP, (number, now_ns, permit, day, left, failed, reason, heard, decided)))


def decided_bytes(actions: "list[Action]") -> bytes:
    """Decisions as bytes: equal decisions are equal bytes."""
    return _encode([(ACTION_KINDS[type(action)], action) for action in actions])


def read_decided(decided: bytes) -> tuple[Decided, ...]:
    """What `decided_bytes` said. TraceUnreadable for kinds of a later version."""
    try:
        return _items(_ITEMS.decode(decided), _DECIDED)
    except (msgspec.MsgspecError, ValueError) as error:
        raise TraceUnreadable(f"a decision cannot be read: {error}") from None


def lost_frame(why: str) -> bytes:
    """Says that frames are missing from here on."""
    return _encode((_IS_LOST, Lost(why=why)))


def ended_frame(steps: int) -> bytes:
    """Says that the session was over after so many steps."""
    return _encode((_IS_ENDED, steps))


def read_frame(raw: bytes) -> Frame:
    """What a frame says. TraceUnreadable when it is none of ours."""
    try:
        kind, content = _FRAME.decode(raw)
        if kind == _IS_HEAD:
            return _head(content)
        if kind == _IS_STEP:
            return _step(content)
        if kind == _IS_LOST:
            return _LOST.decode(content)
        if kind == _IS_ENDED:
            return Ended(_INT.decode(content))
    except (msgspec.MsgspecError, ValueError) as error:
        raise TraceUnreadable(f"a frame cannot be read: {error}") from None
    raise TraceUnreadable(f"a frame of kind {kind} is of a later version; use that version")


def moment_of(raw: bytes) -> int | None:
    """When a step decided, monotonic nanoseconds, read cheaply; None for other frames.

    TraceUnreadable when it is none of ours.
    """
    try:
        kind, content = _FRAME.decode(raw)
        return _INT.decode(_RAW.decode(content)[1]) if kind == _IS_STEP else None
    except (msgspec.MsgspecError, ValueError, IndexError) as error:
        raise TraceUnreadable(f"a frame cannot be read: {error}") from None


def day_state(day: MarketDay) -> DayState:
    """The day as it is now."""
    return DayState(
        day=day.day,
        facts=day.facts,
        soft=day.soft,
        reduction=day.reduction,
        lost_in=day.lost_in,
    )


def put_day(day: MarketDay, state: DayState) -> None:
    """Make the day what it was."""
    day.day, day.facts, day.soft = state.day, state.facts, state.soft
    day.reduction, day.lost_in = state.reduction, state.lost_in


def _head(content: msgspec.Raw) -> Head:
    head = _HEAD.decode(content)
    if head.format != FORMAT:
        raise TraceUnreadable(
            f"the journal's format is {head.format}, this version reads {FORMAT}; use the version "
            "that wrote it"
        )
    return head


def _step(content: msgspec.Raw) -> Step:
    number, now_ns, permit, day, left, failed, reason, heard, decided = _STEP.decode(content)
    return Step(
        number=number,
        now_ns=now_ns,
        permit=permit,
        day=day,
        left=left,
        failed=failed,
        reason=reason,
        events=_items(heard, _EVENTS),
        decided=bytes(decided),
    )


def _items(items: _Items, kinds: _Kinds) -> tuple[Any, ...]:
    try:
        return tuple(kinds[number].decode(raw) for number, raw in items)
    except KeyError as error:
        raise TraceUnreadable(f"kind {error} is of a later version; use that version") from None
