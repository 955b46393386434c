"""A dead-man timer fires once, at its time, for its account, and is told."""

import pytest

from tests.venues.simulation.exchange import BUY, START_NS, exchange


@pytest.mark.parametrize("by_tick", [True, False])
def test_a_timer_takes_every_order_of_its_account_and_no_other(*, by_tick: bool) -> None:
    world = exchange()
    for name in ("ann", "ann", "bob"):
        world.order(name, BUY, 990, 10)
    world.engine.timers.set("ann", START_NS + 5_000_000_000)
    fire = world.engine.tick if by_tick else world.engine.timers.fire
    world.clock.pass_s(4.9)
    fire()
    assert len(world.engine.open_orders("ann")) == 2
    world.clock.pass_s(0.1)
    fire()
    assert world.engine.open_orders("ann") == []
    assert len(world.engine.open_orders("bob")) == 1
    assert world.engine.timers.due_ns("ann") is None
    told = [one for one in world.engine.events() if one["event"].startswith("Timer")]
    assert [one["event"] for one in told] == ["TimerSet", "TimerFired"]
    assert told[1]["orders"] == 2
    gone = [one for one in world.engine.events() if one["event"] == "OrderCancelled"]
    assert {one["reason"] for one in gone} == {"dead_man"}


def test_it_fires_once_and_not_when_disarmed_or_renewed() -> None:
    world = exchange()
    world.engine.timers.set("ann", START_NS + 1)
    world.engine.timers.set("ann", START_NS + 2_000_000_000)
    world.clock.pass_s(1)
    world.engine.tick()
    world.order("ann", BUY, 990, 10)
    world.engine.timers.set("ann", None)
    world.clock.pass_s(10)
    world.engine.tick()
    assert len(world.engine.open_orders("ann")) == 1
    assert "TimerFired" not in {one["event"] for one in world.engine.events()}


def test_a_timer_of_an_unknown_account_is_a_wiring_error() -> None:
    with pytest.raises(KeyError):
        exchange().engine.timers.set("nobody", 1)
