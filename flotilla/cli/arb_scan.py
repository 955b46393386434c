"""`flotilla arb scan`: what a recording of outcome sets would have offered after costs."""

from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from pathlib import Path

import click

from flotilla.arbitrage_recorded import ScanTerms
from flotilla.arbitrage_scan import Found, Looks, ScanReport, scan_recording
from flotilla.cli.kill import json_option
from flotilla.cli.render import emit_json, emit_rows, talk


class Bps(click.ParamType[Decimal]):
    """Basis points, 0 to below 10,000."""

    name = "BPS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """The number; click.BadParameter for what is none."""
        try:
            found = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"'{value}' is not a number; write it like 5 or 12.5", param, ctx)
        if not (found.is_finite() and 0 <= found < 10_000):
            self.fail(f"{found} is not from 0 to below 10000", param, ctx)
        return found


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--taker-fee-bps", type=Bps(), default="0", help="Fee of every leg.")
@click.option("--slippage-bps", type=Bps(), default="0", help="Budget beyond the price shown.")
@click.option(
    "--max-skew-ms", type=click.IntRange(1), default=500, show_default=True, help="Between legs."
)
@click.option(
    "--max-age-ms", type=click.IntRange(1), default=5_000, show_default=True, help="Of a leg."
)
@json_option
def scan(
    path: Path,
    taker_fee_bps: Decimal,
    slippage_bps: Decimal,
    max_skew_ms: int,
    max_age_ms: int,
    *,
    as_json: bool,
) -> None:
    """Replay the recording PATH (Parquet) through the watch that trades outcome sets.

    It counts looks at sets whose asks sum below 1: how many the guards against stale and skewed
    legs refuse, and how many are left with fees and slippage. The same of bids that sum above 1,
    for sets that are held.

    Polls come whole; their description (FILE.meta.json) must lie beside them, for it alone names
    outcomes that nobody quotes. Of books, every change is a look, as in live trading; looks after
    all changes of one time are counted apart.
    """
    terms = ScanTerms(
        taker_fee_bps=taker_fee_bps,
        slippage_bps=slippage_bps,
        max_skew_ms=max_skew_ms,
        max_age_ms=max_age_ms,
    )
    report = scan_recording(path, terms)
    if as_json:
        emit_json({"terms": asdict(terms), **asdict(report)})
        return
    talk(f"{report.sets} sets")
    emit_rows("looks", _rows(report), as_json=False)


def _rows(report: ScanReport) -> list[dict[str, object]]:
    whole = _column(report.whole)
    if report.each is None:
        return [{"": name, "polls of sets": told} for name, told in whole.items()]
    each = _column(report.each)
    return [
        {"": name, "after every change": told, "after all of one time": whole.get(name, "0")}
        for name, told in each.items()
    ]


def _column(looks: Looks) -> dict[str, str]:
    guards = {
        f"below 1, refused as {name}": f"{times:,}" for name, times in sorted(looks.refused.items())
    }
    return {
        "looks": f"{looks.looks:,}",
        "an ask for every outcome": f"{looks.asked:,}",
        "asks sum below 1": _told(looks.below),
        **guards,
        "below 1, kept by the guards": _told(looks.kept),
        "below 1, left after costs": _told(looks.below_net),
        "a bid for every outcome": f"{looks.bid:,}",
        "bids sum above 1": _told(looks.above),
        "above 1, left after costs": _told(looks.above_net),
        "with a book not used: bid at or above ask": f"{looks.hidden:,}",
    }


def _told(found: Found) -> str:
    if found.best is None:
        return "0"
    return f"{found.times:,} in {found.sets:,} sets, best {found.best:.4f}"
