"""What a step of the loop may ask for."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from desk.lifecycle import SessionReason
from desk.orders import Batch
from desk.risk.approval import Approved


@dataclass(frozen=True, slots=True)
class SendBatch:
    """Send this; `caused_ns` is when the book update that led here was read."""

    approved: Approved[Batch]
    caused_ns: int | None


@dataclass(frozen=True, slots=True)
class ClearAll:
    """Cancel everything and verify; a `Cleared` event must follow."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskFate:
    """Ask what became of an order that was not told of in time; a `Settled` event follows."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Cancel one order of ours that no table knows; the next audit checks."""

    client_order_id: str


@dataclass(frozen=True, slots=True)
class Resnapshot:
    """The book is not to be trusted; ask the feed to start over."""

    reason: str


@dataclass(frozen=True, slots=True)
class Leave:
    """End the session."""

    reason: SessionReason
    message: str


Action: TypeAlias = SendBatch | ClearAll | AskFate | Withdraw | Resnapshot | Leave


class Phase(StrEnum):
    """What the loop is doing."""

    WAITING = "waiting"
    QUOTING = "quoting"
    CLEARING = "clearing"
    LEAVING = "leaving"
