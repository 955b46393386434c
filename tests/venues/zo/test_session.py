"""Sessions: made by the wallet, reused when told so, renewed in time, ended when we leave."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from desk.errors import ConfigurationFault, Refused
from tests.venues.zo.harness import SystemClock
from tests.venues.zo.scripted import (
    ACCOUNT_ID,
    INSTRUMENT,
    SCHEMA,
    Answer,
    ScriptedVenue,
    batch,
    running,
    scripted_venue,
)
from tests.venues.zo.vectors import (
    SESSION_ADDRESS,
    SESSION_SEED,
    WALLET_ADDRESS,
)
from venues.zo import build
from venues.zo.signing import KeyPair, address_of

SESSION = "0x" + SESSION_SEED.hex()
_WALLETLESS: dict[str, Any] = {
    "wallet_key": None,
    "wallet_address": WALLET_ADDRESS,
    "session_key": SESSION,
}


def _listed(scripted: ScriptedVenue, session_id: int, *, hours: float) -> None:
    expiry = datetime.now(UTC) + timedelta(hours=hours)
    scripted.sessions[str(session_id)] = {"pubkey": SESSION_ADDRESS, "expiry": expiry.isoformat()}
    scripted.keys[session_id] = KeyPair(SESSION_SEED).public


def _kinds(scripted: ScriptedVenue) -> list[str | None]:
    return [one.WhichOneof("kind") for one in scripted.actions]


async def test_a_session_made_here_is_ended_here() -> None:
    async with scripted_venue() as scripted:
        async with running(scripted) as venue:
            await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert _kinds(scripted) == ["create_session", "atomic", "revoke_session"]
        made, _, ended = scripted.actions
    assert ended.revoke_session.session_id == 42
    assert made.create_session.expiry_timestamp - made.current_timestamp == 86_400


async def test_it_is_left_alone_when_the_settings_say_so() -> None:
    async with scripted_venue() as scripted:
        async with running(scripted, session={"revoke_on_close": False}) as venue:
            await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert _kinds(scripted) == ["create_session", "atomic"]


async def test_a_registered_key_is_reused_without_a_wallet_and_never_ended() -> None:
    async with scripted_venue() as scripted:
        _listed(scripted, 77, hours=5)
        async with running(scripted, **_WALLETLESS) as venue:
            await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert _kinds(scripted) == ["atomic"]
        assert scripted.actions[0].atomic.session_id == 77


async def test_a_key_that_is_not_listed_is_registered_once_by_the_wallet() -> None:
    async with scripted_venue() as scripted, running(scripted, session_key=SESSION) as venue:
        await venue.execution.send(batch(1, 1), INSTRUMENT)
        made = scripted.actions[0].create_session
        assert address_of(made.session_pubkey) == SESSION_ADDRESS


@pytest.mark.parametrize(
    ("hours", "sentence"), [(None, "not registered or was revoked"), (-1, "has expired")]
)
async def test_a_session_that_ended_stops_orders_and_is_told_by_the_doctor(
    hours: float | None, sentence: str
) -> None:
    async with scripted_venue() as scripted:
        if hours is not None:
            _listed(scripted, 77, hours=hours)
        async with running(scripted, hold=False, **_WALLETLESS) as venue:
            outcome = await venue.execution.send(batch(1, 1), INSTRUMENT)
            (found,) = await venue.diagnose()
            scripted.orders = [
                {"orderId": "1", "marketId": 0, "side": "bid", "size": 1, "price": 1}
            ]
            with pytest.raises(Refused, match="register a new session_key"):
                await venue.execution.cancel_all(INSTRUMENT)
        assert scripted.placed() == []
    assert "register a new session_key" in outcome.orders[0].message
    assert sentence in found


async def test_a_lost_answer_to_a_registration_is_looked_up_and_not_repeated() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.lost = {"create_session"}
        outcome = await venue.execution.send(batch(1, 1), INSTRUMENT)
        # The orders' connections are not held open here, so nothing but the session was tried.
        assert outcome.orders[0].message.startswith("not sent")
        scripted.orders = [{"orderId": "1", "marketId": 0, "side": "bid", "size": 1, "price": 1}]
        assert (await venue.execution.cancel_all(INSTRUMENT)).confirmed
        assert _kinds(scripted) == ["create_session", "atomic"]
        assert scripted.actions[1].atomic.session_id == 42


async def test_a_registration_that_never_arrived_is_tried_anew_with_another_key() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.lost, scripted.deaf = {"create_session"}, True
        first = await venue.execution.send(batch(1, 1), INSTRUMENT)
        scripted.lost, scripted.deaf = set(), False
        scripted.orders = [{"orderId": "1", "marketId": 0, "side": "bid", "size": 1, "price": 1}]
        assert (await venue.execution.cancel_all(INSTRUMENT)).confirmed
        one, other, _ = scripted.actions
    assert "does not list the new session" in first.orders[0].message
    assert one.create_session.session_pubkey != other.create_session.session_pubkey


async def test_a_session_is_renewed_before_its_end_and_orders_move_to_the_new_one() -> None:
    lives = {"ttl_s": 60, "renew_before_s": 59}
    async with scripted_venue() as scripted, running(scripted, session=lives) as venue:
        await scripted.until(lambda: _kinds(scripted).count("create_session") == 2)
        async with asyncio.timeout(5):
            while (grant := venue._session.at_hand()) is None or grant.session_id != 43:
                await asyncio.sleep(0.01)
        await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert scripted.placed()[0].atomic.session_id == 43


@pytest.mark.parametrize("guard", ["warn", "off"])
async def test_an_operator_may_trade_on_a_schema_that_cannot_be_read(guard: str) -> None:
    async with scripted_venue() as scripted:
        scripted.say("/schema.proto", Answer(status=404, body=b"null"))
        async with running(scripted, schema_guard=guard) as venue:
            await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert len(scripted.placed()) == 1


async def test_by_default_a_schema_that_cannot_be_read_stops_orders() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/schema.proto", Answer(body=b"<html>", kind="text/html"))
        outcome = await venue.execution.send(batch(1, 1), INSTRUMENT)
        assert scripted.placed() == []
    assert "schema: a web page came" in outcome.orders[0].message


async def test_an_account_of_somebody_else_is_a_configuration_fault() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False, account_id=8) as venue:
        with pytest.raises(
            ConfigurationFault, match=f"8 is not an account .* use one of {ACCOUNT_ID}"
        ):
            await venue.account.balance()


async def test_a_healthy_account_has_nothing_to_complain_of() -> None:
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        assert list(await venue.diagnose()) == []


async def test_the_doctor_asks_on_after_an_answer_it_could_not_read() -> None:
    moved = SCHEMA.replace("uint32 nonce = 2;", "uint32 nonce = 3;")
    async with scripted_venue() as scripted, running(scripted, hold=False) as venue:
        scripted.say("/schema.proto", Answer(body=moved.encode(), kind="text/plain"))
        scripted.say("/state/info", Answer(status=500))
        scripted.say("/timestamp", 1_700_000_000)
        scripted.say(f"/user/{WALLET_ADDRESS}", Answer(status=404, body=b"null"))
        found = await venue.diagnose()
        with pytest.raises(ConfigurationFault, match="Action.nonce is field 2 here and field 3"):
            await venue.instruments()
    schema, state, clock, user = found
    assert "Action.nonce" in schema
    assert "status 500" in state
    assert clock.startswith("clock: the engine is -")
    assert "the first deposit makes one" in user


async def test_nothing_is_sent_when_a_venue_is_built() -> None:
    async with scripted_venue() as scripted:
        given = {"base_url": scripted.base_url, "wallet_key": SESSION}
        venue = build(given, account="main", clock=SystemClock(), random=random.Random(1))
        await venue.close()
        assert not scripted.seen
        assert not scripted.actions
