"""What a demo is to do, and which markets it runs."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from workflows.messages import StartMarket

DRAWDOWN = Decimal(25)
VENUES = ("ocx", "x10", "zo")
_GETTING_READY_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Options of `flotilla demo`; seconds are of wall time from the first quote on.

    With `arb` it shows sets of arbitrage and quotes nothing; seconds count once all are watched.
    """

    data_dir: Path
    state_dir: Path
    venues: tuple[str, ...] = VENUES
    markets: int = 3
    duration_s: float | None = None
    replay: Path | None = None
    drawdown_at_s: float | None = None
    json_path: Path | None = None
    ui_port: int | None = None
    seed: int | None = None
    arb: bool = False

    @property
    def longest_s(self) -> float | None:
        """When to give up if no market ever quotes; None for never."""
        return None if self.duration_s is None else self.duration_s + _GETTING_READY_S

    def shock_due(self, first_quote: float | None, now: float) -> bool:
        """Whether prices are to be moved by now; both in seconds of one clock."""
        if self.drawdown_at_s is None or first_quote is None:
            return False
        return now - first_quote >= self.drawdown_at_s

    def count_at(self, venue: str) -> int:
        """How many markets run at a venue: dealt out in turn, one at least."""
        place, number = self.venues.index(venue), len(self.venues)
        return max(1, (self.markets - place + number - 1) // number)

    def start(self, venue: str, symbol: str, account: str) -> StartMarket:
        """How each market is started: small, and with a drawdown limit that can be reached."""
        return StartMarket(
            venue=venue,
            symbol=symbol,
            account=account,
            fleet="demo",
            max_drawdown=DRAWDOWN,
            flatten_slices=4,
        )
