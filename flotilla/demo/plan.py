"""What a demo is to do, and which markets it runs."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from flotilla.simulated import symbols
from workflows.messages import StartMarket

DRAWDOWN = Decimal(25)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Options of `flotilla demo`; seconds are of wall time from the first quote on."""

    data_dir: Path
    state_dir: Path
    markets: int = 3
    duration_s: float | None = None
    replay: Path | None = None
    drawdown_at_s: float | None = None
    json_path: Path | None = None
    ui_port: int | None = None
    seed: int | None = None

    def market_symbols(self) -> tuple[str, ...]:
        """Names of the markets it runs."""
        return symbols(self.markets, self.replay)

    def start(self, symbol: str, account: str) -> StartMarket:
        """How each market is started: small, and with a drawdown limit that can be reached."""
        return StartMarket(
            venue="ocx",
            symbol=symbol,
            account=account,
            fleet="demo",
            max_drawdown=DRAWDOWN,
            flatten_slices=4,
        )
