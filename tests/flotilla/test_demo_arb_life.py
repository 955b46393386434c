"""The demo of arbitrage shows what it promises, and leaves nothing behind when it is stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

pytestmark = pytest.mark.services

_LONGEST_S = 280


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not under tmp_path: the database's own account cannot walk through pytest's private folders.
    with TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


def begun(folder: Path, *options: str) -> subprocess.Popen[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FLOTILLA_")}
    told = ("--json", str(folder / "demo.json"))
    with (folder / "stderr").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "flotilla", "demo", "--arb", *told, *options],
            stdout=subprocess.DEVNULL,
            stderr=said,
            text=True,
            cwd=folder,
            env={**clean, "FLOTILLA_DATA_DIR": str(folder / "data")},
        )


def ended(folder: Path, demo: "subprocess.Popen[str]") -> tuple[int, dict[str, Any], str]:
    """Exit code, the document, and what was said."""
    try:
        code = demo.wait(timeout=_LONGEST_S)
    finally:
        demo.kill()
        demo.wait()
    said = (folder / "stderr").read_text()
    assert "Traceback" not in said
    document: dict[str, Any] = json.loads((folder / "demo.json").read_text())
    return code, document, said


@pytest.mark.timeout(_LONGEST_S + 60)
def test_a_set_is_taken_a_missed_leg_hedged_and_a_stale_leg_refused(folder: Path) -> None:
    code, told, said = ended(folder, begun(folder, "--seed", "5"))
    assert (code, told["ok"], told["failures"]) == (0, True, []), (told, said[-3_000:])
    whole, missed, stale = told["sets"]
    assert [one["happened"] for one in told["sets"]] == [True, True, True]
    assert Decimal(whole["final"]["complete"]) > 0
    assert all(Decimal(trade["edge"]) > 0 for trade in whole["trades"])
    assert any("hedging" in trade["stages"] for trade in missed["trades"])
    assert stale["trades"] == []
    for one in told["sets"]:
        legs = one["final"]["legs"]
        assert len({leg["venue_position"] for leg in legs}) == 1, one
        assert {leg["venue_open_orders"] for leg in legs} == {0}
        assert one["states"][-1]["state"] == "stopped"
    assert list((folder / "data" / "secrets").glob("ocx-demo*")) == []


@pytest.mark.timeout(_LONGEST_S + 60)
def test_stopped_before_its_end_it_stops_every_set_and_says_what_was_not_shown(
    folder: Path,
) -> None:
    demo = begun(folder, "--seed", "5")
    give_up = time.monotonic() + _LONGEST_S
    while "whole: " not in (folder / "stderr").read_text() and demo.poll() is None:
        assert time.monotonic() < give_up
        time.sleep(0.1)
    demo.send_signal(signal.SIGINT)
    code, told, said = ended(folder, demo)
    assert (code, told["ok"], told["failures"]) == (1, False, []), (told, said[-3_000:])
    assert [one["states"][-1]["state"] for one in told["sets"]] == ["stopped"] * 3
    stale = told["sets"][2]
    assert not stale["happened"]
    assert stale["troubles"] == ["not shown: the demo ended before"]
    for one in told["sets"]:
        assert [trouble for trouble in one["troubles"] if "not shown" not in trouble] == []
