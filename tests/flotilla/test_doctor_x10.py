"""`flotilla doctor` on an X10 account: it names the one setting that does not fit, and what to do.

The services beside it are real and in order, so that the exit code speaks of the venue alone.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from infra.postgres.schema import upgrade
from tests.flotilla.test_cli import FAILED, flotilla
from tests.support.services import Services
from tests.venues.x10.harness import ACCOUNT, KEY, PRIVATE_KEY, VAULT, settings
from venues.x10.signing import public_of
from venues.x10.simulator.server import X10Simulator

_OTHER_KEY = "another-api-key-0123456789"
_OTHER_PRIVATE = "0x1234567890abcdef1234567890abcdef1234567890abcdef"
_SECRETS = (KEY, _OTHER_KEY, PRIVATE_KEY[2:], _OTHER_PRIVATE[2:])
_NAMES = ("api_key", "vault", "domain", "private_key", "public_key", "dead_man.unit")
_PREFIX = "FLOTILLA_VENUE_X10__"
_OURS, _THEIRS = (hex(public_of(int(key, 16))) for key in (PRIVATE_KEY, _OTHER_PRIVATE))


@pytest.fixture
async def venue() -> AsyncIterator[X10Simulator]:
    async with X10Simulator(settings(), random=random.Random(1)) as simulator:
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


async def examined(
    around: Mapping[str, str], folder: Path, given: Mapping[str, str | None]
) -> tuple[int, Mapping[str, object]]:
    """Exit code and the finding about x10; whatever was printed shows no secret."""
    environment = dict(around)
    for name, value in given.items():
        if value is not None:
            environment[_PREFIX + name] = value
    done = await asyncio.to_thread(
        flotilla, "doctor", "--json", folder=folder, environment=environment
    )
    assert "Traceback" not in done.stderr
    printed = (done.stdout + done.stderr).lower()
    assert not [secret for secret in _SECRETS if secret.lower() in printed]
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    others = [name for name, finding in findings.items() if name != "x10" and not finding["ok"]]
    assert not others, findings
    return done.returncode, findings["x10"]


def right(venue: X10Simulator) -> dict[str, str | None]:
    """Settings that fit the venue's account."""
    return {
        "BASE_URL": venue.base_url,
        "STREAM_URL": venue.stream_url,
        "API_KEY": KEY,
        "PRIVATE_KEY": PRIVATE_KEY,
        "PUBLIC_KEY": _OURS,
        "VAULT": str(VAULT),
        "DOMAIN": "SN_SEPOLIA",
        "DEAD_MAN__UNIT": "seconds",
    }


async def test_everything_right(
    around: Mapping[str, str], venue: X10Simulator, tmp_path: Path
) -> None:
    code, finding = await examined(around, tmp_path, right(venue))
    assert (code, finding["ok"]) == (0, True), finding
    assert str(finding["what"]).startswith("1 markets, equity 100000, clock "), finding
    told = {event["event"] for event in venue.engine.events() if event.get("account") == ACCOUNT}
    assert not told & {"OrderAccepted", "OrderRejected"}, "a preflight places nothing"


@pytest.mark.parametrize(
    ("wrong", "named", "remedy"),
    [
        ({"API_KEY": _OTHER_KEY}, "api_key: the venue does not know it", "give this account's key"),
        (
            {"VAULT": "10003"},
            "vault: the account of this api_key is position 10002, not 10003",
            "correct vault, or give the api_key of that position",
        ),
        (
            {"DOMAIN": "SN_MAIN"},
            "domain: 127.0.0.1 is reached over plain http",
            "give SN_SEPOLIA",
        ),
        (
            {"PRIVATE_KEY": _OTHER_PRIVATE, "PUBLIC_KEY": None},
            f"private_key: its public key is {_THEIRS}, but the account's is {_OURS}",
            "give the Stark key of this account",
        ),
        (
            {"PUBLIC_KEY": _THEIRS},
            f"public_key: private_key belongs to {_OURS}",
            "correct one of the two",
        ),
        (
            {"DEAD_MAN__UNIT": None},
            "dead_man.unit: it is missing",
            "say in what the venue counts its dead-man timer",
        ),
    ],
    ids=["api key", "vault", "domain", "private key", "public key", "dead-man unit"],
)
async def test_the_setting_that_does_not_fit_is_named_with_its_remedy(
    wrong: dict[str, str | None],
    named: str,
    remedy: str,
    around: Mapping[str, str],
    venue: X10Simulator,
    tmp_path: Path,
) -> None:
    code, finding = await examined(around, tmp_path, {**right(venue), **wrong})
    assert (code, finding["ok"]) == (FAILED, False), finding
    assert str(finding["what"]).startswith(named), finding
    assert remedy in str(finding["what"])
    blamed = [name for name in _NAMES if f"{name}: " in str(finding["what"])]
    assert blamed == [named.partition(":")[0]], "one thing was wrong, so nothing else is blamed"


async def test_the_domain_of_the_venues_own_host_is_known(
    around: Mapping[str, str], venue: X10Simulator, tmp_path: Path
) -> None:
    elsewhere = {"BASE_URL": "https://api.starknet.extended.exchange/api/v1", "STREAM_URL": None}
    code, finding = await examined(around, tmp_path, {**right(venue), **elsewhere})
    assert (code, finding["ok"]) == (FAILED, False), finding
    assert finding["what"] == (
        "domain: api.starknet.extended.exchange checks signatures for SN_MAIN, not SN_SEPOLIA; "
        "correct domain or base_url"
    )
