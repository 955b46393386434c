"""An order's summary, open or finished (zo.md section 2.4.2), and keys as text."""

from typing import Any

import base58

from venues.zo.simulator import numbers
from venues.zo.simulator.accountfeed import side_word
from venues.zo.simulator.register import Entry
from venues.zo.simulator.world import World


def encoded_key(key: bytes) -> str:
    """A public key in base58."""
    return base58.b58encode(key).decode()


def summary(world: World, entry: Entry) -> dict[str, Any]:
    """JSON-ready; without `finalizationReason` the order is still open."""
    listing = world.listing
    instrument = listing.instrument(entry.symbol)
    price = None if entry.price is None else numbers.price(instrument, entry.price)
    shown: dict[str, Any] = {
        "addedAt": numbers.moment(entry.added_ns),
        "updatedAt": numbers.moment(entry.updated_ns),
        "tradeId": str(entry.trade),
        "traderId": world.users.number(entry.account),
        "marketId": listing.market_id(entry.symbol),
        "orderId": str(listing.wire_id(entry.order_id)),
        "clientOrderId": None if entry.client_order_id is None else int(entry.client_order_id),
        "side": side_word(entry.side),
        "placedSize": numbers.size(instrument, entry.asked),
        "filledSize": numbers.size(instrument, entry.filled),
        "updateActionId": str(entry.action_id),
        "isReduceOnly": entry.reduce_only,
        "fillMode": entry.fill_mode,
        "placedPrice": price,
        "originalSizeLimit": numbers.size(instrument, entry.asked),
        "originalPriceLimit": price,
        "placementOrigin": entry.origin,
        "marketSymbol": entry.symbol,
        "tokenSymbol": entry.symbol.removesuffix("USD"),
    }
    if entry.finished is not None:
        lower = world.settings.reads.lower_case_reasons
        shown["finalizationReason"] = entry.finished.lower() if lower else entry.finished
    return shown
