"""What the official client makes of the venue's errors: why the adapter has its own HTTP path.

Each test holds one row of x10.md section 8.4 against the unmodified client.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from x10.clients.blocking.blocking_trading_client import BlockingTradingClient
from x10.clients.rest.rest_api_client import RestApiClient
from x10.errors import ApiError, ValidationError
from x10.models.order import OrderSide

from tests.venues.x10.simulator.bench import Bench, running, signer, until
from venues.simulation.faults import FaultKind
from venues.x10.simulator.settings import Answers

_FEE = Decimal("0.0005")
_QTY = Decimal("0.10")


@asynccontextmanager
async def refusing(status: int) -> AsyncIterator[tuple[Bench, RestApiClient]]:
    """A venue that refuses with this HTTP status, and the client."""
    async with (
        running(answers=Answers(error_status=status)) as bench,
        RestApiClient(bench.config, signer()) as rest,
    ):
        yield bench, rest


@asynccontextmanager
async def blocking(bench: Bench) -> AsyncIterator[BlockingTradingClient]:
    """The blocking client once both of its account streams are listened to."""
    client = await BlockingTradingClient.create(bench.config, signer())
    try:
        await until(lambda: bench.sim.world.outbox.listeners("maker") == 2)
        yield client
    finally:
        await client.close()  # type: ignore[no-untyped-call]
        for name in ("info", "orders"):  # it leaves these open
            await getattr(client, f"_BlockingTradingClient__{name}_module").close_session()


async def _replace_the_dead(rest: RestApiClient) -> str:
    with pytest.raises(ApiError) as caught:
        await rest.place_order(
            "BTC-USD", _QTY, Decimal(990), OrderSide.BUY, _FEE, previous_order_id="gone"
        )
    (text,) = caught.value.args
    assert vars(caught.value) == {}, "the code is nowhere but in the text"
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("status", [400, 422])
async def test_another_status_gives_a_text_with_the_raw_json(status: int) -> None:
    async with refusing(status) as (bench, rest):
        assert await _replace_the_dead(rest) == (
            f"Error response from {bench.sim.base_url}/user/order: code {status} - "
            '{"status":"ERROR","error":{"code":1142,"message":"Edit order not found"}}'
        )


async def test_an_envelope_with_status_200_gives_a_text_of_another_form() -> None:
    async with refusing(200) as (bench, rest):
        assert await _replace_the_dead(rest) == (
            f"Error response from POST {bench.sim.base_url}/user/order: "
            "code=1142 message='Edit order not found' debug_info=None"
        )


async def test_the_blocking_client_hides_the_error_behind_its_own_lock() -> None:
    async with running() as bench, blocking(bench) as client:

        async def replace(**more: Any) -> None:
            await client.create_and_place_order(
                "BTC-USD", _QTY, Decimal(990), OrderSide.BUY, _FEE, external_id="n-1", **more
            )

        with pytest.raises(RuntimeError, match=r"^Lock is not acquired\.$") as caught:
            await replace(previous_order_external_id="gone")
        assert "1142" not in str(caught.value)
        assert isinstance(caught.value.__context__, ApiError)
        assert '"code":1142' in str(caught.value.__context__)
        # The remedy, a fresh order, is refused by the client itself while the id stays the same.
        with pytest.raises(ValidationError, match="order with n-1 hash already placed"):
            await replace()
        assert await bench.resting() == []


async def test_a_read_that_was_refused_raises_nothing() -> None:
    async with refusing(200) as (_, rest):
        answer = await rest.info.get_market_statistics(market_name="NO-SUCH")
        assert answer.error is not None
        assert (answer.status, answer.error.code, answer.data) == ("ERROR", 1001, None)


async def test_a_cancel_that_was_refused_raises_nothing_and_the_order_rests() -> None:
    async with refusing(200) as (bench, rest):
        name = await bench.place("buy", "990")
        bench.arm(FaultKind.MAINTENANCE_MODE, for_s=60)
        answer = await rest.orders.cancel_order_by_external_id(name)
        assert answer.error is not None
        assert (answer.status, answer.error.code) == ("ERROR", 1010)
        assert [one.client_order_id for one in bench.sim.engine.open_orders("maker")] == [name]


async def test_a_change_that_was_refused_raises_nothing_and_changes_nothing() -> None:
    async with refusing(200) as (_, rest):
        answer = await rest.account.update_leverage("BTC-USD", Decimal(51))
        assert answer.error is not None
        assert (answer.status, answer.error.code) == ("ERROR", 1050)
        (kept,) = (await rest.account.get_leverage(market_names=["BTC-USD"])).data or []
        assert kept.leverage == 10
