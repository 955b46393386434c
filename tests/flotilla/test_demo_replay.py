"""An incident of the demo, recorded by its worker, replays to identical decisions."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.flotilla.test_cli import complaint, flotilla

# It runs a whole demo: minutes of processor time are no matter of every run of the tests.
pytestmark = [pytest.mark.services, pytest.mark.chaos]

_SECONDS = int(os.environ.get("FLOTILLA_DEMO_SECONDS", "14"))


def demo(folder: Path, *options: str) -> dict[str, object]:
    """The document of a demo that ran in a folder of its own."""
    told = folder / "demo.json"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FLOTILLA_")}
    done = subprocess.run(
        [sys.executable, "-m", "flotilla", "demo", "--json", str(told), *options],
        capture_output=True,
        text=True,
        timeout=_SECONDS + 200,
        check=False,
        cwd=folder,
        env={**clean, "FLOTILLA_DATA_DIR": str(folder / "data")},
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "flotilla replay " in done.stderr
    document: dict[str, object] = json.loads(told.read_text())
    return document


@pytest.mark.timeout(_SECONDS + 300)
def test_an_incident_of_the_demo_replays_to_identical_decisions() -> None:
    # Not under tmp_path: the database's own account cannot walk through pytest's private folders.
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        options = ("--duration", str(_SECONDS), "--drawdown-at", str(_SECONDS // 2), "--seed", "5")
        told = demo(folder, "--venue", "ocx", "--markets", "1", *options)
        traces = Path(told["services"]["traces"])  # type: ignore[index]
        sessions = sorted(traces.glob("*/*/*/*"))
        assert sessions
        decisions = 0
        for session in sessions:
            done = flotilla("replay", str(session), "--json", folder=folder)
            assert done.returncode == 0, done.stderr
            verdict = json.loads(done.stdout)
            assert (verdict["identical"], verdict["short"]) == (True, "")
            decisions += verdict["decisions"]
        assert decisions > 3, told
        changed = flotilla("replay", str(sessions[0]), "--set", "level_notional=444", folder=folder)
        assert changed.returncode == 1
        assert "DIFFERS at step" in changed.stderr
        assert complaint(changed).startswith("  replayed: ")
