"""What saved states of sessions need from the world: files of this machine.

The rule: a state's content is bytes to whoever keeps them; only `quoting/` knows what they say.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from desk.identity import MarketId


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCopy:
    """One file as the disk gave it back: its content, or why it is `damaged`, in a sentence.

    `name` is for `set_aside`, `path` for a person.
    """

    name: str
    path: str
    content: bytes = b""
    damaged: str = ""


class SavedFiles(Protocol):
    """Saved states of this machine, by market. Everything here blocks and raises OSError."""

    def save(self, market: MarketId, content: bytes, now_ms: int, epoch: int) -> None:
        """Replace the newest state, whole or not at all; once an hour keep a copy beside it.

        The state of a later epoch stays, and nothing is saved.
        """

    def load(self, market: MarketId) -> Sequence[KeptCopy]:
        """What there is: the newest state, then its hourly copy."""

    def set_aside(self, market: MarketId, names: Collection[str], now_ms: int) -> None:
        """Take these out of the way, to be looked at by a person."""
