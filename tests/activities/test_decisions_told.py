"""A person is told and the record kept, each whatever becomes of the other, until both are done."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.arbitrage import ArbitrageActivities
from activities.arbitrage_messages import TellSetInput
from activities.market import MarketActivities
from activities.messages import DecisionInput
from desk.errors import Unavailable
from tests.activities.conftest import Desk, OpenDesk
from tests.activities.hedge_venue import Parts
from tests.activities.set_desk import ONE, PLAN

Tell = Callable[[Desk, Any], Awaitable[object]]


async def tell_set(desk: Desk, ports: Any) -> None:
    said = TellSetInput(
        plan=PLAN,
        epoch=1,
        kind="arbitrage overdue",
        reason="owed: -3",
        by="flotilla",
        severity="warning",
    )
    await desk.run(ArbitrageActivities(ports).tell_set, said)


async def tell_market(desk: Desk, ports: Any) -> None:
    said = DecisionInput(
        market=ONE, epoch=1, kind="hedge overdue", reason="owed: -3", by="flotilla", alert=True
    )
    await desk.run(MarketActivities(ports).record_decision, said)


both = pytest.mark.parametrize("tell", [tell_set, tell_market])


async def fails(done: list[str], what: str, *_: object) -> None:
    done.append(what)
    raise Unavailable(f"{what}: away")


async def works(done: list[str], what: str, *_: object) -> None:
    done.append(what)


def ports_of(desk: Desk, done: list[str], *, alerts: Any, record: Any) -> Any:
    return replace(
        desk.ports,
        alerts=Parts(desk.ports.alerts, alert=partial(alerts, done, "told")),
        ledger=Parts(desk.ports.ledger, record_decision=partial(record, done, "kept")),
    )


@both
async def test_a_person_is_told_while_postgres_is_away(open_desk: OpenDesk, tell: Tell) -> None:
    async with open_desk() as desk:
        done: list[str] = []
        with pytest.raises(ApplicationError, match="kept: away"):
            await tell(desk, ports_of(desk, done, alerts=works, record=fails))
        assert done == ["told", "kept"]


@both
async def test_an_alert_that_fails_is_repeated_and_keeps_no_record_back(
    open_desk: OpenDesk, tell: Tell
) -> None:
    async with open_desk() as desk:
        done: list[str] = []
        with pytest.raises(ApplicationError, match="told: away"):
            await tell(desk, ports_of(desk, done, alerts=fails, record=works))
        assert done == ["told", "kept"]
        await tell(desk, ports_of(desk, done, alerts=works, record=works))
        assert done == ["told", "kept"] * 2
