"""An emergency reads what it needs, and trips over nothing else."""

from pathlib import Path

import pytest

from desk.errors import ConfigurationFault
from infra.bare_settings import bare_state_dir, bare_venue, configured_keys


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One venue in order, one with a missing key file, and a service nobody can reach."""
    monkeypatch.setenv("FLOTILLA_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("FLOTILLA_DATABASE_URL", "nonsense")
    monkeypatch.setenv("FLOTILLA_VENUE_OCX__API_KEY", "a-key")
    monkeypatch.setenv("FLOTILLA_VENUE_OCX__DESK2__SESSION_JWT", "a-token")
    monkeypatch.setenv("FLOTILLA_VENUE_ZO__WALLET_KEY_FILE", str(tmp_path / "missing"))


def test_the_state_folder_is_told_from_the_root(tmp_path: Path) -> None:
    assert bare_state_dir() == tmp_path / "state"


def test_a_venue_is_read_by_itself() -> None:
    given = bare_venue("ocx")
    assert given.secrets == {"api_key": "a-key", "desk2__session_jwt": "a-token"}
    assert bare_venue("x10").secrets == {}
    with pytest.raises(ConfigurationFault, match="does not exist"):
        bare_venue("zo")


def test_names_of_settings_are_told_without_reading_a_secret() -> None:
    found = configured_keys()
    assert set(found["ocx"]) == {"api_key", "desk2__session_jwt"}
    assert found["zo"] == ("wallet_key_file",)
