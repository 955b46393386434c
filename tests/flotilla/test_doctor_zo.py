"""`flotilla doctor` on a 01.xyz account: it says what does not fit, with the remedy; sends nothing.

The services beside it are real and in order, so that the exit code speaks of the venue alone.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from infra.postgres.schema import upgrade
from tests.flotilla.test_cli import FAILED, flotilla
from tests.support.services import Services
from tests.venues.zo.vectors import (
    SESSION_ADDRESS,
    SESSION_SEED,
    WALLET_ADDRESS,
    WALLET_SECRET,
    WALLET_SEED,
)
from venues.zo.access import PAUSED
from venues.zo.signing import KeyPair, address_of
from venues.zo.simulator.server import ZoSimulator
from venues.zo.simulator.settings import SchemaShown, SeedAccount, SimMarket, SimulatorSettings

_OTHER_SEED = bytes(range(64, 96))
_OTHER_ADDRESS = address_of(KeyPair(_OTHER_SEED).public)
_OTHER_KEY, _SESSION_KEY = (f"0x{seed.hex()}" for seed in (_OTHER_SEED, SESSION_SEED))
_BROKEN_KEY = WALLET_SECRET[:-5] + "zzzzz"
_SECRETS = (
    WALLET_SECRET,
    _BROKEN_KEY,
    *(seed.hex() for seed in (WALLET_SEED, _OTHER_SEED, SESSION_SEED)),
)
_UNREGISTERED = f"session {SESSION_ADDRESS} is not registered or was revoked: "
_UNREGISTERED += "register it, or give wallet_key"
_PREFIX = "FLOTILLA_VENUE_ZO__"
_MOVED = "; ".join(
    f"schema: PlaceOrder.{name} is field {ours} here and field {theirs} at the venue"
    for name, ours, theirs in (("is_reduce_only", 5, 7), ("price", 6, 5), ("size", 7, 6))
)
_MARKETS = (
    SimMarket(symbol="BTCUSD", price=Decimal(60_000), price_decimals=1, size_decimals=4),
    SimMarket(symbol="OLDUSD", price=Decimal(10), price_decimals=2, size_decimals=1, mode="rfq"),
)


@pytest.fixture
async def venue() -> AsyncIterator[ZoSimulator]:
    settings = SimulatorSettings(
        accounts=(SeedAccount(name="main", wallet=WALLET_ADDRESS),), markets=_MARKETS
    )
    async with ZoSimulator(settings, random=random.Random(1)) as simulator:
        yield simulator


@pytest.fixture
async def around(services: Services, database_url: str, redis_url: str) -> Mapping[str, str]:
    """An environment in which everything but the venue is in order."""
    await upgrade(database_url)
    return {
        "FLOTILLA_DATABASE_URL": database_url,
        "FLOTILLA_REDIS_URL": redis_url,
        "TEMPORAL_ADDRESS": services.temporal_address,
    }


async def asked(
    around: Mapping[str, str],
    folder: Path,
    venue: ZoSimulator,
    given: Mapping[str, str | None],
    *options: str,
) -> tuple[int, str]:
    """Exit code and stdout; nothing printed is secret, and nothing was changed at the venue."""
    environment = dict(around)
    settings = {"BASE_URL": venue.base_url, "WALLET_KEY": WALLET_SECRET, **given}
    for name, value in settings.items():
        if value is not None:
            environment[_PREFIX + name] = value
    before = venue.world.journal.last_id
    done = await asyncio.to_thread(
        flotilla, "doctor", *options, folder=folder, environment=environment
    )
    assert venue.world.journal.last_id == before, "a preflight sends no action, not even a session"
    assert "Traceback" not in done.stderr
    printed = (done.stdout + done.stderr).lower()
    assert not [secret for secret in _SECRETS if secret.lower() in printed]
    return done.returncode, done.stdout


async def examined(
    around: Mapping[str, str], folder: Path, venue: ZoSimulator, given: Mapping[str, str | None]
) -> tuple[int, Mapping[str, object]]:
    """Exit code and the finding about zo; everything else is in order."""
    code, told = await asked(around, folder, venue, given, "--json")
    findings = {finding["subject"]: finding for finding in json.loads(told)}
    others = [name for name, finding in findings.items() if name != "zo" and not finding["ok"]]
    assert not others, findings
    return code, findings["zo"]


@pytest.mark.parametrize("key", [WALLET_SECRET, f"0x{WALLET_SEED.hex()}"], ids=["base58", "hex"])
async def test_everything_right(
    key: str, around: Mapping[str, str], venue: ZoSimulator, tmp_path: Path
) -> None:
    code, finding = await examined(around, tmp_path, venue, {"WALLET_KEY": key})
    assert (code, finding["ok"]) == (0, True), finding
    assert str(finding["what"]).startswith("1 markets, equity 100000, clock "), finding


async def test_a_wallet_without_an_account_is_told_what_makes_one(
    around: Mapping[str, str], venue: ZoSimulator, tmp_path: Path
) -> None:
    code, finding = await examined(around, tmp_path, venue, {"WALLET_KEY": _OTHER_KEY})
    assert (code, finding["ok"]) == (FAILED, False), finding
    assert finding["what"] == (
        f"forbidden: wallet {_OTHER_ADDRESS} has no account at 01.xyz: the first deposit makes one"
    )


async def test_a_paused_engine_is_named(
    around: Mapping[str, str], venue: ZoSimulator, tmp_path: Path
) -> None:
    venue.world.paused = True
    code, finding = await examined(around, tmp_path, venue, {})
    assert (code, finding["ok"]) == (FAILED, False), finding
    assert finding["what"] == PAUSED


async def test_a_moved_schema_is_told_field_by_field(
    around: Mapping[str, str], venue: ZoSimulator, tmp_path: Path
) -> None:
    venue.world.schema = SchemaShown.MOVED
    code, told = await asked(around, tmp_path, venue, {}, "--json")
    # The findings alone: whether anything else is on stdout is the next test's question.
    findings = {one["subject"]: one for one in json.loads(told[told.index("[\n") :])}
    assert (code, findings["zo"]["ok"], findings["zo"]["what"]) == (FAILED, False, _MOVED)


async def test_what_the_adapter_logs_stays_off_stdout(
    around: Mapping[str, str], venue: ZoSimulator, tmp_path: Path
) -> None:
    venue.world.schema = SchemaShown.MOVED
    code, finding = await examined(around, tmp_path, venue, {})
    assert (code, finding["ok"]) == (FAILED, False), finding


async def test_everything_wrong_is_told_at_once(
    around: Mapping[str, str], venue: ZoSimulator, tmp_path: Path
) -> None:
    venue.world.paused = True
    venue.world.schema = SchemaShown.ABSENT
    given = {"WALLET_KEY": _OTHER_KEY}
    code, finding = await examined(around, tmp_path, venue, given)
    assert (code, finding["ok"]) == (FAILED, False), finding
    told = str(finding["what"]).split("; ")
    assert [one.split()[0] for one in told[1:]] == ["the", "forbidden:"], told
    assert "schema: status 404" in told[0], told


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (
            {"WALLET_KEY": _BROKEN_KEY},
            "wallet_key: its public half does not belong to it; copy it anew",
        ),
        (
            {"WALLET_KEY": None},
            "wallet_key: it is missing; give it, or session_key together with wallet_address",
        ),
        (
            {"WALLET_ADDRESS": _OTHER_ADDRESS},
            f"wallet_address: wallet_key belongs to {WALLET_ADDRESS}; remove one of the two",
        ),
        (
            {"ACCOUNT_ID": "7"},
            f"account_id: 7 is not an account of {WALLET_ADDRESS}; use one of 1",
        ),
        (
            {"WALLET_KEY": None, "WALLET_ADDRESS": WALLET_ADDRESS, "SESSION_KEY": _SESSION_KEY},
            _UNREGISTERED,
        ),
        (
            {"MAX_SUBACTION": "4"},
            "max_subaction: no such zo setting; remove it or correct its name",
        ),
    ],
    ids=["broken key", "no key", "another wallet", "another account", "session", "misspelt"],
)
async def test_the_setting_that_does_not_fit_is_named_with_its_remedy(
    wrong: dict[str, str | None],
    what: str,
    around: Mapping[str, str],
    venue: ZoSimulator,
    tmp_path: Path,
) -> None:
    code, finding = await examined(around, tmp_path, venue, wrong)
    assert (code, finding["ok"]) == (FAILED, False), finding
    assert finding["what"] == what
