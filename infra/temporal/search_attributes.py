"""The columns by which operators filter workflows in the Temporal UI.

The one rule: they are added to whatever server we meet, at every start; adding again is harmless.
"""

from collections.abc import Sequence

import temporalio.service
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client

SearchAttributes = Sequence[tuple[str, str]]
"""Names and types; a type is one of the words the server knows: Keyword, Double, Bool, Int..."""

SEARCH_ATTRIBUTES: SearchAttributes = (
    ("Venue", "Keyword"),
    ("Market", "Keyword"),
    ("MarketState", "Keyword"),
    ("FleetId", "Keyword"),
    ("PnlQuote", "Double"),
    ("Halted", "Bool"),
)


async def known_attributes(client: Client) -> dict[str, str]:
    """Custom search attributes of the client's namespace: name to type. Raises RPCError."""
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return {name: _word(kind) for name, kind in answer.custom_attributes.items()}


async def ensure_search_attributes(client: Client, wanted: SearchAttributes) -> tuple[str, ...]:
    """Add what is missing; sentences for what is there with another type. Raises RPCError."""
    known = await known_attributes(client)
    missing = {name: kind for name, kind in wanted if name not in known}
    if missing:
        request = AddSearchAttributesRequest(namespace=client.namespace)
        for name, kind in missing.items():
            request.search_attributes[name] = _value(kind)
        try:
            await client.operator_service.add_search_attributes(request)
        except temporalio.service.RPCError as error:
            if error.status is not temporalio.service.RPCStatusCode.ALREADY_EXISTS:
                raise
    return wrong_types(known, wanted)


def wrong_types(known: dict[str, str], wanted: SearchAttributes) -> tuple[str, ...]:
    """One sentence for each attribute that exists with another type than we write."""
    return tuple(
        f"The search attribute {name} is {known[name]} on the server and must be {kind}; "
        "remove it there or use another namespace."
        for name, kind in wanted
        if name in known and known[name] != kind
    )


def _value(kind: str) -> IndexedValueType.ValueType:
    return IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{_snake(kind)}")


def _snake(kind: str) -> str:
    return "KEYWORD_LIST" if kind == "KeywordList" else kind.upper()


def _word(kind: int) -> str:
    name = IndexedValueType.Name(IndexedValueType.ValueType(kind))
    bare = name.removeprefix("INDEXED_VALUE_TYPE_")
    return "".join(part.capitalize() for part in bare.split("_"))
