"""`flotilla reconcile`: what a name means, what the record shows, and the exit code of a break."""

import asyncio
import json
from collections import deque
from pathlib import Path
from uuid import uuid4

import click
import pytest
from temporalio.client import Client

from desk.book_ports import ReconciliationRun
from desk.breaks import BreakKind, FoundBreak
from desk.errors import ConfigurationFault
from desk.identity import MarketId
from flotilla.cli.reconcile import reconcile
from flotilla.reconciling import (
    Place,
    compare_now,
    past_runs,
    places,
    refuse_unknown,
    side_by_side,
)
from flotilla.wiring import Books, open_books, open_ledger
from infra.settings import Settings, load_settings
from infra.temporal.search_attributes import SEARCH_ATTRIBUTES, ensure_search_attributes
from infra.venue_settings import venue_settings
from tests.flotilla.test_cli import USAGE, complaint, flotilla
from tests.workflows.test_reconciliation import Compared, compared, serving


def with_keys(settings: Settings) -> Settings:
    keys = venue_settings(
        {"FLOTILLA_VENUE_OCX__API_KEY": "k", "FLOTILLA_VENUE_OCX__DESK2__API_KEY": "k2"}
    )
    return settings.filled(settings.stack, keys)


@pytest.fixture
def settings(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setenv("FLOTILLA_FLEET", f"t{uuid4().hex[:8]}")
    return with_keys(
        load_settings(database_url=database_url, redis_url=redis_url, data_dir=tmp_path)
    )


def run_of(
    number: int, *, found: int = 0, trouble: str = "", kind: str = "account"
) -> ReconciliationRun:
    differences = [{"kind": "position", "symbol": "BTC-PERP", "text": "0.5 apart"}] * found
    return ReconciliationRun(
        run_id=f"run-{number}",
        venue="ocx",
        account="main",
        kind=kind,
        began_ms=1_700_000_000_000 + number * 1_000,
        ended_ms=1_700_000_000_500 + number * 1_000,
        requests=3,
        ours=json.dumps({"positions": {"BTC-PERP": "1"}, "equity": "99"}),
        theirs=json.dumps({"positions": {"BTC-PERP": "1.5", "ETH-PERP": "2"}, "equity": "100"}),
        differences=json.dumps(differences),
        found=found,
        trouble=trouble,
    )


def test_a_name_is_an_account_where_we_have_its_keys_and_else_a_market() -> None:
    settings = with_keys(Settings())
    assert places(settings, "ocx/desk2") == (Place(venue="ocx", account="desk2"),)
    assert places(settings, "ocx/main") == (Place(venue="ocx", account="main"),)
    market = Place(venue="ocx", account="main", symbol="BTC-PERP")
    assert places(settings, "ocx/BTC-PERP") == places(settings, "ocx/main/BTC-PERP") == (market,)
    assert [one.account for one in places(settings, None)] == ["desk2", "main"]
    for text in ("ocx", "nowhere/main", "ocx//BTC"):
        with pytest.raises(ValueError, match="is not VENUE/ACCOUNT or a market"):
            places(settings, text)
    with pytest.raises(ConfigurationFault, match="no account has a credential"):
        places(Settings(), None)


def test_what_is_no_command_is_what_to_compare() -> None:
    for arguments, command in (
        ([], "now"),
        (["ocx/main"], "now"),
        (["--json", "ocx/main"], "now"),
        (["history", "--json"], "history"),
    ):
        context = click.Context(reconcile, info_name="reconcile")
        reconcile.parse_args(context, list(arguments))
        assert context._protected_args[0] == command


def test_both_sides_are_shown_market_by_market() -> None:
    rows = side_by_side(run_of(1))
    assert [tuple(row.values()) for row in rows] == [
        ("positions", "BTC-PERP", "1", "1.5"),
        ("positions", "ETH-PERP", 0, "2"),
        ("equity", "", "99", "100"),
    ]
    assert len(side_by_side(run_of(1), "ETH-PERP")) == 1
    assert side_by_side(run_of(1), "BTC-PERP")[0]["the venue"] == "1.5"


class ShortPages:
    """A record of many runs of the same second, which gives few at a time."""

    def __init__(self, runs: list[ReconciliationRun]) -> None:
        self._runs = sorted(runs, key=lambda one: -one.began_ms)

    async def history(
        self, venue: str | None, account: str | None, since_ms: int, until_ms: int, limit: int
    ) -> list[ReconciliationRun]:
        del venue, account
        return [one for one in self._runs if since_ms <= one.began_ms < until_ms][:limit]


async def test_history_shows_what_differed_newest_first_past_many_quiet_runs() -> None:
    runs = [run_of(number, found=number % 900 == 0) for number in range(2_500)]
    book: object = ShortPages(runs)
    found = await past_runs(book, None, 0, 2**52, 50, differing=True)  # type: ignore[arg-type]
    assert [one.run_id for one in found] == ["run-1800", "run-900", "run-0"]
    (one,) = await past_runs(
        book,  # type: ignore[arg-type]
        *(None, 0, 2**52, 50),
        differing=False,
        run_id="run-7",
    )
    assert one.run_id == "run-7"


@pytest.mark.services
async def test_the_record_is_shown_by_the_command(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    async with open_books(settings) as books:
        for run in (run_of(1), run_of(2, found=1), run_of(3, trouble="the venue is away")):
            await books.reconciliations.record(run)
    services = {"FLOTILLA_DATABASE_URL": database_url}
    asked = ("reconcile", "history", "--since", "2023-11-01T00:00:00Z", "--account", "ocx/main")
    done = await asyncio.to_thread(
        flotilla, *asked, "--json", environment=services, folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert [row["run_id"] for row in json.loads(done.stdout)] == ["run-3", "run-2"]
    done = await asyncio.to_thread(
        flotilla, *asked, "--run", "run-2", environment=services, folder=tmp_path
    )
    assert "0.5 apart" in done.stdout
    assert "1.5" in done.stdout
    naive = await asyncio.to_thread(
        flotilla,
        *("reconcile", "history", "--since", "2023-11-01T00:00:00"),
        environment=services,
        folder=tmp_path,
    )
    assert naive.returncode == USAGE
    assert "says no time zone" in complaint(naive)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--since", "999999d"), "'999999d' is too far from now"),
        (("--until", "9999-12-31T23:59:59-14:00"), "is too far from now"),
        (("--since", "2026-03-01"), "write 2026-03-01T00:00:00Z for UTC"),
        (("--since", "yesterday"), "'yesterday' is not a time"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused_in_a_sentence(
    tmp_path: Path, given: tuple[str, ...], words: str
) -> None:
    done = flotilla("reconcile", "history", *given, folder=tmp_path)
    assert done.returncode == USAGE
    assert words in complaint(done)
    assert "--timezone" not in complaint(done)


@pytest.mark.services
async def test_a_break_open_at_the_place_is_told(
    settings: Settings, temporal_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = temporal_client.service_client.config.target_host
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    async with open_books(settings) as books:
        opened = await _open(books, "BTC-PERP")
    async with serving(temporal_client, Compared()):
        place = Place(venue="ocx", account="main", symbol="BTC-PERP")
        found, standing = await compare_now(settings, place)
        other = Place(venue="ocx", account="main", symbol="ETH-PERP")
        assert (await compare_now(settings, other))[1] == ()
    assert [one.report.kind.value for one in found] == ["orders", "account"]
    assert [one.number for one in standing] == [opened]
    assert found[0].run is None, "the script records nothing"
    assert compared().run_id == found[0].report.run_id


@pytest.mark.services
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("ocx/BTC-PREP",), "BTC-PREP was never quoted, held or compared at ocx/main; markets of "),
        (("ocx/mian",), "comparison: BTC-PERP, ETH-PERP"),
        (("ocx/mian/BTC-PERP",), "no keys here for the account ocx/mian and it was never compared"),
        (("history", "--account", "ocx/mian"), "with keys: ocx/main"),
        (("history", "--account", "ocx/main/BTC-PERP"), "is not VENUE/ACCOUNT; venues are "),
    ],
)
async def test_a_name_that_nobody_ever_heard_of_is_refused(
    settings: Settings, database_url: str, tmp_path: Path, given: tuple[str, ...], words: str
) -> None:
    """Else a letter wrong would say that all is well while a break is open."""
    async with open_books(settings) as books:
        await books.reconciliations.record(run_of(1))
        await _open(books, "BTC-PERP")
    keys = {"FLOTILLA_DATABASE_URL": database_url, "FLOTILLA_VENUE_OCX__API_KEY": "k"}
    done = await asyncio.to_thread(flotilla, "reconcile", *given, environment=keys, folder=tmp_path)
    assert done.returncode == USAGE
    assert words in complaint(done)
    assert done.stdout == ""


@pytest.mark.services
async def test_what_has_keys_or_is_on_record_is_known(settings: Settings) -> None:
    async with open_ledger(settings) as ledger:
        await ledger.open_epoch(MarketId("ocx", "main", "QUOTED"), "worker", "run")
    async with open_books(settings) as books:
        await refuse_unknown(settings, books, Place(venue="ocx", account="desk2"))
        with pytest.raises(ValueError, match="no keys here"):
            await refuse_unknown(Settings(), books, Place(venue="ocx", account="main"))
        await books.reconciliations.record(run_of(1))
        await _open(books, "BROKEN")
        await refuse_unknown(Settings(), books, Place(venue="ocx", account="main"))
        for symbol in ("QUOTED", "BROKEN", "ETH-PERP"):
            await refuse_unknown(settings, books, Place(venue="ocx", account="main", symbol=symbol))
        other = Place(venue="ocx", account="main", symbol="OTHER")
        with pytest.raises(ValueError, match="OTHER was never quoted"):
            await refuse_unknown(settings, books, other)


@pytest.mark.services
@pytest.mark.parametrize("trouble", ["", "no source of the venue could say what is held"])
async def test_a_comparison_with_trouble_is_no_success(
    settings: Settings, database_url: str, temporal_client: Client, tmp_path: Path, trouble: str
) -> None:
    await ensure_search_attributes(temporal_client, SEARCH_ATTRIBUTES)
    given = {
        "FLOTILLA_DATABASE_URL": database_url,
        "FLOTILLA_VENUE_OCX__API_KEY": "k",
        "FLOTILLA_FLEET": settings.fleet,
        "TEMPORAL_ADDRESS": temporal_client.service_client.config.target_host,
    }
    script = Compared(answers=deque([compared(trouble=trouble)]))
    async with serving(temporal_client, script):
        done = await asyncio.to_thread(
            flotilla, "reconcile", "ocx/main", environment=given, folder=tmp_path
        )
    assert done.returncode == (1 if trouble else 0), done.stderr
    assert (f"not compared in full: {trouble}" in done.stderr) is bool(trouble)


async def _open(books: Books, symbol: str) -> int:
    found = FoundBreak(
        venue="ocx",
        account="main",
        symbol=symbol,
        kind=BreakKind.POSITION,
        text="0.5 apart",
        ours="{}",
        theirs="{}",
        found_by="a test",
        found_at_ms=1,
    )
    return (await books.breaks.open(found)).number
