"""What a demo is to do, and which markets it runs."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from workflows.messages import StartMarket

_SYMBOLS = (
    "BTC-PERP",
    "ETH-PERP",
    "SOL-PERP",
    "XRP-PERP",
    "DOGE-PERP",
    "AVAX-PERP",
    "LINK-PERP",
    "LTC-PERP",
    "ADA-PERP",
    "XAUT-USDC-PERP",
)
DRAWDOWN = Decimal(25)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Options of `flotilla demo`; seconds are of wall time from the first quote on."""

    data_dir: Path
    markets: int = 3
    duration_s: float | None = None
    replay: Path | None = None
    drawdown_at_s: float | None = None
    json_path: Path | None = None
    ui_port: int | None = None

    def symbols(self) -> tuple[str, ...]:
        """Market names, generated when more are asked for than are named."""
        extra = (f"SIM{number}-PERP" for number in range(self.markets))
        return tuple([*_SYMBOLS, *extra][: self.markets])

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
