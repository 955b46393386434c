"""OCX keeps what every venue adapter promises; run against the simulated OCX."""

from collections.abc import AsyncIterator

import pytest

from tests.venues.conformance.books import BookCases
from tests.venues.conformance.feeds import FeedCases
from tests.venues.conformance.fills import FillCases
from tests.venues.conformance.harness import Harness
from tests.venues.conformance.orders import OrderCases
from tests.venues.conformance.outcomes import OutcomeCases
from tests.venues.conformance.safety import SafetyCases
from tests.venues.ocx.harness import ocx_harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with ocx_harness() as running:
        yield running


class TestOrders(OrderCases): ...


class TestFeed(FeedCases): ...


class TestOutcomes(OutcomeCases): ...


class TestFills(FillCases): ...


class TestSafety(SafetyCases): ...


class TestBooks(BookCases): ...
