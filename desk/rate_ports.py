"""Request rates that every process of a fleet shares: the law, one draw, and who gives it.

Adapters implement `RateShares`; only the wiring knows both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLaw:
    """At most `capacity` tokens are out in any span of `window_s` seconds, wherever it begins.

    A token counts for one whole window after it was drawn; nothing refills earlier. `reserved` of
    the tokens are for cancels alone. A bucket that knows nothing of the past gives no orders for
    `settle_s`, in which everybody alive tells what it used; then, until a window after it began,
    it takes at least half of the orders' part for used before. With 0.0 it trusts itself at once.
    """

    capacity: int
    reserved: int
    window_s: float
    settle_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateShare:
    """What one draw gave. `stamp` names its part of the window, to give unused tokens back.

    Waits are seconds until more of that kind may come, 0.0 when all that was wanted was given.
    `paused_s` is how long orders stay paused. `generation` names the bucket's memory: another one
    than before means that everything of the past was forgotten.
    """

    orders: int
    cancels: int
    stamp: int
    orders_wait_s: float = 0.0
    cancels_wait_s: float = 0.0
    paused_s: float = 0.0
    generation: int = 0


class RequestPurse(Protocol):
    """What this process holds of one shared bucket; whoever sends takes from it."""

    @property
    def bucket(self) -> str:
        """The key its tokens are drawn with."""

    def put(self, orders: int, *, stamp: int, asked_ns: int) -> None:
        """Hold order tokens that another call drew from the bucket, begun at `asked_ns`.

        What is not used of them within a token's life is given back like any other.
        """


class RateShares(Protocol):
    """Requests allowed to one address or account, shared by every process of the fleet."""

    async def draw(
        self,
        key: str,
        law: RateLaw,
        *,
        orders: int,
        cancels: int,
        spent: int = 0,
        returned: Sequence[tuple[int, int]] = (),
        used: int = 0,
        generation: int = 0,
    ) -> RateShare:
        """Take up to so many tokens from the bucket `key`: cancels first, orders from what is left.

        `spent` tokens were used without having been drawn and count in any case. `returned` are
        (stamp, tokens) drawn earlier, never used and never to be used. `used` is everything of the
        caller's last window, `spent` and tokens still held included; it counts when the bucket is
        of another generation than the last one the caller heard of (0: none yet). Raises
        Unavailable; then tokens may have been taken, and what was told may or may not be heard.
        """

    async def pause(self, key: str, seconds: float) -> None:
        """Give nobody more than cancels for so long: the venue said 429. Raises Unavailable."""
