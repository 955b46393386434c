"""The spool loses nothing to processes that died, or that share its folder."""

from pathlib import Path

from infra.postgres.spool import Spool
from tests.infra.postgres.samples import seen, sent


def test_what_a_dead_process_left_half_written_spoils_no_record_of_the_next(
    tmp_path: Path,
) -> None:
    (tmp_path / "worker-000001.part").write_bytes(b'{"kind": "FillSeen", "rec')
    spool = Spool(tmp_path, name="worker")
    spool.keep([seen(1), seen(2)])
    (found,) = spool.waiting()
    assert (found.records, found.unreadable) == ((seen(1), seen(2)), 0)


def test_a_file_kept_later_under_the_same_name_is_not_removed_for_the_earlier_one(
    tmp_path: Path,
) -> None:
    dying, fast, slow = (Spool(tmp_path, name=name) for name in ("worker", "fast", "slow"))
    dying.keep([seen(1)])
    (of_fast,), (of_slow,) = fast.waiting(), slow.waiting()
    fast.done(of_fast)
    again = dying.keep([sent(2)])
    assert again == of_slow.path, "the name is free again"
    slow.done(of_slow)
    (left,) = slow.waiting()
    assert left.records == (sent(2),)
    slow.done(left)
    assert slow.waiting() == ()
