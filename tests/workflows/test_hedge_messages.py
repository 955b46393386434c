"""Every message of a hedge survives the wire; bad input gets a sentence that names the field."""

import inspect
from decimal import Decimal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import activities.hedge_messages
import quoting.hedge
import workflows.hedge_messages
from desk.hedging import HedgeState
from tests.workflows.test_messages import messages_of, over_the_wire
from workflows.hedge_messages import (
    CarriedHedge,
    HedgeEvent,
    HedgeStatus,
    ReleaseHedge,
    StartHedge,
)
from workflows.messages import Message

LEAST = (
    '{"source_venue":"ocx","source_symbol":"B","hedge_venue":"ocx","hedge_symbol":"E",'
    '"threshold":"0.5"'
)
START = StartHedge.model_validate_json(LEAST + "}")
EVENT = HedgeEvent(at="2026-01-01T00:00:00+00:00", state=HedgeState.OWING, text="because")
CARRIED = CarriedHedge(epoch=3, state=HedgeState.BLOCKED, obligation=4, history=(EVENT,))
TYPED_BY_PEOPLE: list[Message] = [
    START,
    START.model_copy(update={"carried": CARRIED}),
    CARRIED,
    EVENT,
    ReleaseHedge(by="ana", reason="hedged by hand"),
    HedgeStatus(
        source="ocx/main/B",
        hedge="ocx/main/E",
        state=HedgeState.OWING,
        reason="",
        epoch=1,
        source_quantity=Decimal("0.10"),
        position=-3,
        owed=-2,
        waived=0,
        obligation=7,
        opened_at_ms=1,
        orders=2,
        history=(EVENT,),
    ),
]


@pytest.mark.parametrize(
    "kind", messages_of(activities.hedge_messages, quoting.hedge), ids=lambda kind: kind.__name__
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
        for _, item in inspect.getmembers(workflows.hedge_messages, inspect.isclass)
        if issubclass(item, Message) and item.__module__ == workflows.hedge_messages.__name__
    }
    assert kinds == {type(message) for message in TYPED_BY_PEOPLE}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (',"treshold":"1"', "treshold"),
        (',"ratio":0.5', "write it as a string"),
        (',"release":"0.5"', "release: 0.5 is not from zero to below threshold 0.5"),
        (',"ratio":"0"', "ratio: 0 is not above zero"),
        (',"slice_notional":"0"', "slice_notional: 0 is not above zero"),
        (',"max_slippage_bps":"500"', "max_slippage_bps: 500 is not from zero to below collar_bps"),
        (',"hedge_symbol":"B"', "hedge_symbol: ocx/main/B is the source itself"),
        (',"check_every_s":0', "check_every_s"),
    ],
)
def test_bad_input_names_the_field(more: str, sentence: str) -> None:
    with pytest.raises(pydantic.ValidationError) as refusal:
        StartHedge.model_validate_json(LEAST + more + "}")
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("by", ["", "  ", "fills"])
def test_a_release_is_by_a_person(by: str) -> None:
    with pytest.raises(pydantic.ValidationError, match="is not a person's name"):
        ReleaseHedge(by=by, reason="why")
