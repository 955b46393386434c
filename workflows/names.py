"""Strings that live in production: task queues, workflow ids, search attributes. They only grow."""

from typing import Final

from temporalio.common import SearchAttributeKey

from desk.identity import MarketId

MARKETS_QUEUE: Final = "markets"
CONTROL_QUEUE: Final = "control"

WORKER_QUEUES: Final = "worker/"

MARKET_WORKFLOW: Final = "MarketWorkflow"
HEDGE_WORKFLOW: Final = "HedgeWorkflow"
ARBITRAGE_WORKFLOW: Final = "ArbitrageWorkflow"
CONTROL_WORKFLOW: Final = "ControlWorkflow"
KILL_WORKFLOW: Final = "KillWorkflow"
FLATTEN_WORKFLOW: Final = "FlattenWorkflow"
GUARDIAN_WORKFLOW: Final = "GuardianWorkflow"
DAILY_LOSS_WORKFLOW: Final = "DailyLossWorkflow"
DRILL_WORKFLOW: Final = "DrillWorkflow"
BREAK_WORKFLOW: Final = "BreakWorkflow"
RECONCILIATION_WORKFLOW: Final = "ReconciliationWorkflow"
UPKEEP_WORKFLOW: Final = "UpkeepWorkflow"

VENUE: Final = SearchAttributeKey.for_keyword("Venue")
MARKET: Final = SearchAttributeKey.for_keyword("Market")
MARKET_STATE: Final = SearchAttributeKey.for_keyword("MarketState")
FLEET_ID: Final = SearchAttributeKey.for_keyword("FleetId")
PNL_QUOTE: Final = SearchAttributeKey.for_float("PnlQuote")
HALTED: Final = SearchAttributeKey.for_bool("Halted")

SEARCH_ATTRIBUTES: Final = (VENUE, MARKET, MARKET_STATE, FLEET_ID, PNL_QUOTE, HALTED)


def market_workflow_id(market: MarketId) -> str:
    """Workflow id of a market: a second start of the same market is impossible."""
    return f"market/{market.path}"


def hedge_workflow_id(source: MarketId) -> str:
    """Workflow id of the hedge of a market: a market's inventory is hedged once."""
    return f"hedge/{source.path}"


def arbitrage_workflow_id(name: str) -> str:
    """Workflow id of a set; owners in the leases of its legs begin with it."""
    return f"arbitrage/{name}"


def worker_queue(worker: str) -> str:
    """Task queue that only the worker of this name polls: what must reach exactly that process."""
    return f"{WORKER_QUEUES}{worker}"


def control_workflow_id(fleet: str) -> str:
    """Workflow id of the fleet's control desk, which keeps every kill until all have answered."""
    return f"control/{fleet}"


def kill_workflow_id(fleet: str, scope: str, at_ms: int) -> str:
    """Workflow id of one kill, known by its scope and time."""
    return f"kill/{fleet}/{scope}/{at_ms}"


def break_workflow_id(fleet: str, number: int) -> str:
    """Workflow id of one break, known by its number in the record."""
    return f"break/{fleet}/{number}"


def reconciliation_schedule_id(fleet: str, venue: str, account: str, kind: str) -> str:
    """Schedule that compares one account with our books; `kind` is what is compared."""
    return f"reconcile/{fleet}/{venue}/{account}/{kind}"


def upkeep_schedule_id(fleet: str) -> str:
    """Schedule of the daily round over tables that grow."""
    return f"upkeep/{fleet}"


def flatten_workflow_id(market: MarketId) -> str:
    """Workflow id of a flatten: one at a time for each market."""
    return f"flatten/{market.path}"


def guardian_schedule_id(fleet: str, venue: str, account: str) -> str:
    """Schedule that looks for orders and exposure without an owner on one account."""
    return f"guardian/{fleet}/{venue}/{account}"


def daily_loss_workflow_id(fleet: str) -> str:
    """Workflow id of the watch over account and fleet losses."""
    return f"daily-loss/{fleet}"


def drill_workflow_id(venue: str, account: str) -> str:
    """Workflow id of a drill: one at a time for each account, or one lets the other pass."""
    return f"drill/{venue}/{account}"


def drill_schedule_id(fleet: str, kind: str, market: MarketId) -> str:
    """Schedule that rehearses one brake at one marked market."""
    return f"drill/{fleet}/{kind}/{market.path}"
