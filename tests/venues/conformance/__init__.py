"""What every venue adapter promises, as numbered cases against the ports alone.

A venue's own test file derives `Test...` classes from the `...Cases` classes of this package and
gives one async fixture, `harness`, that yields a `tests.venues.conformance.harness.Harness`.
"""

import pytest

pytest.register_assert_rewrite(
    "tests.venues.conformance.harness",
    "tests.venues.conformance.stage",
    "tests.venues.conformance.orders",
    "tests.venues.conformance.feeds",
    "tests.venues.conformance.outcomes",
    "tests.venues.conformance.fills",
    "tests.venues.conformance.books",
    "tests.venues.conformance.levers",
    "tests.venues.conformance.safety",
    "tests.venues.conformance.timer",
    "tests.venues.conformance.updates",
)
