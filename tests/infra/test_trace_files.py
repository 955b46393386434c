"""Journals keep what they were given, in bounds, and say what a crash or a bad disk took away."""

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId
from desk.trace_ports import TraceUnreadable
from infra.trace_files import TraceFolder, open_journal

MARKET = MarketId("x10", "main", "BTC-USD")
DAY_NS = 86_400 * 1_000_000_000


class Wall:
    """A wall clock that is set by hand."""

    now_ns = 1_700_000_000 * 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns


def folder(path: Path, **options: int) -> TraceFolder:
    return TraceFolder(path, wall_ns=Wall(), **options)


def read(path: Path) -> list[bytes]:
    return list(open_journal(path).frames())


@pytest.mark.parametrize("block", [1, 3, 100])
def test_frames_come_back_in_order(tmp_path: Path, block: int) -> None:
    frames = [b"%d" % number * 40 for number in range(100)]
    writer = folder(tmp_path).begin(MARKET, 7, 1_000, b"head")
    for start in range(0, len(frames), block):
        writer.append(frames[start : start + block])
    writer.sync()
    writer.close()
    journal = open_journal(Path(writer.name))
    assert list(journal.frames()) == [b"head", *frames]
    assert (journal.torn, journal.damaged, journal.dropped) == ("", "", False)


def test_a_journal_grows_over_segments_that_each_begin_with_the_head(tmp_path: Path) -> None:
    frames = [os.urandom(400) for _ in range(50)]
    writer = folder(tmp_path, segment_bytes=2_000).begin(MARKET, 7, 1_000, b"head")
    for frame in frames:
        writer.append([frame])
    writer.close()
    segments = sorted(Path(writer.name).iterdir())
    assert len(segments) > 5
    assert all(one.stat().st_size < 3_000 for one in segments)
    assert read(Path(writer.name)) == [b"head", *frames]
    assert read(segments[2])[0] == b"head"


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    writer = folder(tmp_path).begin(MARKET, 7, 1_000, b"head")
    writer.append([b"one"])
    path = Path(writer.name)
    assert path.stat().st_mode & 0o777 == 0o700
    assert next(path.iterdir()).stat().st_mode & 0o777 == 0o600


def test_what_is_dropped_by_count_is_the_oldest_and_is_told(tmp_path: Path) -> None:
    traces = folder(tmp_path, segment_bytes=1_000, keep_segments=3)
    old = traces.begin(MARKET, 1, 1_000, b"head")
    old.append([b"old"])
    writer = traces.begin(MARKET, 2, 2_000, b"head")
    for _ in range(12):
        writer.append([os.urandom(900)])
    assert not Path(old.name).exists()
    journal = open_journal(Path(writer.name))
    assert journal.dropped
    assert len(list(Path(writer.name).iterdir())) == 3
    assert next(journal.frames()) == b"head"


def written_on(traces: TraceFolder, symbol: str, day: int) -> Path:
    """A session's journal of one block, written on that day of `Wall`."""
    writer = traces.begin(MarketId("ocx", "main", symbol), day, day, b"head")
    writer.append([b"one"])
    writer.close()
    at_ns = Wall.now_ns + day * DAY_NS
    for file in Path(writer.name).iterdir():
        os.utime(file, ns=(at_ns, at_ns))
    return Path(writer.name)


def test_what_is_too_old_is_dropped_also_of_markets_that_run_no_more(tmp_path: Path) -> None:
    traces = folder(tmp_path, keep_days=2)
    over = [written_on(traces, symbol, day) for symbol in ("A", "B/PERP") for day in (1, 2)]
    running = [written_on(traces, "C", day) for day in (2, 3, 4, 5)]
    wall = Wall()
    wall.now_ns += 6 * DAY_NS
    fresh = TraceFolder(tmp_path, keep_days=2, wall_ns=wall)
    fresh.begin(MARKET, 1, 9_000, b"head").append([b"one"])
    # The newest file of a market stays, whatever its age: a crash may have to be looked into.
    assert [one.exists() for one in over] == [False, True, False, True]
    assert [one.exists() for one in running] == [False, False, True, True]


def test_a_clock_that_jumps_ahead_makes_nothing_old(tmp_path: Path) -> None:
    traces = folder(tmp_path, keep_days=4)
    kept = [written_on(traces, symbol, day) for symbol in ("A", "B") for day in (1, 2, 3)]
    wall = Wall()
    wall.now_ns += 40 * DAY_NS
    ahead = TraceFolder(tmp_path, keep_days=4, wall_ns=wall)
    for day in (40, 40, 41):
        written_on(ahead, "A", day)
    assert all(one.exists() for one in kept)


def test_the_newest_journal_of_a_market_is_found(tmp_path: Path) -> None:
    traces = folder(tmp_path)
    assert traces.last(MARKET) is None
    for epoch, began_ms in ((9, 1_000), (3, 2_000)):
        traces.begin(MARKET, epoch, began_ms, b"%d" % epoch).append([b"one"])
    newest, before = traces.last(MARKET), traces.last(MARKET, before_ms=2_000)
    assert newest is not None
    assert before is not None
    assert (next(newest.frames()), next(before.frames())) == (b"3", b"9")
    assert traces.last(MARKET, before_ms=1_000) is None


def test_no_name_of_a_market_leads_out_of_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "traces"
    writer = folder(inner).begin(MarketId("..", "../..", "/etc/passwd"), 1, 1, b"head")
    writer.append([b"one"])
    assert inner in Path(writer.name).resolve().parents
    assert [one.name for one in tmp_path.iterdir()] == ["traces"]


@given(cut=st.integers(1, 4_000))
def test_a_tail_torn_anywhere_costs_no_more_than_its_block(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("torn")
    frames = [os.urandom(300) for _ in range(20)]
    writer = folder(path).begin(MARKET, 1, 1, b"head")
    for frame in frames:
        writer.append([frame])
    writer.close()
    file = next(Path(writer.name).iterdir())
    whole = file.read_bytes()
    file.write_bytes(whole[: max(60, len(whole) - cut)])
    journal = open_journal(Path(writer.name))
    found = list(journal.frames())
    assert found == [b"head", *frames][: len(found)]
    assert journal.damaged == ""
    assert len(found) >= 1 + 20 - 1 - cut // 300


@given(place=st.integers(40, 3_000), bit=st.integers(0, 7))
def test_no_damaged_block_is_ever_read(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("bad")
    frames = [os.urandom(300) for _ in range(20)]
    writer = folder(path).begin(MARKET, 1, 1, b"head")
    for frame in frames:
        writer.append([frame])
    file = next(Path(writer.name).iterdir())
    bad = bytearray(file.read_bytes())
    bad[place] ^= 1 << bit
    file.write_bytes(bad)
    journal = open_journal(Path(writer.name))
    found = list(journal.frames())
    assert found == [b"head", *frames][: len(found)]
    assert len(found) < 21
    assert journal.torn or journal.damaged


def test_a_block_that_unpacks_to_far_more_than_any_of_ours_is_damage(tmp_path: Path) -> None:
    writer = folder(tmp_path).begin(MARKET, 1, 1, b"head")
    writer.append([b"one"])
    writer.append([bytes(70_000_000)])
    journal = open_journal(Path(writer.name))
    assert list(journal.frames()) == [b"head", b"one"]
    assert "holds a damaged block" in journal.damaged


def test_zeros_after_a_crash_are_a_torn_tail(tmp_path: Path) -> None:
    writer = folder(tmp_path).begin(MARKET, 1, 1, b"head")
    writer.append([b"one"])
    file = next(Path(writer.name).iterdir())
    file.write_bytes(file.read_bytes() + bytes(4_096))
    journal = open_journal(Path(writer.name))
    assert list(journal.frames()) == [b"head", b"one"]
    assert "half a block" in journal.torn


def test_a_missing_segment_ends_the_reading_and_is_told(tmp_path: Path) -> None:
    writer = folder(tmp_path, segment_bytes=500).begin(MARKET, 1, 1, b"head")
    for number in range(8):
        writer.append([b"%d" % number + os.urandom(600)])
    (Path(writer.name) / "000003.trace").unlink()
    journal = open_journal(Path(writer.name))
    assert [frame[:1] for frame in journal.frames()] == [b"h", b"0", b"1"]
    assert journal.damaged == "segment 3 is missing"


def test_a_market_stands_for_its_newest_session(tmp_path: Path) -> None:
    traces = folder(tmp_path)
    for epoch in (1, 2):
        writer = traces.begin(MARKET, epoch, epoch, b"%d" % epoch)
        writer.append([b"one"])
    assert read(Path(writer.name).parent)[0] == b"2"


@pytest.mark.parametrize("what", ["nothing", "empty", "other"])
def test_what_is_no_journal_is_told_in_a_sentence(tmp_path: Path, what: str) -> None:
    path = tmp_path / "given"
    if what == "empty":
        path.mkdir()
    if what == "other":
        path.write_text("hello, this is no trace")
    with pytest.raises(TraceUnreadable, match=r"name a session's folder"):
        read(path)


def test_a_write_that_failed_leaves_no_half_block(tmp_path: Path) -> None:
    import resource  # noqa: PLC0415

    writer = folder(tmp_path).begin(MARKET, 1, 1, b"head")
    writer.append([b"one"])
    size = next(Path(writer.name).iterdir()).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.append([os.urandom(500)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.append([b"two"])
    assert read(Path(writer.name)) == [b"head", b"one", b"two"]


def blocks(path: Path) -> list[bytes]:
    """The parts of a segment: what it begins with, then each block."""
    content, at = path.read_bytes(), 8
    parts = [content[:at]]
    while at < len(content):
        (length,) = struct.unpack_from("<I", content, at)
        parts.append(content[at : at + 12 + length])
        at += 12 + length
    return parts


def one_segment(path: Path) -> Path:
    """The one file of a journal of a head and twenty frames, a block each."""
    writer = folder(path).begin(MARKET, 1, 1, b"head")
    for number in range(20):
        writer.append([b"%d" % number * 40])
    writer.close()
    return next(Path(writer.name).iterdir())


@pytest.mark.parametrize("place", [0, 3, 4, 7, 8, 11, 12, -1])
@pytest.mark.parametrize("bit", [0, 7])
@pytest.mark.parametrize("number", [2, 21])
def test_a_bit_that_changed_is_damage_and_no_torn_tail_wherever_it_is(
    tmp_path: Path, place: int, bit: int, number: int
) -> None:
    file = one_segment(tmp_path)
    parts = blocks(file)
    assert len(parts) == 22
    bad = bytearray(parts[number])
    bad[place] ^= 1 << bit
    file.write_bytes(b"".join([*parts[:number], bad, *parts[number + 1 :]]))
    journal = open_journal(file)
    assert len(list(journal.frames())) == number - 1
    assert "holds a damaged block" in journal.damaged
    assert journal.torn == ""


def test_a_file_that_ends_within_its_last_block_is_torn_and_no_damage(tmp_path: Path) -> None:
    file = one_segment(tmp_path)
    whole, last = file.read_bytes(), len(blocks(file)[-1])
    for left in range(1, last):
        file.write_bytes(whole[: len(whole) - last + left])
        journal = open_journal(file)
        assert len(list(journal.frames())) == 20
        assert "ends in half a block" in journal.torn
        assert journal.damaged == ""


def test_a_segment_cut_short_is_damage_where_another_follows(tmp_path: Path) -> None:
    """A crash tears off an end, never the middle."""
    writer = folder(tmp_path, segment_bytes=500).begin(MARKET, 1, 1, b"head")
    for number in range(3):
        writer.append([b"%d" % number + os.urandom(600)])
    cut = Path(writer.name) / "000002.trace"
    cut.write_bytes(cut.read_bytes()[:-1])
    journal = open_journal(Path(writer.name))
    assert [frame[:1] for frame in journal.frames()] == [b"h", b"0"]
    assert "000002.trace holds a damaged block" in journal.damaged
    assert journal.torn == ""


def test_a_segment_of_another_journal_is_not_read_as_one_of_this(tmp_path: Path) -> None:
    names = []
    for epoch, head in ((1, b"one"), (2, b"two")):
        writer = folder(tmp_path, segment_bytes=500).begin(MARKET, epoch, epoch, head)
        for number in range(3):
            writer.append([b"%d" % number + os.urandom(600)])
        names.append(Path(writer.name))
    (names[0] / "000002.trace").write_bytes((names[1] / "000002.trace").read_bytes())
    journal = open_journal(names[0])
    assert [frame[:1] for frame in journal.frames()] == [b"o", b"0"]
    assert journal.damaged == "000002.trace is of another journal"
