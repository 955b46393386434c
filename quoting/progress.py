"""What a session reports outward: heartbeat details, the market's page, latency percentiles."""

from dataclasses import dataclass
from decimal import Decimal

_SAMPLES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionProgress:
    """Picture of a running session: what heartbeats, the market's page and queries show.

    Money in quote currency, `inventory` in base units, `bids` and `asks` as `size @ price`.
    `foreign_orders` rest in this market without being ours, and are left alone.
    `dead_man_until_ms` is until when the venue's timer is armed, unix milliseconds of our clock.
    `usual_round_trip_ms` is what the latency trigger measures orders' round trips by.
    """

    epoch: int
    phase: str
    reason: str = ""
    cycles: int = 0
    requotes: int = 0
    fills: int = 0
    rejects: int = 0
    denials: int = 0
    unresolved: int = 0
    clears: int = 0
    bids: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    inventory: Decimal = Decimal(0)
    pnl: Decimal = Decimal(0)
    peak: Decimal | None = None
    mid: Decimal | None = None
    sigma_bps: Decimal | None = None
    tick_to_wire_p50_ms: Decimal | None = None
    tick_to_wire_p99_ms: Decimal | None = None
    parameters_version: int = 1
    foreign_orders: int = 0
    dead_man_until_ms: int | None = None
    round_trip_p95_ms: Decimal | None = None
    usual_round_trip_ms: Decimal | None = None


class LatencySamples:
    """The last samples of one latency, in nanoseconds; the oldest is overwritten first."""

    def __init__(self) -> None:
        self._samples: list[int] = []
        self._next = 0

    def add(self, nanoseconds: int) -> None:
        """Keep one sample."""
        if len(self._samples) < _SAMPLES:
            self._samples.append(nanoseconds)
            return
        self._samples[self._next] = nanoseconds
        self._next = (self._next + 1) % _SAMPLES

    def percentile_ms(self, percent: int) -> Decimal | None:
        """A percentile in milliseconds, None without samples."""
        if not self._samples:
            return None
        ordered = sorted(self._samples)
        index = min(len(ordered) - 1, len(ordered) * percent // 100)
        return (Decimal(ordered[index]) / 1_000_000).quantize(Decimal("0.001"))
