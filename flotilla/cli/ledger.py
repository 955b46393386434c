"""`flotilla ledger`: fills, orders, equity and PnL of the past, shown, as JSON, CSV or Parquet.

The one rule: every time that is read or shown has a zone, and machines are given UTC.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from desk.history_ports import FIELDS, FieldKind, HistoryBook, Line, Series, Span
from desk.identity import MarketId
from desk.trading_day import DayRule, read_zone
from flotilla.cli.kill import json_option
from flotilla.cli.pnl_tables import money_row, period_json, tie_row, total_row
from flotilla.cli.render import emit_json, emit_rows, talk
from flotilla.day_ties import tolerance_of
from flotilla.exports import STDOUT, check_paths, export, plain
from flotilla.moments import NoZone, read_moment, show_moment
from flotilla.pnl_report import PNL_FIELDS, PeriodMade, days_of, period_made, pnl_lines
from flotilla.wiring import open_history
from infra.postgres.times import to_ms, to_time
from infra.settings import Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])

_SHORT: Final = {
    Series.FILLS: ("side", "quantity", "price", "mid", "fee", "liquidity", "client_order_id"),
    Series.ORDERS: ("side", "quantity", "price", "outcome", "ending", "client_order_id"),
    Series.EQUITY: ("pnl", "peak", "position_lots", "mid", "epoch"),
}
"""Fields a person is shown beside moment and market; files and JSON have all of them."""

_SHOWN: Final = 50
_NAMED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options say, read and checked."""

    market: MarketId | None
    span: Span
    zone: tzinfo
    csv_path: Path | None
    parquet_path: Path | None

    @property
    def exports(self) -> bool:
        """Whether rows go to files instead of the screen."""
        return self.csv_path is not None or self.parquet_path is not None


def _range_options(since: str) -> Callable[[F], F]:
    """Options all commands share; `since` is the default, in words for the help."""

    def add(command: F) -> F:
        options = (
            click.argument("market", required=False, metavar="[MARKET]"),
            click.option(
                "--since", metavar="TIME", help=f"From when, this moment included; {since}."
            ),
            click.option(
                "--until", metavar="TIME", help="Until when, not included; now by default."
            ),
            click.option(
                "--timezone",
                metavar="ZONE",
                help="An IANA name like Europe/Zurich: where times without an offset are meant, "
                "and shown. Files and JSON are in UTC all the same.",
            ),
            click.option(
                *("--csv", "csv_path"),
                type=click.Path(path_type=Path, allow_dash=True),
                help="Write all rows as CSV; '-' is standard output.",
            ),
            click.option(
                *("--parquet", "parquet_path"),
                type=click.Path(path_type=Path),
                help="Write all rows as Parquet (extra 'export').",
            ),
            json_option,
        )
        for option in reversed(options):
            command = option(command)
        return command

    return add


_limit_option: Final = click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    help=f"Show at most so many, the newest; {_SHOWN} by default. Files hold everything.",
)


@click.group(
    epilog="TIME is like 2026-03-01T09:30:00Z, 2026-03-01 with --timezone, or how long ago: 90m, "
    "6h, 7d. MARKET is like ocx/BTC-PERP; without one, all markets."
)
def ledger() -> None:
    """Read the past from the record: fills, orders, PnL and equity, for people and for files.

    Files are written whole or not at all, market by market, oldest first.
    """


@ledger.command()
@_range_options("24h ago by default")
@_limit_option
def fills(**options: Any) -> None:
    """Show what was filled, newest first. Fees paid are positive, rebates negative."""
    _series(Series.FILLS, options)


@ledger.command()
@_range_options("24h ago by default")
@_limit_option
def orders(**options: Any) -> None:
    """Show what was sent, how the venue answered, and how each order ended, newest first."""
    _series(Series.ORDERS, options)


@ledger.command()
@_range_options("24h ago by default")
@_limit_option
def equity(**options: Any) -> None:
    """Show the marks of each market: its PnL, its peak, its position and its mid, newest first."""
    _series(Series.EQUITY, options)


@ledger.command()
@_range_options("this trading day by default")
@click.option("--daily", is_flag=True, help="Each trading day by itself, the days whole.")
def pnl(*, daily: bool, **options: Any) -> None:
    """Show where PnL came from, and whether it ties to the venues' equity.

    PnL is spread + inventory - fees + funding + adjustments. 'spread' is what fills earned against
    the mid at that moment, 'inventory' what holdings earned as the mid moved. For all markets,
    each account is also tied: the change of its equity at the venue, less transfers and less our
    PnL, leaves a residual; more than the tolerance is flagged.
    """
    settings = load_settings()
    as_json = options.pop("as_json")
    rule = settings.days()
    asked = _asked(options, lambda now: _day_begins(rule, now), as_json=as_json)
    spans = [asked.span]
    if daily:
        try:
            spans = list(days_of(rule, asked.span))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    if asked.exports:
        pages = partial(_pnl_pages, asked=asked, spans=spans, settings=settings)
        _exported(pages, Series.FILLS, PNL_FIELDS, asked)
        return
    made = asyncio.run(_periods(asked, spans, settings))
    if as_json:
        told = [period_json(one) for one in made]
        emit_json(told if daily else told[0])
        return
    for one in made:
        _show_period(one, asked.zone)


def _series(series: Series, options: dict[str, Any]) -> None:
    as_json, limit = options.pop("as_json"), options.pop("limit")
    asked = _asked(options, lambda now: _ms(now) - 86_400_000, as_json=as_json)
    if asked.exports:
        if limit is not None:
            raise click.UsageError(
                "--limit is for what is shown; a file holds everything between --since and --until"
            )
        _exported(
            lambda book: book.pages(series, asked.market, asked.span), series, FIELDS[series], asked
        )
        return
    found = asyncio.run(_newest(series, asked, limit or _SHOWN))
    names = list(FIELDS[series])
    rows = [dict(zip(names, line, strict=True)) for line in found]
    if as_json:
        emit_json([{name: _json(value) for name, value in row.items()} for row in rows])
        return
    emit_rows(series.value, [_short(series, row, asked.zone) for row in rows], as_json=False)
    if limit is None and len(rows) == _SHOWN:
        talk(f"the newest {_SHOWN}; see --limit, --csv and --parquet for more")


def _asked(
    options: Mapping[str, Any], default_since_ms: Callable[[datetime], int], *, as_json: bool
) -> Asked:
    """The shared options, read. Raises click's usage errors, each a sentence with the remedy."""
    csv_path, parquet_path = options["csv_path"], options["parquet_path"]
    if as_json and (csv_path or parquet_path):
        raise click.UsageError("--json shows rows and --csv and --parquet write them; give one")
    check_paths(csv_path, parquet_path)
    now = datetime.now(UTC)
    zone = _zone(options["timezone"])
    since = _moment(options["since"], "--since", zone, now)
    until = _moment(options["until"], "--until", zone, now) or now
    since_ms = default_since_ms(until) if since is None else _ms(since)
    if since_ms >= _ms(until):
        raise click.BadParameter("is not after --since; nothing lies between", param_hint="--until")
    return Asked(
        market=_market(options["market"]),
        span=Span(since_ms=since_ms, until_ms=_ms(until)),
        zone=zone or UTC,
        csv_path=csv_path,
        parquet_path=parquet_path,
    )


def _zone(name: str | None) -> tzinfo | None:
    try:
        return None if name is None else read_zone(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timezone") from None


def _moment(text: str | None, option: str, zone: tzinfo | None, now: datetime) -> datetime | None:
    try:
        return None if text is None else read_moment(text, zone, now)
    except NoZone as error:
        raise click.BadParameter(f"{error}, or add --timezone", param_hint=option) from None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _market(text: str | None) -> MarketId | None:
    try:
        return None if text is None else MarketId.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="MARKET") from None


def _day_begins(rule: DayRule, at: datetime) -> int:
    return rule.day_at(_ms(at) - 1).begins_ms


async def _newest(series: Series, asked: Asked, limit: int) -> Sequence[Line]:
    async with open_history(load_settings()) as book:
        await _check_known(book, series, asked.market)
        return await book.newest(series, asked.market, asked.span, limit)


async def _check_known(book: HistoryBook, series: Series, market: MarketId | None) -> None:
    """A market that was never on record is a slip of the pen, not an empty past."""
    known = () if market is None else await book.markets(series)
    if market is not None and known and market not in known:
        names = ", ".join(one.path for one in known[:_NAMED])
        more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
        raise click.BadParameter(
            f"no {series.value} of {market.path} are on record; there are {names}{more}",
            param_hint="MARKET",
        )


async def _periods(asked: Asked, spans: Iterable[Span], settings: Settings) -> list[PeriodMade]:
    tolerance = tolerance_of(settings)
    async with open_history(settings) as book:
        await _check_known(book, Series.FILLS, asked.market)
        return [await period_made(book, span, asked.market, tolerance) for span in spans]


async def _pnl_pages(
    book: HistoryBook, asked: Asked, spans: Iterable[Span], settings: Settings
) -> AsyncIterator[Sequence[Line]]:
    for span in spans:
        yield pnl_lines(await period_made(book, span, asked.market, tolerance_of(settings)))


def _exported(
    pages: Callable[[HistoryBook], AsyncIterator[Sequence[Line]]],
    series: Series,
    fields: Mapping[str, FieldKind],
    asked: Asked,
) -> None:
    async def write() -> int:
        async with open_history(load_settings()) as book:
            await _check_known(book, series, asked.market)
            return await export(
                pages(book), fields, csv_path=asked.csv_path, parquet_path=asked.parquet_path
            )

    try:
        count = asyncio.run(write())
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is left must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    for path in (asked.csv_path, asked.parquet_path):
        if path is not None and path != STDOUT:
            talk(f"{count} rows in {path}")


def _show_period(made: PeriodMade, zone: tzinfo) -> None:
    since, until = (_shown(ms, zone) for ms in (made.span.since_ms, made.span.until_ms))
    rows = [money_row(one) for one in made.markets]
    rows += [total_row(made)] if len(rows) > 1 or made.total.adjustments else []
    emit_rows(f"PnL from {since} to {until}", rows, as_json=False)
    if made.unpriced:
        talk(f"not in the sum, no price known: {', '.join(made.unpriced)}")
    if lacking := sum(one.sums.unmeasured for one in made.markets):
        talk(f"{lacking} fills had no mid: what they earned counts as inventory")
    if guessed := sum(one.sums.estimated for one in made.markets):
        talk(f"{guessed} fills had no mid and were measured against the mark before them")
    if made.ties:
        emit_rows("ties to the venue", [tie_row(one, zone) for one in made.ties], as_json=False)
    for one in made.ties:
        if one.flagged:
            talk(f"FLAGGED {one.venue}/{one.account}: {one.reason}")


def _short(series: Series, row: Mapping[str, object], zone: tzinfo) -> dict[str, object]:
    moment = row[next(iter(row))]
    at = show_moment(moment, zone) if isinstance(moment, datetime) else None
    market = f"{row['venue']}/{row['account']}/{row['symbol']}"
    return {"at": at, "market": market} | {
        name: plain(row[name]) if row[name] is not None else None for name in _SHORT[series]
    }


def _json(value: object) -> object:
    return value if isinstance(value, bool) else plain(value)


def _shown(at_ms: int, zone: tzinfo) -> str:
    return show_moment(to_time(at_ms), zone)


def _ms(at: datetime) -> int:
    return to_ms(at)
