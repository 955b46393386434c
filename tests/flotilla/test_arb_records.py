"""`flotilla arb list`, `trades` and `claims` show what is there, on real services."""

import asyncio
import json
import uuid
from collections import deque
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from desk.arbitrage_ports import CapitalCap, Claim, ClaimedSize
from desk.arbitrage_records import (
    ClaimRecord,
    FiredLeg,
    HeldCapital,
    TradeFired,
    TradeKey,
)
from desk.units import Side
from flotilla.wiring import open_claims, open_trades
from infra.settings import load_settings
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from tests.flotilla.test_cli import flotilla
from tests.workflows.scripted_arbitrage import FORM, UP, ArbitrageScript, ended
from workflows import names
from workflows.arbitrage import ArbitrageWorkflow
from workflows.arbitrage_messages import StartArbitrage
from workflows.messages import Request

pytestmark = pytest.mark.services

KEY = TradeKey("btc-15m", 1, 1)
HELD = HeldCapital(venue="ocx", account="main", quote="USDC", amount=Decimal("4.5"))


def fired() -> TradeFired:
    return TradeFired(
        key=KEY,
        quote="USDC",
        units=Decimal(5),
        legs=(FiredLeg(market=UP, side=Side.BUY, lots=5, limit=900, client_order_id="f-1"),),
        capital=(HELD,),
        edge_expected=Decimal("0.5"),
        payout_expected=Decimal(5),
        by="arbitrage/btc-15m/run",
        fired_at_ms=1_700_000_000_000,
    )


async def test_trades_are_listed_from_the_record(database_url: str, tmp_path: Path) -> None:
    async with open_trades(load_settings(database_url=database_url)) as trades:
        await trades.opened(fired())
        await trades.hand_over(KEY, "ana", "sold by hand")
    environment = {"FLOTILLA_DATABASE_URL": database_url}
    for arguments in (("trades", "btc-15m"), ("trades",)):
        done = await asyncio.to_thread(
            flotilla, "arb", *arguments, "--json", environment=environment, folder=tmp_path
        )
        (row,) = json.loads(done.stdout)
        assert (row["stage"], row["by"], row["reason"]) == ("handed_over", "ana", "sold by hand")
        assert row["locked"] == "4.5 USDC at ocx/main"
    done = await asyncio.to_thread(
        flotilla, "arb", "trades", "other", environment=environment, folder=tmp_path
    )
    assert "trades of other: none" in done.stdout


async def test_claims_are_listed_and_whether_any_is_granted(redis_url: str, tmp_path: Path) -> None:
    environment = {"FLOTILLA_REDIS_URL": redis_url}

    def asked() -> dict[str, Any]:
        done = flotilla("arb", "claims", "--json", environment=environment, folder=tmp_path)
        return dict(json.loads(done.stdout))

    assert await asyncio.to_thread(asked) == {"armed": False, "claims": []}
    async with open_claims(load_settings(redis_url=redis_url)) as claims:
        cap = CapitalCap(scope="fleet", quote="USDC", amount=Decimal(100))
        assert await claims.rearm(ClaimRecord(), [cap], await claims.memory())
        claim = Claim(
            key=KEY,
            owner="arbitrage/btc-15m/run",
            sizes=(ClaimedSize(market=UP, side=Side.BUY, shown=9, lots=5),),
            capital=(HELD,),
            ttl_ms=2_000,
        )
        assert await claims.settle(KEY, claim.owner, [HELD])
    found = await asyncio.to_thread(asked)
    assert found["armed"] is True
    (row,) = found["claims"]
    assert (row["trade"], row["capital"]) == (KEY.text, "4.5 USDC at ocx/main")


async def test_running_sets_are_listed(temporal_client: Client, tmp_path: Path) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    script = ArbitrageScript(runs=deque([ended(held=(5, 5))]))
    spec = StartArbitrage.model_validate({**FORM, "name": f"set-{uuid.uuid4().hex[:8]}"})
    environment = {"TEMPORAL_ADDRESS": temporal_client.service_client.config.target_host}
    queue = str(uuid.uuid4())

    def asked() -> list[dict[str, str]]:
        done = flotilla("arb", "list", "--json", environment=environment, folder=tmp_path)
        return [row for row in json.loads(done.stdout) if row["set"] == spec.name]

    async with (
        Worker(
            temporal_client,
            task_queue=queue,
            workflows=[ArbitrageWorkflow],
            activities=script.activities(),  # type: ignore[arg-type]
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        ),
        asyncio.timeout(60),
    ):
        handle = await temporal_client.start_workflow(
            ArbitrageWorkflow.run, spec, id=names.arbitrage_workflow_id(spec.name), task_queue=queue
        )
        while script.calls.count("watch") < 2:
            await asyncio.sleep(0.05)
        while not (rows := await asyncio.to_thread(asked)):
            await asyncio.sleep(0.2)
        await handle.signal(ArbitrageWorkflow.stop, Request(by="ana"))
        await handle.result()
    (row,) = rows
    assert (row["state"], row["fleet"], row["owed"], row["locked"]) == (
        "watching",
        "main",
        "no",
        "5",
    )
