"""Fills that the account stream never tells: no gap, no repeat, only the history knows them.

A fill that was kept back once is kept back in every later snapshot too.
"""

from collections.abc import Callable, Collection

from venues.simulation.engine import Engine
from venues.simulation.events import Event, Trade
from venues.simulation.faults import FaultKind, FaultPlan, Site


class Untold:
    """Has `fill_untold` faults strike executions. Open it before anything else that listens."""

    def __init__(
        self, engine: Engine, faults: FaultPlan, customers: Callable[[], Collection[str]]
    ) -> None:
        self._engine = engine
        self._faults = faults
        self._customers = customers
        self._hidden: set[str] = set()

    def open(self) -> None:
        """Start listening."""
        self._engine.subscribe(self._on_event)

    def hides(self, trade_id: str) -> bool:
        """Whether streams keep quiet about one side of an execution, by its own trade id."""
        return trade_id in self._hidden

    def _on_event(self, event: Event) -> None:
        if not isinstance(event, Trade) or not self._faults.armed(FaultKind.FILL_UNTOLD):
            return
        customers = self._customers()
        sides = ((event.maker, event.maker_trade_id), (event.taker, event.taker_trade_id))
        for account, trade_id in sides:
            site = Site(market=event.symbol, account=account)
            if account in customers and self._faults.take(site, FaultKind.FILL_UNTOLD) is not None:
                self._hidden.add(trade_id)
