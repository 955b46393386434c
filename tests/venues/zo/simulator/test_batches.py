"""The engine's batches under random orders: all or nothing, and foreseen as they then happen."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from desk.instrument import Instrument
from desk.orders import TimeInForce
from desk.units import Side
from venues.simulation.batch import Refused, Step, StepDone, Withdrawal
from venues.simulation.engine import Engine
from venues.simulation.orders import OrderRequest
from venues.simulation.rules import EngineRules, MarketRules

SYMBOLS = ("AUSD", "BUSD")
START_NS = 1_700_000_000_000_000_000


def engine_of() -> Engine:
    engine = Engine(lambda: START_NS, EngineRules(remembered_client_ids=0))
    for symbol in SYMBOLS:
        instrument = Instrument(
            venue="zo",
            symbol=symbol,
            tick_size=Decimal(1),
            lot_size=Decimal(1),
            maker_fee_bps=Decimal(1),
            taker_fee_bps=Decimal(5),
        )
        engine.add_market(MarketRules(instrument=instrument, index_price=Decimal(100)))
    engine.open_account("ann", Decimal(600))
    engine.open_account("bob", Decimal(600))
    return engine


@st.composite
def requests(draw: st.DrawFn) -> OrderRequest:
    force = draw(st.sampled_from([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC]))
    return OrderRequest(
        symbol=draw(st.sampled_from(SYMBOLS)),
        side=draw(st.sampled_from(Side)),
        lots=draw(st.integers(1, 30)),
        price=draw(st.integers(96, 104)),
        time_in_force=force,
        post_only=force is TimeInForce.GTC and draw(st.booleans()),
        reduce_only=draw(st.sampled_from([False, False, False, True])),
    )


STEPS = st.lists(st.one_of(requests(), st.integers(1, 12)), min_size=1, max_size=5)


def steps_of(drawn: list[OrderRequest | int]) -> list[Step]:
    """Cancels first: nobody can name an order before it is made."""
    gone: list[Step] = [Withdrawal(order_id=f"o{one}") for one in drawn if isinstance(one, int)]
    return gone + [one for one in drawn if isinstance(one, OrderRequest)]


def everything(engine: Engine) -> dict[str, Any]:
    """What anybody can see."""
    return {
        "books": [engine.book(symbol) for symbol in SYMBOLS],
        "sequences": [engine.book_sequence(symbol) for symbol in SYMBOLS],
        "fees": engine.fees_collected,
        **{
            name: (engine.open_orders(name), engine.positions(name), engine.balance(name))
            for name in ("ann", "bob")
        },
    }


@settings(max_examples=150, deadline=None)
@given(
    before=st.lists(st.tuples(st.sampled_from(["ann", "bob"]), requests()), max_size=8),
    drawn=STEPS,
)
def test_a_refused_batch_changes_nothing_and_an_accepted_one_is_its_steps_one_by_one(
    before: list[tuple[str, OrderRequest]], drawn: list[OrderRequest | int]
) -> None:
    engine, reference = engine_of(), engine_of()
    for account, request in before:
        for one in (engine, reference):
            one.batches.run(account, [request])
    steps = steps_of(drawn)
    seen, logged = everything(engine), engine.events()
    done = engine.batches.run("ann", steps)
    singly = [reference.batches.run("ann", [step]) for step in steps]
    if isinstance(done, Refused):
        assert everything(engine) == seen
        told = [one["event"] for one in engine.events() if one not in logged]
        assert told == ["OrderRejected"] * isinstance(steps[done.index], OrderRequest)
        assert [isinstance(one, Refused) for one in singly[: done.index + 1]] == [
            *[False] * done.index,
            True,
        ]
        return
    assert everything(engine) == everything(reference)
    assert engine.events() == reference.events()
    assert [done] == [tuple(one for each in singly if isinstance(each, tuple) for one in each)]


@settings(max_examples=100, deadline=None)
@given(drawn=STEPS)
def test_trades_of_a_batch_add_up_to_what_its_orders_filled(
    drawn: list[OrderRequest | int],
) -> None:
    engine = engine_of()
    for price, side in ((98, Side.BUY), (102, Side.SELL)):
        for symbol in SYMBOLS:
            request = OrderRequest(symbol=symbol, side=side, lots=10, price=price)
            engine.submit("bob", request)
    done = engine.batches.run("ann", steps_of(drawn))
    steps: tuple[StepDone, ...] = () if isinstance(done, Refused) else done
    for step in steps:
        if step.report is not None:
            assert sum(trade.lots for trade in step.trades) == step.report.filled


def test_only_realized_money_backs_risk_when_asked() -> None:
    engine = engine_of()
    engine.submit("bob", OrderRequest(symbol="AUSD", side=Side.SELL, lots=50, price=100))
    engine.submit("ann", OrderRequest(symbol="AUSD", side=Side.BUY, lots=50, price=100))
    engine.set_index("AUSD", Decimal(104))
    more = OrderRequest(symbol="AUSD", side=Side.BUY, lots=9, price=90)
    copy = deepcopy(engine)
    assert isinstance(engine.batches.run("ann", [more], gains_back_risk=False), Refused)
    assert not isinstance(copy.batches.run("ann", [more]), Refused)
