"""The kill switch in one short case that every `make test` runs: told once, and nothing follows."""

import time

from desk.units import NS_PER_MS
from tests.chaos.ground import Market
from tests.chaos.invariants import GateClosed
from tests.chaos.verdict import gate_of, judged, killed

_BOUND_S = 10.0


async def test_a_kill_takes_every_order_away_and_nothing_follows(market: Market) -> None:
    await market.quoting()
    await market.hold_a_position()
    async with killed(market, f"market:{market.id.path}") as kill:
        took = await market.until("nothing rests", market.has_none, within_s=_BOUND_S)
        cleared = GateClosed(at_ms=time.time_ns() // NS_PER_MS, in_flight_ns=0)
        print(f"killed: nothing rested {took:.2f} s after board and record knew")  # noqa: T201
        result = await market.ended()
        closed = await gate_of(market, kill)
    assert closed is not None, "its session did not say when its gate closed"
    assert "fault test" in result.reason
    await judged(market, gates=(closed, cleared))
