"""`flotilla replay` reproduces a session from its journal alone, and tells the first difference."""

import json
from pathlib import Path

import pytest

from desk.market import FeedLost
from desk.units import NS_PER_S
from infra.trace_files import TraceFolder
from tests.flotilla.test_cli import USAGE, complaint, flotilla
from tests.quoting.builders import MARKET, account, book, permit, sent
from tests.quoting.test_replay import quoted, setup
from tests.quoting.traced import TracedLoop

ORDER = "f24po4fq-1-1-b0"


def written(folder: Path, traced: TracedLoop, *, segment_bytes: int = 10_000_000) -> Path:
    """The journal of a session, one block a frame."""
    head, *frames = traced.journal().written
    files = TraceFolder(folder, segment_bytes=segment_bytes, wall_ns=lambda: 0)
    writer = files.begin(MARKET, 1, 1, head)
    for frame in frames:
        writer.append([frame])
    writer.close()
    return Path(writer.name)


def test_a_journal_of_several_segments_is_reproduced(tmp_path: Path) -> None:
    journal = written(tmp_path, quoted(TracedLoop(setup(), permit())), segment_bytes=2_000)
    assert len(list(journal.iterdir())) > 2
    for given in (journal, journal.parent):
        done = flotilla("replay", str(given), "--json", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["identical"], told["first"], told["market"]) == (True, None, MARKET.path)
        assert "identical: " in done.stderr


def test_a_changed_parameter_tells_the_first_step_that_decides_otherwise(tmp_path: Path) -> None:
    journal = written(tmp_path, quoted(TracedLoop(setup(), permit())))
    done = flotilla("replay", str(journal), "--set", "spread_bps=12", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert any(line.startswith("DIFFERS at step 2, 2023-11-14 22:13:21.000 UTC") for line in said)
    assert "  heard:    a whole book, best 59999.9 to 60000.1, then time going by" in said
    assert any(
        line.startswith("  recorded: send b24po4fq-1-1: buy 0: 0.010 @ 59970.0") for line in said
    )
    assert any(
        line.startswith("  replayed: send b24po4fq-1-1: buy 0: 0.010 @ 59964.0") for line in said
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("spread", "is not NAME=VALUE"),
        ("colour=red", "is not NAME=VALUE"),
        ("levels=many", "levels"),
        ("levels=0", "levels: 0 is outside 1 to 20"),
        ("spread_bps=NaN", "spread_bps: give a number of at most 18 digits"),
        ("spread_bps=-Infinity", "spread_bps: give a number"),
        ("level_tiers=0.5,sNaN,0.2", "level_tiers: give a number"),
        ("max_drawdown=1e400", "max_drawdown: give a number"),
        ("debounce_ms=99999999999999999999", "debounce_ms: give a number"),
    ],
)
def test_a_change_that_is_none_is_told_in_a_sentence(
    tmp_path: Path, change: str, words: str
) -> None:
    journal = written(tmp_path, quoted(TracedLoop(setup(), permit())))
    done = flotilla("replay", str(journal), "--set", change, folder=tmp_path)
    assert done.returncode == USAGE
    assert words in complaint(done)


def test_what_is_no_journal_or_lacks_its_beginning_is_told_plainly(tmp_path: Path) -> None:
    done = flotilla("replay", str(tmp_path / "nowhere"), folder=tmp_path)
    assert done.returncode == USAGE
    assert "does not exist" in complaint(done)
    journal = written(tmp_path, quoted(TracedLoop(setup(), permit())), segment_bytes=2_000)
    (journal / "000001.trace").unlink()
    done = flotilla("replay", str(journal), folder=tmp_path)
    assert done.returncode == USAGE
    assert "the beginning of" in complaint(done)
    assert "was dropped" in complaint(done)


def test_what_cannot_be_read_to_its_end_is_no_success(tmp_path: Path) -> None:
    journal = written(tmp_path, quoted(TracedLoop(setup(), permit())), segment_bytes=2_000)
    (journal / "000002.trace").unlink()
    done = flotilla("replay", str(journal), folder=tmp_path)
    assert done.returncode == USAGE
    assert "not read to its end: segment 2 is missing" in done.stderr


def test_why_an_order_went_is_told_with_what_was_heard(tmp_path: Path) -> None:
    journal = written(tmp_path, quoted(TracedLoop(setup(), permit())))
    done = flotilla("replay", str(journal), "--explain", ORDER, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sent: buy 0: 0.010 @ 59970.0, mid 60000.0" in done.stderr
    last = complaint(done)
    assert last.startswith(f"{ORDER}: requoted as buy 0: ")
    assert "the mid was 60000.0 when it was sent and 60020.0 now" in last
    assert "heard just before: a whole book, best 60019.9 to 60020.1" in last


def test_why_everything_went_is_told_with_what_was_heard(tmp_path: Path) -> None:
    traced = TracedLoop(setup(), permit())
    batch = sent(traced.step(NS_PER_S, account(NS_PER_S), book(NS_PER_S)))
    assert batch.orders[0].client_order_id == ORDER
    traced.step(2 * NS_PER_S, FeedLost(reason="cut", received_ns=2 * NS_PER_S))
    done = flotilla(
        "replay", str(written(tmp_path, traced)), "--explain", ORDER, "--json", folder=tmp_path
    )
    told = json.loads(done.stdout)
    assert told["cause"] == (
        "everything was cancelled: feed lost: cut; heard just before: the feed was lost (cut)"
    )
    assert [one["step"] for one in told["moments"]] == [1, 2]


def test_an_order_of_another_session_is_not_explained(tmp_path: Path) -> None:
    journal = written(tmp_path, quoted(TracedLoop(setup(), permit())))
    done = flotilla("replay", str(journal), "--explain", "f24po4fq-9-1-b0", folder=tmp_path)
    assert done.returncode == 1
    assert "this session did not send it" in done.stderr


def test_a_journal_that_a_crash_cut_short_is_the_same_up_to_there(tmp_path: Path) -> None:
    journal = written(tmp_path, quoted(TracedLoop(setup(), permit())))
    file = journal / "000001.trace"
    file.write_bytes(file.read_bytes()[:-5])
    done = flotilla("replay", str(journal), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "identical up to there: " in done.stderr
    assert "the journal ends before its session: 000001.trace ends in half a block" in done.stderr


def test_a_session_that_went_on_untraced_is_no_success(tmp_path: Path) -> None:
    traced = quoted(TracedLoop(setup(), permit()))
    traced.trace.lose("disk full")
    done = flotilla("replay", str(written(tmp_path, traced)), "--json", folder=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["identical"], told["lost"]) == (USAGE, False, True)
    assert "identical up to where frames were lost, and no proof of the rest: " in done.stderr
    assert "the journal ends before its session: frames lost: disk full" in done.stderr


def test_a_journal_that_lacks_a_step_is_no_success(tmp_path: Path) -> None:
    traced = quoted(TracedLoop(setup(), permit()))
    traced.trace.finish()
    del traced.trace.frames[7]
    done = flotilla("replay", str(written(tmp_path, traced)), "--json", folder=tmp_path)
    assert done.returncode == USAGE
    assert json.loads(done.stdout)["identical"] is False
    assert "not read to its end: step 9 is where step 8 should be" in done.stderr
