"""The law of a shared rate bucket, written down plainly in memory, with a clock moved by hand.

It passes the same cases as the bucket in Redis (tests/infra/redis/test_rate_shares.py).
"""

from collections.abc import Sequence

from desk.errors import Unavailable
from desk.ports import RateLaw, RateShare
from desk.units import NS_PER_S


class HandClock:
    def __init__(self) -> None:
        self.now_ns = 1_000 * NS_PER_S

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def forward(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS_PER_S)


class ModelShares:
    """RateShares of one key. `away` fails each call, before or after it was applied."""

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self._out: list[list[int]] = []
        self._paused_until_ns = 0
        self._known = False
        self.away: str | None = None
        self.drawn_after_ns = 0
        self.calls = 0

    def forget(self) -> None:
        self._out, self._known, self._paused_until_ns = [], False, 0

    async def draw(
        self,
        key: str,
        law: RateLaw,
        *,
        orders: int,
        cancels: int,
        spent: int = 0,
        returned: Sequence[tuple[int, int]] = (),
    ) -> RateShare:
        self.calls += 1
        if self.away == "before":
            raise Unavailable(f"{key} is away")
        now_ns = self._clock.now_ns
        window_ns = int(law.window_s * NS_PER_S)
        known = self._known
        for stamp, tokens in returned:
            self._give_back(stamp, tokens)
        self._out = [one for one in self._out if one[0] + window_ns > now_ns and one[1]]
        used = spent + sum(tokens for _, tokens in self._out)
        given_cancels = min(cancels, max(0, law.capacity - used))
        used += given_cancels
        paused_ns = max(0, self._paused_until_ns - now_ns)
        free = 0 if paused_ns else max(0, law.capacity - law.reserved - used)
        given_orders = min(orders, free)
        drawn = spent + given_cancels + given_orders
        if drawn:
            self._out.append([now_ns, drawn])
            self._known = True
        wait_s = window_ns / NS_PER_S
        # The process takes time to hear of it; what it holds ages from when it asked.
        self._clock.now_ns += self.drawn_after_ns
        if self.away == "after":
            raise Unavailable(f"{key} is away")
        return RateShare(
            orders=given_orders,
            cancels=given_cancels,
            stamp=now_ns,
            orders_wait_s=wait_s if given_orders < orders else 0.0,
            cancels_wait_s=wait_s if given_cancels < cancels else 0.0,
            paused_s=paused_ns / NS_PER_S,
            forgotten=not known,
        )

    async def pause(self, key: str, seconds: float) -> None:
        if self.away is not None:
            raise Unavailable(f"{key} is away")
        until_ns = self._clock.now_ns + int(seconds * NS_PER_S)
        self._paused_until_ns = max(self._paused_until_ns, until_ns)

    def _give_back(self, stamp: int, tokens: int) -> None:
        for one in self._out:
            back = min(tokens, one[1]) if one[0] == stamp else 0
            one[1] -= back
            tokens -= back
