"""Whatever is asked in whatever order: streams, reads and the venue's own log tell one story."""

from collections import Counter, defaultdict
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from desk.units import Side
from tests.venues.x10.simulator.bench import MAKER, TAKER, Bench, Stream, running
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import Orders, ReplaceEvents

_OPEN = {"NEW", "PARTIALLY_FILLED"}
_STEPS = 120


async def _act(bench: Bench, random: Random, names: list[str]) -> None:
    side = random.choice(("buy", "sell"))
    price = str(1000 + random.randint(-4, 4))
    match random.randrange(8):
        case 0 | 1 | 2:
            answer = await bench.send(side, price, f"0.{random.randint(10, 40)}")
        case 3 | 4 if names:
            old = random.choice(names[-6:])
            answer = await bench.send(side, price, "0.20", old=old, post_only=True)
        case 5 if names:
            await bench.delete("/user/order", externalId=random.choice(names[-6:]))
            return
        case 6:
            bench.sim.world.crowd_trade("BTC-USD", random.choice(list(Side)), random.randint(1, 30))
            return
        case _:
            await bench.send(side, price, "0.15", key=TAKER)
            return
    if answer.is_success:
        names.append(answer.json()["data"]["externalId"])


async def _hear_all(bench: Bench, stream: Stream) -> list[dict[str, Any]]:
    """Everything told up to a last order made for this."""
    last = await bench.place("buy", "500")
    told: list[dict[str, Any]] = []
    while True:
        told.append(await stream.next())
        if any(one["externalId"] == last for one in told[-1]["data"].get("orders", ())):
            return told


@pytest.mark.parametrize("seed", range(3))
async def test_one_story(seed: int) -> None:
    random = Random(seed)
    rules = Orders(trade_event_first=bool(seed % 2), replace_events=list(ReplaceEvents)[seed % 2])
    async with running(orders=rules) as bench, bench.account() as stream:
        bench.arm(FaultKind.FILL_INSIDE_REPLACE, count=None, probability=0.2, delay_s=0.0)
        names: list[str] = []
        for _ in range(_STEPS):
            await _act(bench, random, names)
        told = await _hear_all(bench, stream)
        assert [one["seq"] for one in told] == list(range(4, 4 + len(told)))

        orders = [each for one in told for each in one["data"].get("orders", ())]
        states = {each["externalId"]: each for each in orders}
        assert set(names) <= states.keys()
        ends = Counter(one["externalId"] for one in orders if one["status"] not in _OPEN)
        assert set(ends.values()) <= {1}
        for name, state in states.items():
            (shown,) = (await bench.get(f"/user/orders/external/{name}")).json()["data"]
            assert shown == state
            done = Decimal(shown["filledQty"]) + Decimal(shown["cancelledQty"])
            assert (done == Decimal(shown["qty"])) is (shown["status"] not in _OPEN)

        resting = {name for name, state in states.items() if state["status"] in _OPEN}
        assert resting == {name for name, _ in await bench.resting()}
        engine = bench.sim.engine
        assert resting == {one.client_order_id for one in engine.open_orders("maker")}

        fills = [each for one in told for each in one["data"].get("trades", ())]
        assert len({one["id"] for one in fills}) == len(fills) == len(engine.trades("maker"))
        net = sum(
            (Decimal(one["qty"]) * (1 if one["side"] == "BUY" else -1) for one in fills), Decimal(0)
        )
        assert net == engine.position("maker", "BTC-USD").lots * Decimal("0.01")
        by_order: defaultdict[str, Decimal] = defaultdict(Decimal)
        for one in fills:
            by_order[one["externalOrderId"]] += Decimal(one["qty"])
        assert all(Decimal(states[name]["filledQty"]) == done for name, done in by_order.items())
        cash = (await bench.get("/user/balance", MAKER)).json()["data"]
        assert Decimal(cash["equity"]) == engine.balance("maker").equity
