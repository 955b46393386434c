"""Every message of a set survives the wire; bad input gets a sentence that names the field."""

import inspect
import json
from decimal import Decimal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import activities.arbitrage_messages
import quoting.arbitrage.report
import workflows.arbitrage_messages
from quoting.arbitrage.report import RunLook, SetKind
from tests.workflows.scripted_arbitrage import FORM, ended, standing
from tests.workflows.test_messages import messages_of, over_the_wire
from workflows.arbitrage_messages import (
    ArbitrageEvent,
    ArbitrageState,
    ArbitrageStatus,
    CarriedArbitrage,
    DecideArbitrage,
    StartArbitrage,
)
from workflows.messages import Message, Request

START = StartArbitrage.model_validate_json(json.dumps(FORM))
EVENT = ArbitrageEvent(
    at="2026-01-01T00:00:00+00:00", state=ArbitrageState.DISCHARGING, text="because"
)
TRADE = ended(trade=3).report.trade
CARRIED = CarriedArbitrage(
    state=ArbitrageState.HANDED_OVER,
    standing=standing((-3, 0), (3, 0)),
    waived=(-1, 0),
    locked=Decimal("1.50"),
    trades=(TRADE,) if TRADE else (),
    look=RunLook(passed=(("no_edge", 3),), best_edge=Decimal("-0.01")),
    stopping=Request(by="ana"),
    history=(EVENT,),
)
TYPED_BY_PEOPLE: list[Message] = [
    START,
    START.model_copy(update={"carried": CARRIED}),
    CARRIED,
    EVENT,
    DecideArbitrage(by="ana", reason="sold by hand"),
    ArbitrageStatus(
        name="btc-15m",
        kind=SetKind.OUTCOME_SET,
        legs=START.legs,
        state=ArbitrageState.WATCHING,
        reason="",
        epoch=1,
        positions=(3, 3),
        trades=CARRIED.trades,
        look=CARRIED.look,
        history=(EVENT,),
    ),
]


@pytest.mark.parametrize(
    "kind",
    messages_of(activities.arbitrage_messages, quoting.arbitrage.report),
    ids=lambda kind: kind.__name__,
)
@given(data=st.data())
async def test_messages_to_activities_round_trip(kind: type, data: st.DataObject) -> None:
    value = data.draw(st.from_type(kind))
    assert await over_the_wire(value, kind) == value


@pytest.mark.parametrize("message", TYPED_BY_PEOPLE, ids=lambda item: type(item).__name__)
async def test_messages_typed_by_people_round_trip(message: Message) -> None:
    assert await over_the_wire(message, type(message)) == message


def test_every_typed_message_is_covered() -> None:
    kinds = {
        item
        for _, item in inspect.getmembers(workflows.arbitrage_messages, inspect.isclass)
        if issubclass(item, Message) and item.__module__ == workflows.arbitrage_messages.__name__
    }
    assert kinds == {type(message) for message in TYPED_BY_PEOPLE}


def test_a_form_says_every_rule_and_every_leg_in_full() -> None:
    assert [market.path for market in START.markets] == ["ocx/main/UP", "ocx/main/DOWN"]
    rules = START.rules
    caps = (rules.max_units, rules.max_capital, rules.max_exposure)
    assert caps == (Decimal(100), Decimal(500), Decimal(20))
    assert set(vars_of(rules)) <= set(StartArbitrage.model_fields)
    assert START.limits.max_order_notional == 1_000
    assert START.limits.collar_bps == 5_000
    pairs = {**FORM, "kind": "triangle", "legs": ["ocx/A", "ocx/B", "ocx/x/C"]}
    assert StartArbitrage.model_validate(pairs).limits.collar_bps == 500


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"treshold": "1"}, "treshold"),
        ({"max_units": 0.5}, "write it as a string"),
        ({"max_units": "0"}, "max_units: 0 is not above zero"),
        ({"max_capital": None}, "max_capital"),
        ({"name": "a/b"}, "name"),
        ({"legs": ["ocx/UP"]}, "legs"),
        ({"legs": ["ocx/UP", "ocx/main/UP"]}, "legs: one is given twice"),
        ({"legs": ["ocx/UP", "DOWN"]}, "'DOWN' is not VENUE/ACCOUNT/SYMBOL"),
        ({"legs": [f"ocx/L{number}" for number in range(31)]}, "legs"),
        ({"kind": "triangle"}, "a triangle has three pairs"),
        ({"fast_slippage_bps": "5000"}, "fast_slippage_bps: 5000 is not below collar_bps"),
        ({"max_age_ms": 0}, "max_age_ms: 0 is not above zero"),
        ({"window_s": 1}, "window_s"),
    ],
)
def test_bad_input_names_the_field(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(pydantic.ValidationError) as refusal:
        StartArbitrage.model_validate({**FORM, **change})
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("missing", ["max_units", "max_capital", "max_exposure", "legs", "kind"])
def test_what_may_be_used_has_no_default(missing: str) -> None:
    form = {name: value for name, value in FORM.items() if name != missing}
    with pytest.raises(pydantic.ValidationError, match=missing):
        StartArbitrage.model_validate(form)


@pytest.mark.parametrize("by", ["", "  ", "fills"])
def test_a_decision_is_a_persons(by: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="is not a person's name"):
        DecideArbitrage(by=by, reason="why")


def vars_of(value: object) -> list[str]:
    """Fields of a dataclass with slots."""
    return list(getattr(value, "__slots__", ()))
