"""The kill file stops this machine, and so does a disk that cannot say."""

from pathlib import Path

from infra.kill_file import StateKillFile


def test_absent_present_and_absent_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "KILL"
    kill_file = StateKillFile(path)
    assert not kill_file.present()
    assert kill_file.reason() == ""
    path.parent.mkdir()
    assert not kill_file.present()
    path.write_text("drill by ann\n")
    assert kill_file.present()
    assert kill_file.reason() == "drill by ann"
    path.unlink()
    assert not kill_file.present()


def test_an_empty_file_and_a_dangling_link_count(tmp_path: Path) -> None:
    (tmp_path / "KILL").touch()
    assert StateKillFile(tmp_path / "KILL").present()
    (tmp_path / "LINK").symlink_to(tmp_path / "nowhere")
    assert StateKillFile(tmp_path / "LINK").present()


def test_what_cannot_be_checked_counts_as_present(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    kill_file = StateKillFile(tmp_path / "state" / "KILL")
    assert kill_file.present()
    assert "cannot be read" in kill_file.reason()
    assert StateKillFile(tmp_path / ("x" * 300)).present()


def test_a_long_reason_is_cut(tmp_path: Path) -> None:
    (tmp_path / "KILL").write_text("x" * 5_000)
    assert len(StateKillFile(tmp_path / "KILL").reason()) == 1_000


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    kill_file = StateKillFile(tmp_path / "state" / "KILL")
    assert kill_file.write("first")
    assert not kill_file.write("second")
    assert kill_file.reason() == "first"
