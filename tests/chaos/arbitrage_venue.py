"""A simulated OCX whose crowd stands still: `python -m tests.chaos.arbitrage_venue SEED KEYS`.

The markets come as pickled books on stdin; prints {"base_url": …} when it listens. The only way
its books change is a lever or a customer.
"""

import asyncio
import json
import pickle
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final

from flotilla.simulated.markets import RATE_PER_MINUTE
from quoting.arbitrage.report import SetKind
from tests.chaos.arbitrage_books import Books
from venues.ocx.simulator.server import serve
from venues.ocx.simulator.settings import SeedAccount, SimulatorSettings

ACCOUNTS: Final = ("main", "second")
CASH: Final = Decimal(1_000_000)
_OWNED: Final = Decimal(1_000_000)


def settings_of(books: Sequence[Books], keys: Sequence[str]) -> SimulatorSettings:
    """A venue with these markets and two accounts that own some of everything."""
    owned = {"USDC": CASH}
    for one in books:
        if one.kind is SetKind.TRIANGLE:
            owned |= dict.fromkeys((name for name in one.worth if name != "USDC"), _OWNED)
    return SimulatorSettings(
        accounts=tuple(
            SeedAccount(
                name=name,
                api_key_secret=key,
                perps_collateral=CASH,
                spot=owned,
                rate_per_minute=RATE_PER_MINUTE,
            )
            for name, key in zip(ACCOUNTS, keys, strict=True)
        ),
        markets=tuple(leg.market for one in books for leg in one.legs),
    )


async def _run(seed: str, keys: Sequence[str]) -> None:
    books = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - from the test that started us
    secrets = [Path(key).read_text(encoding="utf-8").strip() for key in keys]
    await serve(
        settings_of(books, secrets),
        0,
        random=Random(seed),
        on_ready=lambda url: print(json.dumps({"base_url": url}), flush=True),  # noqa: T201
    )


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], sys.argv[2:]))
