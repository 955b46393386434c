"""`flotilla doctor`: preflight of settings, services, clocks and keys; changes nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass

import click

from desk.errors import ConfigurationFault, Unavailable, VenueError
from flotilla.cli.render import emit_rows
from flotilla.control import open_temporal
from flotilla.directory import adapter_settings
from flotilla.wiring import service_urls
from infra.clock import SystemClock
from infra.postgres.schema import check_version
from infra.redis.connection import open_redis
from infra.settings import Settings, load_settings, misspelt_variables
from infra.telemetry.logging import set_up_logging
from infra.temporal.client import check_server
from venues.registry import BUILDERS, builder

_CLOCK_MS = 2_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `ok` False comes with the remedy in `what`."""

    subject: str
    ok: bool
    what: str


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def doctor(*, as_json: bool) -> int:
    """Look at settings, services, clocks and keys, and say what to mend."""
    findings = asyncio.run(_look())
    emit_rows("doctor", [asdict(finding) for finding in findings], as_json=as_json)
    return 0 if all(finding.ok for finding in findings) else 1


async def _look() -> list[Finding]:
    settings = load_settings()
    # What adapters log goes to stderr: stdout is for the findings, and no file is written.
    set_up_logging(level="error", folder=None, process="doctor", secrets=settings.secrets())
    found = [Finding("settings", False, sentence) for sentence in misspelt_variables()]
    found += [finding async for finding in _services(settings)]
    found += [finding async for finding in _venues(settings)]
    if (settings.state_dir / "KILL").exists():
        found.append(Finding("KILL file", False, f"{settings.state_dir / 'KILL'} stops quoting"))
    return found


async def _services(settings: Settings) -> AsyncIterator[Finding]:
    try:
        database_url, redis_url = service_urls(settings)
    except ConfigurationFault as fault:
        yield Finding("services", False, str(fault))
        return
    try:
        await check_version(database_url)
        yield Finding("postgres", True, "answers; its schema is ours")
    except (ConfigurationFault, Unavailable) as trouble:
        yield Finding("postgres", False, str(trouble))
    redis = open_redis(redis_url)
    try:
        await redis.ping()
        yield Finding("redis", True, "answers")
    except Exception as trouble:  # noqa: BLE001 - whatever it is, it is the finding
        yield Finding("redis", False, f"does not answer: {trouble}")
    finally:
        await redis.aclose()
    try:
        async with open_temporal(settings) as client:
            problems = await check_server(client)
        yield Finding("temporal", not problems, "; ".join(problems) or "answers as needed")
    except Unavailable as trouble:
        yield Finding("temporal", False, str(trouble))


async def _venues(settings: Settings) -> AsyncIterator[Finding]:
    for name in sorted(BUILDERS):
        if not settings.venue(name).values and not settings.venue(name).secrets:
            continue
        try:
            yield await _venue(settings, name)
        except (ConfigurationFault, VenueError) as trouble:
            yield Finding(name, False, str(trouble))


async def _venue(settings: Settings, name: str) -> Finding:
    venue = builder(name)(
        adapter_settings(settings, name, "main"),
        account="main",
        clock=SystemClock(),
        random=random.SystemRandom(),
    )
    try:
        if problems := await venue.diagnose():
            return Finding(name, False, "; ".join(problems))
        markets = sum(one.active for one in await venue.instruments())
        balance = await venue.account.balance()
        offset_ms = await venue.clock_offset_ms()
    finally:
        await venue.close()
    if abs(offset_ms) > _CLOCK_MS:
        return Finding(name, False, f"its clock is {offset_ms} ms from ours; set our clock")
    return Finding(
        name, True, f"{markets} markets, equity {balance.equity}, clock {offset_ms:+d} ms"
    )
