"""The law of a shared rate bucket, written down plainly in memory, with a clock moved by hand.

It passes the same cases as the bucket in Redis (tests/infra/redis/test_rate_shares.py).
"""

from collections.abc import Sequence

from desk.errors import Unavailable
from desk.rate_ports import RateLaw, RateShare
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
    """RateShares of one key. `away` fails each call, before or after it was applied.

    It has known everything for long, until it is told to forget.
    """

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock
        self._out: list[list[int]] = []
        self._paused_until_ns = 0
        self._born_ns = 0
        self._generation = 1
        self._told = 0
        self.away: str | None = None
        self.drawn_after_ns = 0
        self.calls = 0

    def forget(self) -> None:
        self._out, self._paused_until_ns, self._told = [], 0, 0
        self._born_ns = -1
        self._generation += 1

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
        self.calls += 1
        if self.away == "before":
            raise Unavailable(f"{key} is away")
        now_ns = self._clock.now_ns
        window_ns = int(law.window_s * NS_PER_S)
        if self._born_ns < 0:
            self._born_ns = now_ns
        if generation == self._generation:
            for stamp, tokens in returned:
                self._give_back(stamp, tokens)
        else:
            spent = max(spent, used)
            self._told += spent
        self._out = [one for one in self._out if one[0] + window_ns > now_ns and one[1]]
        out = spent + sum(tokens for _, tokens in self._out)
        given_cancels = min(cancels, max(0, law.capacity - out))
        out += given_cancels
        paused_ns = max(0, self._paused_until_ns - now_ns)
        free = law.capacity - law.reserved - self._presumed(law, now_ns) - out
        settling = now_ns - self._born_ns < law.settle_s * NS_PER_S
        given_orders = 0 if paused_ns or settling else min(orders, max(0, free))
        drawn = spent + given_cancels + given_orders
        if drawn:
            self._out.append([now_ns, drawn])
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
            generation=self._generation,
        )

    async def pause(self, key: str, seconds: float) -> None:
        if self.away is not None:
            raise Unavailable(f"{key} is away")
        until_ns = self._clock.now_ns + int(seconds * NS_PER_S)
        self._paused_until_ns = max(self._paused_until_ns, until_ns)

    def _presumed(self, law: RateLaw, now_ns: int) -> int:
        """What is taken for used by those who are silent."""
        if not law.settle_s or now_ns - self._born_ns >= law.window_s * NS_PER_S:
            return 0
        return max(0, (law.capacity - law.reserved) // 2 - self._told)

    def _give_back(self, stamp: int, tokens: int) -> None:
        for one in self._out:
            back = min(tokens, one[1]) if one[0] == stamp else 0
            one[1] -= back
            tokens -= back
