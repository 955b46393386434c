"""Recordings through the watch: small ones counted by hand, real ones as they were described."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from desk.errors import ConfigurationFault
from flotilla.arbitrage_recorded import ScanTerms
from flotilla.arbitrage_scan import Looks, scan_recording
from flotilla.cli.arb import arb

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

DATA = Path(__file__).parents[3] / "shared" / "data"
POLLS = "polymarket_us_outcome_sets.parquet"
BOOKS = "polymarket_btc15m_books_a.parquet"
NONE = ScanTerms()


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


def polled(path: Path, told: list[tuple[int, str, str, str | None, str | None]]) -> Path:
    names = ("ts_ms", "set", "outcome", "bid", "ask")
    meta = [{"set": "cup", "outcomes": ["a", "b", "c"]}, {"set": "toss", "outcomes": ["h", "t"]}]
    path.with_suffix(".meta.json").write_text(json.dumps(meta), encoding="utf-8")
    return written(path, [dict(zip(names, one, strict=True)) for one in told])


@pytest.fixture
def polls(tmp_path: Path) -> Path:
    return polled(
        tmp_path / "polls.parquet",
        [
            (1_000, "cup", "a", "0.30", "0.31"),
            (1_000, "cup", "b", "0.30", "0.31"),
            (1_000, "cup", "c", "0.30", "0.31"),
            (1_000, "toss", "h", "0.5", "0.505"),
            (1_000, "toss", "t", "0.49", "0.495"),
            # The same once more: found again. The toss now sums to less, then to 1 exactly.
            (2_000, "cup", "a", "0.30", "0.31"),
            (2_000, "cup", "b", "0.30", "0.31"),
            (2_000, "cup", "c", "0.30", "0.31"),
            (2_000, "toss", "h", "0.5", "0.504"),
            (2_000, "toss", "t", "0.49", "0.495"),
            # One outcome is not quoted, or nobody asks for it: not complete, nothing found.
            (3_000, "cup", "a", "0.30", "0.31"),
            (3_000, "cup", "b", "0.40", "0.41"),
            (3_000, "toss", "h", "0.6", None),
            (3_000, "toss", "t", "0.5", "0.505"),
            (4_000, "cup", "a", "0.30", "0.31"),
            (4_000, "cup", "b", "0.40", "0.41"),
            (4_000, "cup", "c", "0.40", "0.41"),
            # A bid at its own ask is no book.
            (4_000, "toss", "h", "0.5", "0.5"),
            (4_000, "toss", "t", "0.2", "0.3"),
        ],
    )


def figures(looks: Looks) -> dict[str, tuple[int, int]]:
    kinds = ("below", "kept", "below_net", "above", "above_net")
    return {kind: (getattr(looks, kind).times, getattr(looks, kind).sets) for kind in kinds}


def test_polls_are_counted_whole(polls: Path) -> None:
    report = scan_recording(polls, NONE)
    assert (report.sets, report.each) == (2, None)
    assert (report.whole.looks, report.whole.asked, report.whole.bid) == (8, 5, 6)
    assert report.whole.hidden == 1
    assert report.whole.refused == {}
    assert figures(report.whole) == {
        "below": (3, 2),
        "kept": (3, 2),
        "below_net": (3, 2),
        "above": (2, 2),
        "above_net": (2, 2),
    }
    assert report.whole.below.best == Decimal("0.07")
    assert report.whole.above.best == Decimal("0.1")


@pytest.mark.parametrize(
    ("terms", "bought", "sold"),
    [
        ({"taker_fee_bps": Decimal(10)}, (3, 2), (2, 2)),
        ({"taker_fee_bps": Decimal(20)}, (2, 1), (2, 2)),
        ({"slippage_bps": Decimal(700)}, (2, 1), (2, 2)),
        ({"slippage_bps": Decimal(760)}, (0, 0), (2, 2)),
        ({"taker_fee_bps": Decimal(950)}, (0, 0), (0, 0)),
    ],
)
def test_costs_leave_less(
    polls: Path, terms: dict[str, Any], bought: tuple[int, int], sold: tuple[int, int]
) -> None:
    found = figures(scan_recording(polls, ScanTerms(**terms)).whole)
    assert (found["below"], found["kept"], found["above"]) == ((3, 2), (3, 2), (2, 2))
    assert (found["below_net"], found["above_net"]) == (bought, sold)


def changes(path: Path) -> Path:
    """A price falls on both outcomes; the second is told 0.3 s after the first."""
    told = [
        (0, 1, "toss:h", "snapshot", "0.59", "0.60"),
        (0, 2, "toss:t", "snapshot", "0.41", "0.42"),
        (0, 3, "alone:x", "snapshot", "0.10", "0.20"),
        (1_000, 4, "toss:h", "delta", None, "0.50"),
        (1_300, 5, "toss:t", "delta", None, "0.52"),
        (2_000, 6, "toss:t", "delta", None, "0.45"),
        (2_000, 7, "toss:h", "delta", None, "0.54"),
        (9_000, 8, "toss:t", "delta", None, "0.44"),
    ]
    rows: list[dict[str, Any]] = []
    asks = {"toss:h": "0.60", "toss:t": "0.42", "alone:x": "0.20"}
    for at_ms, message, instrument, kind, bid, ask in told:
        levels: list[tuple[str, str | None, str]] = [("ask", ask, "7.5")]
        if kind == "delta":
            levels.insert(0, ("ask", asks[instrument], "0"))
            levels.append(("bid", "0.41" if instrument.endswith("t") else "0.59", "0"))
        levels += [("bid", bid, "3")] * (bid is not None)
        asks[instrument] = ask
        rows += [
            {
                "ts_ns": at_ms * 1_000_000,
                "msg": message,
                "instrument": instrument,
                "kind": kind,
                "side": side,
                "price": price,
                "size": size,
                "stale": False,
            }
            for side, price, size in levels
        ]
    return written(path, rows)


def test_a_leg_told_later_is_refused_and_one_of_the_same_time_is_not(tmp_path: Path) -> None:
    path = changes(tmp_path / "books.parquet")
    report = scan_recording(path, ScanTerms(max_skew_ms=900, max_age_ms=5_000))
    assert report.sets == 1
    assert report.each is not None
    # 0.50 with 0.42 told 1 s before; 0.45 with 0.50 told 1 s before; 0.54 with 0.45 of the same
    # time; 0.44 with 0.54 told 7 s before.
    assert (report.each.looks, report.each.asked) == (7, 6)
    assert report.each.refused == {"skewed": 2, "stale_leg": 1}
    assert figures(report.each)["kept"] == (1, 1)
    assert report.each.below.times == 4
    assert (report.whole.looks, report.whole.asked, report.whole.below.times) == (5, 5, 3)
    assert report.whole.refused == {"skewed": 1, "stale_leg": 1}
    wide = scan_recording(path, ScanTerms(max_skew_ms=10_000, max_age_ms=10_000))
    assert wide.whole.refused == {}


def test_what_cannot_be_scanned_says_why(tmp_path: Path, polls: Path) -> None:
    bars = written(tmp_path / "bars.parquet", [{"open": 1.0}])
    with pytest.raises(ConfigurationFault, match="neither a recording of outcome sets nor"):
        scan_recording(bars, NONE)
    (tmp_path / "text.parquet").write_text("no parquet", encoding="utf-8")
    with pytest.raises(ConfigurationFault, match="cannot be read as Parquet"):
        scan_recording(tmp_path / "text.parquet", NONE)
    polls.with_suffix(".meta.json").unlink()
    with pytest.raises(ConfigurationFault, match="keep it beside the recording"):
        scan_recording(polls, NONE)


def test_the_command_tells_both_people_and_programs(polls: Path) -> None:
    shown = CliRunner().invoke(arb, ["scan", str(polls), "--taker-fee-bps", "10"])
    assert shown.exit_code == 0
    assert "3 in 2 sets, best 0.0700" in shown.output
    told = CliRunner().invoke(arb, ["scan", str(polls), "--slippage-bps", "12.5", "--json"])
    found = json.loads(told.stdout)
    assert found["terms"]["slippage_bps"] == "12.5"
    assert found["whole"]["below"] == {"times": 3, "sets": 2, "best": "0.07"}


@pytest.mark.parametrize("wrong", ["NaN", "-1", "10000", "five"])
def test_costs_that_are_none_are_refused(polls: Path, wrong: str) -> None:
    found = CliRunner().invoke(arb, ["scan", str(polls), "--taker-fee-bps", wrong])
    assert found.exit_code == 2


def recording(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"there is no recording {path}")
    return path


def test_the_recorded_polls_show_what_their_description_counted() -> None:
    report = scan_recording(recording(POLLS), NONE)
    assert (report.sets, report.whole.looks) == (580, 429_201)
    assert figures(report.whole)["below"] == (704, 29)
    # Described are 15,168 polls: two of them hold a bid at its own ask, which is no book to us.
    assert (report.whole.hidden, figures(report.whole)["above"]) == (2, (15_166, 69))
    assert report.whole.refused == {}


def test_the_recorded_books_show_the_guard_at_work() -> None:
    path = recording(BOOKS)
    report = scan_recording(path, NONE)
    # Described are 19: one of them has both books crossed and is hidden, the others are lag.
    assert (report.whole.below.times, report.whole.refused) == (18, {"skewed": 18})
    assert report.whole.hidden > 0
    assert report.each is not None
    kept = report.each.kept.times
    assert report.each.below.times == kept + sum(report.each.refused.values())
    assert kept < report.each.below.times // 50
    narrow = scan_recording(path, ScanTerms(max_skew_ms=200)).each
    assert narrow is not None
    assert (narrow.kept.times, narrow.below.times) == (0, report.each.below.times)
