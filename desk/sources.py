"""Where a venue's word on our account comes from, and whose word counts when two differ.

The rule: of two sources that differ the one of higher authority is right; until both agree again
nothing is quoted on that account.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from desk.units import NS_PER_S, Lots

_PATIENCE_NS = 30 * NS_PER_S


class Authority(IntEnum):
    """How close a source is to where positions are kept; the highest is right."""

    STREAM = 1
    ENDPOINT = 2
    ENGINE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One way in which a venue tells us of our account; `name` as its documents call it."""

    name: str
    authority: Authority


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """What one source says now: signed lots by symbol (markets without a position left out).

    `equity` is quote currency, None where the source does not tell it. `asked_ns` is monotonic:
    what happened later may be missing.
    """

    source: Source
    positions: Mapping[str, Lots]
    asked_ns: int
    equity: Decimal | None = None


class Quarrel:
    """How long two sources have been at odds, look by look: a stream that stays so is restarted."""

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def lasts(self, *, apart: bool, now_ns: int) -> bool:
        """Whether they were apart at every look for half a minute; then it counts anew."""
        if not apart or self._since_ns is None:
            self._since_ns = now_ns if apart else None
            return False
        if now_ns - self._since_ns < _PATIENCE_NS:
            return False
        self._since_ns = None
        return True
