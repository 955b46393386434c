"""The product promises that values keep their types on the way through Temporal."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.client import Client

from desk.errors import Unavailable
from infra.settings import Settings
from infra.temporal.client import DATA_CONVERTER, check_server, connect
from infra.temporal.search_attributes import (
    SEARCH_ATTRIBUTES,
    ensure_search_attributes,
    known_attributes,
)
from tests.support.services import Services


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Level(Enum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    price: Decimal
    side: Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: tuple[Inner, ...]
    by_name: dict[str, Decimal]
    level: Level
    at: datetime
    note: str | None = None


decimals = st.decimals(allow_nan=False, allow_infinity=False)
inners = st.builds(Inner, price=decimals, side=st.sampled_from(Side))
outers = st.builds(
    Outer,
    inner=st.lists(inners, max_size=3).map(tuple),
    by_name=st.dictionaries(st.text(max_size=5), decimals, max_size=3),
    level=st.sampled_from(Level),
    at=st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)),  # noqa: DTZ001
    note=st.none() | st.text(max_size=5),
)


@given(outers)
def test_plain_dataclasses_keep_decimals_enums_and_tuples(value: Outer) -> None:
    converter = DATA_CONVERTER.payload_converter
    [back] = converter.from_payloads(converter.to_payloads([value]), [Outer])
    assert back == value
    assert [str(i.price) for i in back.inner] == [str(i.price) for i in value.inner]
    assert type(back.inner) is tuple


async def test_connect_reaches_the_configured_server(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", services.temporal_address)
    client = await connect(Settings())
    assert await check_server(client) == ()


async def test_an_absent_server_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 .*flotilla up.*TEMPORAL_ADDRESS"):
        await connect(Settings())


async def test_search_attributes_are_added_once_and_types_are_checked(
    temporal_client: Client,
) -> None:
    wanted = [*SEARCH_ATTRIBUTES, ("AddedLater", "Int")]
    assert await ensure_search_attributes(temporal_client, wanted) == ()
    assert await ensure_search_attributes(temporal_client, wanted) == ()
    assert (await known_attributes(temporal_client)).items() >= dict(wanted).items()
    [sentence] = await ensure_search_attributes(temporal_client, [("Halted", "Keyword")])
    assert "Halted is Bool on the server and must be Keyword" in sentence
    [lacking] = await check_server(temporal_client, [("Nowhere", "Keyword")])
    assert "lacks search attributes: Nowhere (Keyword)" in lacking
