"""A saved state comes back whole or not at all, whatever a crash or a bad disk did to its files."""

import fcntl
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.identity import MarketId
from infra.saved_files import SavedFolder
from infra.trace_files import market_folder
from quoting.saved_state import SAVE_S

MARKET = MarketId("x10", "main", "BTC-USD")
HOUR_MS = 3_600_000
NOW_MS = 1_700_000_000_000


def path(folder: Path, name: str = "state") -> Path:
    return market_folder(folder, MARKET) / name


def newest(states: SavedFolder) -> bytes | None:
    return next((one.content for one in states.load(MARKET)), None)


def aside(folder: Path) -> list[bytes]:
    """What was set aside, the first first."""
    return [one.read_bytes() for one in sorted(path(folder).parent.glob("*.damaged-*"))]


def test_the_newest_comes_back(tmp_path: Path) -> None:
    states = SavedFolder(tmp_path)
    assert newest(states) is None
    for number in range(3):
        states.save(MARKET, b"state %d" % number, NOW_MS + number, 1)
    assert [one.content for one in states.load(MARKET)] == [b"state 2", b"state 0"]
    assert states.load(MarketId("x10", "main", "ETH-USD")) == ()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    SavedFolder(tmp_path).save(MARKET, b"state", NOW_MS, 1)
    assert path(tmp_path).stat().st_mode & 0o077 == 0


def test_a_copy_is_kept_once_an_hour(tmp_path: Path) -> None:
    states = SavedFolder(tmp_path)
    for minutes in (0, 30, 59, 60, 90):
        states.save(MARKET, b"minute %d" % minutes, NOW_MS + minutes * 60_000, 1)
    path(tmp_path).write_bytes(b"nonsense")
    damaged, copy = states.load(MARKET)
    assert copy.content == b"minute 60"
    assert damaged.damaged
    assert damaged.path == str(path(tmp_path)), "and it is said which file was damaged"


@given(content=st.binary(min_size=1, max_size=200), changed=st.booleans(), data=st.data())
def test_a_changed_or_cut_file_is_never_taken_for_whole(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject, *, changed: bool
) -> None:
    folder = tmp_path_factory.mktemp("states")
    states = SavedFolder(folder)
    states.save(MARKET, content, NOW_MS, 1)
    whole = path(folder).read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if changed:
        change = data.draw(st.integers(1, 255))
        spoilt = whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :]
    else:
        spoilt = whole[:place]
    path(folder).write_bytes(spoilt)
    path(folder, "state.hourly").unlink()
    (kept,) = states.load(MARKET)
    assert kept.content == b""
    assert kept.damaged


def test_with_both_damaged_nothing_comes_back(tmp_path: Path) -> None:
    states = SavedFolder(tmp_path)
    states.save(MARKET, b"state", NOW_MS, 1)
    for name in ("state", "state.hourly"):
        path(tmp_path, name).write_bytes(b"")
    assert [bool(one.damaged) for one in states.load(MARKET)] == [True, True]


def test_a_process_out_of_descriptors_finds_nothing_damaged(tmp_path: Path) -> None:
    states = SavedFolder(tmp_path)
    states.save(MARKET, b"state", NOW_MS, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        with pytest.raises(OSError, match="Too many open files"):
            states.load(MARKET)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert newest(states) == b"state"


def test_a_crash_while_saving_leaves_the_state_before(tmp_path: Path) -> None:
    """What `save` had written of the next one when it died is a file nobody reads."""
    states = SavedFolder(tmp_path)
    states.save(MARKET, b"before", NOW_MS, 1)
    path(tmp_path, "state.tmp").write_bytes(b"flotilla-state-1 half of")
    assert newest(states) == b"before"
    states.save(MARKET, b"after", NOW_MS, 1)
    assert newest(states) == b"after"


def test_what_is_set_aside_is_kept_for_a_person(tmp_path: Path) -> None:
    states = SavedFolder(tmp_path)
    states.save(MARKET, b"state", NOW_MS, 1)
    for spoilt in (b"nonsense", b"worse"):
        path(tmp_path).write_bytes(spoilt)
        states.set_aside(MARKET, ["state"], NOW_MS)
    assert [one.name for one in states.load(MARKET)] == ["state.hourly"]
    assert aside(tmp_path) == [b"nonsense", b"worse"]
    states.set_aside(MARKET, ["state"], NOW_MS + 1)


@pytest.mark.parametrize("name", ["state", "state.hourly"])
def test_saving_never_writes_over_what_is_damaged(tmp_path: Path, name: str) -> None:
    states = SavedFolder(tmp_path)
    states.save(MARKET, b"state", NOW_MS, 1)
    path(tmp_path, name).write_bytes(b"nonsense")
    os.utime(path(tmp_path, name), ns=(0, 0))
    states.save(MARKET, b"state", NOW_MS + HOUR_MS, 1)
    assert aside(tmp_path) == [b"nonsense"]
    assert newest(states) == b"state"


def test_who_leaves_late_does_not_write_over_who_came_after(tmp_path: Path) -> None:
    """Two workers of a machine, the second already at work while the first still closes."""
    first, second = SavedFolder(tmp_path), SavedFolder(tmp_path)
    first.save(MARKET, b"epoch 5", NOW_MS, 5)
    second.save(MARKET, b"epoch 6", NOW_MS + HOUR_MS, 6)
    first.save(MARKET, b"epoch 5 left", NOW_MS + 2 * HOUR_MS, 5)
    assert [one.content for one in second.load(MARKET)] == [b"epoch 6", b"epoch 6"]
    second.save(MARKET, b"epoch 6 left", NOW_MS + HOUR_MS + 1, 6)
    assert newest(second) == b"epoch 6 left"


_SAVES = """
import sys
import time
from pathlib import Path
from desk.identity import MarketId
from infra.saved_files import SavedFolder
folder, letter = Path(sys.argv[1]), sys.argv[2].encode()
for number in range(60):
    states = SavedFolder(folder, patience_s=60.0)
    states.save(MarketId("x10", "main", "BTC-USD"), letter * 50_000, number, 1)
"""


def test_processes_that_save_at_once_spoil_nothing(tmp_path: Path) -> None:
    at_work = [subprocess.Popen([sys.executable, "-c", _SAVES, tmp_path, one]) for one in "AB"]
    states, seen = SavedFolder(tmp_path), set[bytes]()
    while any(one.poll() is None for one in at_work):
        for copy in states.load(MARKET):
            assert not copy.damaged
            seen.add(copy.content)
    assert [one.returncode for one in at_work] == [0, 0]
    assert seen <= {b"A" * 50_000, b"B" * 50_000}
    assert aside(tmp_path) == []


def test_a_folder_that_a_stopped_process_holds_is_given_up_before_the_next_save_is_due(
    tmp_path: Path,
) -> None:
    """All markets of a worker save in one thread: one that cannot must not take all of it."""
    states = SavedFolder(tmp_path)
    states.save(MARKET, b"before", NOW_MS, 1)
    file = os.open(path(tmp_path).parent, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        began = time.monotonic()
        with pytest.raises(OSError, match="held by another process"):
            states.save(MARKET, b"after", NOW_MS, 1)
        assert time.monotonic() - began < SAVE_S / 2
        assert newest(states) == b"before", "reading needs nobody"
    finally:
        os.close(file)


def test_a_folder_that_another_process_holds_is_told_and_not_waited_for(tmp_path: Path) -> None:
    states = SavedFolder(tmp_path, patience_s=0.1)
    states.save(MARKET, b"before", NOW_MS, 1)
    file = os.open(path(tmp_path).parent, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="held by another process"):
            states.save(MARKET, b"after", NOW_MS, 1)
    finally:
        os.close(file)
    states.save(MARKET, b"after", NOW_MS, 1)
    assert newest(states) == b"after"


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "x10").write_text("in the way")
    with pytest.raises(OSError, match=r"x10"):
        SavedFolder(tmp_path).save(MARKET, b"state", NOW_MS, 1)
