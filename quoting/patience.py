"""How long a session waits for a trouble to end before it leaves."""

from typing import Final

from desk.units import NS_PER_S

_PATIENCE_NS: Final = 60 * NS_PER_S


class Patience:
    """Counts one unbroken wait, whatever its reasons are."""

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def ends(self, now_ns: int) -> bool:
        """There is trouble now; whether it has been there for too long."""
        if self._since_ns is None:
            self._since_ns = now_ns
        return now_ns - self._since_ns > _PATIENCE_NS

    def renew(self) -> None:
        """There is no trouble now."""
        self._since_ns = None
