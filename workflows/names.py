"""Strings that live in production: task queues, workflow ids, search attributes. They only grow."""

from typing import Final

from temporalio.common import SearchAttributeKey

from desk.identity import MarketId

MARKETS_QUEUE: Final = "markets"

MARKET_WORKFLOW: Final = "MarketWorkflow"
HEDGE_WORKFLOW: Final = "HedgeWorkflow"

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
