import json

from tests.venues.simulation.exchange import BUY, SELL, START_NS, SYMBOL, ask, exchange
from venues.simulation.events import BookChanged, Event, OrderAccepted
from venues.simulation.rules import EngineRules


def test_the_log_numbers_every_event_and_is_plain_json() -> None:
    x = exchange()
    x.order("ann", SELL, 1000, 2)
    x.order("bob", BUY, 1000, 1)
    events = x.engine.events()
    assert [each["sequence"] for each in events] == list(range(1, len(events) + 1))
    assert json.loads(json.dumps(events)) == events
    assert x.engine.events(events[-2]["sequence"]) == events[-1:]
    assert [each["event"] for each in events] == [
        "OrderAccepted",
        "OrderAccepted",
        "Trade",
        "PositionChanged",
        "PositionChanged",
    ]


def test_the_log_is_bounded_and_drops_the_oldest() -> None:
    x = exchange(rules=EngineRules(history=3))
    for price in range(900, 905):
        x.order("ann", BUY, price, 1)
    assert [each["sequence"] for each in x.engine.events()] == [3, 4, 5]
    assert [each["sequence"] for each in x.engine.events(4)] == [5]


def test_the_log_tells_which_orders_rested_when() -> None:
    x = exchange()
    early = x.order("ann", SELL, 1000, 1).order_id
    x.clock.pass_s(1)
    late = x.order("ann", SELL, 1001, 1).order_id
    x.clock.pass_s(1)
    x.order("bob", BUY, 1000, 1)
    x.clock.pass_s(1)
    x.engine.cancel("ann")
    second = 1_000_000_000
    log = x.engine
    assert log.resting_between("ann", START_NS, START_NS + 1) == [early]
    assert log.resting_between("ann", START_NS + second, START_NS + 3 * second) == [early, late]
    assert log.resting_between("ann", START_NS + 2 * second, START_NS + 3 * second) == [late]
    assert log.resting_between("ann", START_NS + 3 * second, START_NS + 9 * second) == []
    assert log.resting_at_end("ann") == []


def test_listeners_hear_a_whole_step_at_once_and_may_act() -> None:
    x = exchange()
    heard: list[Event] = []

    def listener(event: Event) -> None:
        heard.append(event)
        if isinstance(event, OrderAccepted) and event.account == "ann":
            x.engine.cancel("ann")

    undo = x.engine.subscribe(listener)
    x.engine.replace("ann", SYMBOL, [ask(BUY, 900, 1), ask(BUY, 901, 1)])
    assert [type(event).__name__ for event in heard] == [
        "OrderAccepted",
        "OrderAccepted",
        "BookChanged",
        "OrderCancelled",
        "OrderCancelled",
        "BookChanged",
    ]
    assert isinstance(heard[-1], BookChanged)
    assert heard[-1].book_sequence == x.engine.book_sequence(SYMBOL)
    undo()
    x.order("bob", BUY, 900, 1)
    assert len(heard) == 6
