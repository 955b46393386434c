"""`flotilla reconcile`: compare accounts with our books now, and read every comparison ever made.

The one rule: the exit code says when a break is open at what was asked for, when not all of it
could be compared, and when nobody ever heard of it.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import click

from desk.book_ports import ReconciliationRun
from desk.breaks import Break
from flotilla.cli.kill import json_option
from flotilla.cli.render import emit_json, emit_rows, talk
from flotilla.moments import read_moment
from flotilla.reconciling import (
    Comparison,
    Place,
    account_named,
    compare_now,
    past_runs,
    places,
    refuse_unknown,
    side_by_side,
)
from flotilla.wiring import open_books
from infra.settings import load_settings

REFUSED: Final = 3
FAILED: Final = 1


class Moment(click.ParamType[datetime]):
    """A time with its zone, or how long ago."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The time; click.BadParameter for one that cannot be read or says no zone."""
        if isinstance(value, datetime):
            return value
        try:
            return read_moment(str(value), None, datetime.now(UTC))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class NowByDefault(click.Group):
    """What is no command of this group is what `now` is about."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `now` before anything that names no command."""
        named = next((one for one in args if not one.startswith("-")), None)
        asks = {*ctx.help_option_names} & {*args}
        if named not in self.commands and not (asks and named is None):
            args = ["now", *args]
        return super().parse_args(ctx, args)


@click.group(cls=NowByDefault, subcommand_metavar="[MARKET | VENUE/ACCOUNT] | history")
def reconcile() -> None:
    """Compare what rests, is held and is owned at the venues with our books.

    Without a name every account we have keys for is compared, now. Workers do it by themselves
    all the time; 'flotilla reconcile history' shows what they found. A name alone means 'now':
    see 'flotilla reconcile now --help' for exit codes.
    """


@reconcile.command()
@click.argument("place", required=False, metavar="[MARKET | VENUE/ACCOUNT]")
@json_option
def now(place: str | None, *, as_json: bool) -> int:
    """Compare now, and show both sides.

    Exit code 3 while a break is open there, 1 when not everything could be compared or no worker
    answered, 2 for a market or account that nobody ever heard of.
    """
    return asyncio.run(_now(place, as_json=as_json))


@reconcile.command()
@click.option("--since", type=Moment(), default="24h", help="From when; 24h ago by default.")
@click.option("--until", type=Moment(), default="0s", help="Until when; now by default.")
@click.option("--account", metavar="VENUE/ACCOUNT", help="Only this account.")
@click.option("--all", "everything", is_flag=True, help="Also runs where nothing differed.")
@click.option("--run", "run_id", help="One run by its id, both sides; see --since.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, help="How many; else 50.")
@json_option
def history(
    since: datetime,
    until: datetime,
    account: str | None,
    run_id: str | None,
    limit: int,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Show past comparisons, newest first: those that found something or had trouble.

    TIME is like 2026-03-01T09:30:00Z, or how long ago: 90m, 6h, 7d. A run is looked for between
    --since and --until only.
    """
    runs = asyncio.run(
        _history(since, until, account, run_id, limit, everything=everything or run_id is not None)
    )
    if as_json:
        emit_json([_run(one) for one in runs])
        return
    emit_rows("reconciliations", [_row(one) for one in runs], as_json=False)
    if run_id is not None:
        for one in runs:
            _show_sides(one, None)


async def _now(text: str | None, *, as_json: bool) -> int:
    settings = load_settings()
    with _usage("MARKET"):
        wanted = places(settings, text)
        if text is not None:
            async with open_books(settings) as books:
                await refuse_unknown(settings, books, wanted[0])
    done = [(place, *await compare_now(settings, place)) for place in wanted]
    standing = [one for _, _, found in done for one in found]
    if as_json:
        emit_json([_place(place, compared, found) for place, compared, found in done])
    else:
        for place, compared, _ in done:
            _show(place, compared)
        for one in standing:
            talk(f"break {one.number} is open at {one.found.scope}: {one.found.text}")
    if standing:
        return REFUSED
    reports = [one.report for _, compared, _ in done for one in compared]
    return FAILED if any(not one.at_ms or one.trouble for one in reports) else 0


@contextmanager
def _usage(about: str) -> Iterator[None]:
    """A name that cannot be meant is a mistake of whoever typed it."""
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=about) from None


async def _history(
    since: datetime,
    until: datetime,
    account: str | None,
    run_id: str | None,
    limit: int,
    *,
    everything: bool,
) -> list[ReconciliationRun]:
    settings, place = load_settings(), None
    async with open_books(settings) as books:
        if account is not None:
            with _usage("--account"):
                place = account_named(account)
                await refuse_unknown(settings, books, place)
        found = await past_runs(
            books.reconciliations,
            place,
            _ms(since),
            _ms(until) + 1,
            limit,
            differing=not everything,
            run_id=run_id,
        )
    return list(found)


def _show(place: Place, compared: tuple[Comparison, ...]) -> None:
    for one in compared:
        report = one.report
        talk(
            f"{place.name}: {report.kind.value}: {report.found} differences, "
            f"{report.requests} venue requests"
        )
        if report.trouble:
            talk(f"  not compared in full: {report.trouble}")
        for text in report.differences:
            talk(f"  {text}")
        if one.run is not None:
            _show_sides(one.run, place.symbol)


def _show_sides(run: ReconciliationRun, symbol: str | None) -> None:
    rows = side_by_side(run, symbol)
    emit_rows(f"{run.venue}/{run.account}: {run.kind}", rows, as_json=False)


def _place(
    place: Place, compared: tuple[Comparison, ...], standing: tuple[Break, ...]
) -> dict[str, Any]:
    return {
        "place": place.name,
        "comparisons": [
            {
                **one.report.model_dump(mode="json"),
                "run": None if one.run is None else _run(one.run),
            }
            for one in compared
        ],
        "open_breaks": [one.number for one in standing],
    }


def _run(run: ReconciliationRun) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "account": f"{run.venue}/{run.account}",
        "kind": run.kind,
        "began": _time(run.began_ms),
        "ended": _time(run.ended_ms),
        "requests": run.requests,
        "found": run.found,
        "trouble": run.trouble,
        "differences": json.loads(run.differences),
        "ours": json.loads(run.ours),
        "theirs": json.loads(run.theirs),
    }


def _row(run: ReconciliationRun) -> dict[str, object]:
    told = [one.get("text", "") for one in json.loads(run.differences)]
    return {
        "began": _time(run.began_ms),
        "account": f"{run.venue}/{run.account}",
        "kind": run.kind,
        "requests": run.requests,
        "found": run.found,
        "what": run.trouble or "; ".join(told),
        "run": run.run_id,
    }


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="seconds")
