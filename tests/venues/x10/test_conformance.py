"""X10 keeps what every venue adapter promises; run against the simulated X10."""

from collections.abc import AsyncIterator

import pytest

from tests.venues.conformance.books import BookCases
from tests.venues.conformance.feeds import FeedCases
from tests.venues.conformance.fills import FillCases
from tests.venues.conformance.harness import Harness
from tests.venues.conformance.orders import OrderCases
from tests.venues.conformance.outcomes import OutcomeCases
from tests.venues.conformance.safety import SafetyCases
from tests.venues.conformance.timer import TimerCases
from tests.venues.conformance.updates import UpdateCases
from tests.venues.x10.harness import x10_harness


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with x10_harness() as running:
        yield running


class TestOrders(OrderCases): ...


class TestFeed(FeedCases): ...


class TestOutcomes(OutcomeCases): ...


class TestFills(FillCases): ...


class TestBooks(BookCases): ...


class TestSafety(SafetyCases): ...


class TestUpdates(UpdateCases): ...


class TestTimer(TimerCases): ...
