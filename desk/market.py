"""Public market data as the desk sees it. Times ending in `_ns` are monotonic unless said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from desk.units import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSnapshot:
    """Whole book, best first on both sides; `sequence` is the venue's number, if it has one."""

    bids: Sequence[Level]
    asks: Sequence[Level]
    sequence: int | None
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookDelta:
    """Changed levels; zero lots remove a level.

    `previous` is the sequence this delta follows; None when the venue gives none.
    """

    bids: Sequence[Level]
    asks: Sequence[Level]
    sequence: int | None
    previous: int | None
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedAlive:
    """The stream said something without changing the book (a heartbeat)."""

    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLost:
    """The book can no longer be trusted; nothing may be quoted until the next snapshot."""

    reason: str
    received_ns: int


FeedEvent: TypeAlias = BookSnapshot | BookDelta | FeedAlive | FeedLost
