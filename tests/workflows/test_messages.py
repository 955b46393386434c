"""Every message survives the wire; bad input gets a sentence that names the field."""

import dataclasses
import inspect
from decimal import Decimal
from types import ModuleType

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.contrib.pydantic import pydantic_data_converter

import activities.messages
import desk.records
import quoting.agreement
import quoting.exit
import quoting.progress
from desk.lifecycle import MarketState
from desk.quoting.parameters import QuoteStyle
from quoting.progress import SessionProgress
from workflows.messages import (
    AboutMarket,
    CarriedState,
    FinalFacts,
    FlattenStep,
    MarketResult,
    MarketStatus,
    Message,
    ParameterChange,
    Request,
    StartMarket,
    StateChange,
    StopMarket,
)

MONEY = st.decimals(
    allow_nan=False, allow_infinity=False, places=8, min_value=-(10**9), max_value=10**9
)
st.register_type_strategy(Decimal, MONEY)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


def messages_of(*modules: ModuleType) -> list[type]:
    return sorted(
        {
            item
            for module in modules
            for _, item in inspect.getmembers(module, inspect.isclass)
            if dataclasses.is_dataclass(item) and item.__module__ == module.__name__
        },
        key=lambda item: item.__name__,
    )


SENT_TO_ACTIVITIES = messages_of(
    activities.messages, quoting.agreement, quoting.exit, quoting.progress, desk.records
)

LIFE = StateChange(state=MarketState.QUOTING, at="2026-01-01T00:00:00+00:00", reason="because")
STEP = FlattenStep(step=0, before=3, after=1, outcome="accepted")
FACTS = FinalFacts(
    venue_open_orders=0,
    venue_position=0,
    ledger_position=0,
    venue_fills=1,
    ledger_fills=1,
    ledger_equals_venue=True,
    pnl=Decimal("0.10"),
)
START = StartMarket(venue="ocx", symbol="BTC-PERP")
TOUCH = StartMarket(venue="x10", symbol="BTC-USD", style=QuoteStyle.TOUCH, offset_divisor=800)
CARRIED = CarriedState(
    state=MarketState.FLATTENING,
    life_epoch=3,
    parameters=START.parameters,
    history=(LIFE,),
    flatten_steps=(STEP,),
    sigma_bps=Decimal("1.25"),
)
TYPED_BY_PEOPLE: list[Message] = [
    START,
    START.model_copy(update={"carried": CARRIED}),
    TOUCH,
    CARRIED,
    ParameterChange(level_notional=Decimal("250.5")),
    ParameterChange(style=QuoteStyle.TOUCH),
    Request(by="ana"),
    StopMarket(flatten=True),
    LIFE,
    STEP,
    FACTS,
    MarketStatus(
        market="ocx/main/BTC-PERP",
        state=MarketState.QUOTING,
        reason="",
        epoch=None,
        sessions=0,
        parameters=START.parameters,
        cycles=0,
        requotes=0,
        fills=0,
        progress=SessionProgress(epoch=1, phase="quoting", bids=("1 @ 2",)),
        history=(LIFE,),
        flatten_steps=(STEP,),
    ),
    MarketResult(
        market="ocx/main/BTC-PERP",
        reason="end of day",
        states=(LIFE,),
        flatten_steps=(),
        sessions=1,
        cycles=2,
        requotes=3,
        fills=4,
        final=FACTS,
    ),
]


async def over_the_wire(value: object, kind: type) -> object:
    payloads = await pydantic_data_converter.encode([value])
    return (await pydantic_data_converter.decode(payloads, [kind]))[0]


@pytest.mark.parametrize("kind", SENT_TO_ACTIVITIES, ids=lambda kind: kind.__name__)
@given(data=st.data())
async def test_messages_to_activities_round_trip(kind: type, data: st.DataObject) -> None:
    value = data.draw(st.from_type(kind))
    assert await over_the_wire(value, kind) == value


@pytest.mark.parametrize("message", TYPED_BY_PEOPLE, ids=lambda item: type(item).__name__)
async def test_messages_typed_by_people_round_trip(message: Message) -> None:
    assert await over_the_wire(message, type(message)) == message


def test_every_typed_message_is_covered() -> None:
    import workflows.messages as module  # noqa: PLC0415 - looked at as a whole

    kinds = {
        item
        for _, item in inspect.getmembers(module, inspect.isclass)
        if issubclass(item, Message) and item not in {Message, AboutMarket}
    }
    assert kinds == {type(message) for message in TYPED_BY_PEOPLE}


def test_two_fields_are_enough() -> None:
    start = StartMarket.model_validate_json('{"venue":"ocx","symbol":"BTC-PERP"}')
    assert start.market.path == "ocx/main/BTC-PERP"


def test_parameters_written_before_there_were_styles_are_of_style_spread() -> None:
    written = CARRIED.model_dump(mode="json")
    del written["parameters"]["style"], written["parameters"]["offset_divisor"]
    assert CarriedState.model_validate(written) == CARRIED


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"venue":"ocx"}', "symbol"),
        ('{"venue":"ocx","symbol":"B","lvels":3}', "lvels"),
        ('{"venue":"ocx","symbol":"B","level_notional":0.1}', "level_notional"),
        ('{"venue":"ocx","symbol":"B","levels":0}', "levels"),
        ('{"venue":"ocx","symbol":"B","levels":"many"}', "levels"),
        ('{"venue":"ocx","symbol":"B","inventory_cap":"20000"}', "inventory_cap"),
        ('{"venue":"ocx","symbol":"B","spread_bps":"0.5","min_spread_bps":"1"}', "spread_bps"),
        ('{"venue":"ocx","symbol":"../x"}', "symbol"),
        ('{"venue":"ocx","symbol":"B","max_drawdown":"-1"}', "max_drawdown"),
        ('{"venue":"ocx","symbol":"B","window_s":1}', "window_s"),
        ('{"venue":"ocx","symbol":"B","style":"narrow"}', "style"),
        ('{"venue":"ocx","symbol":"B","offset_divisor":3}', "offset_divisor: 3 is not above"),
        (
            '{"venue":"x10","symbol":"B","style":"touch","levels":10,"offset_divisor":200}',
            "levels: the outermost is 500.0 bps or more from the mid, not within collar_bps 500",
        ),
    ],
)
def test_bad_input_names_the_field(text: str, names: str) -> None:
    with pytest.raises(pydantic.ValidationError) as refusal:
        StartMarket.model_validate_json(text)
    assert names in str(refusal.value)
