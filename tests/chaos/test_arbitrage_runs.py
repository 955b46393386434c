"""Random faults of arbitrage trades: each run is one set, many on one ground, struck together.

FLOTILLA_ARB_RUNS sets how many, FLOTILLA_ARB_SEED which; a run that fails names the one command
that repeats its batch. FLOTILLA_ARB_REPORT names a file that every run is added to, as JSON.
"""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.arbitrage_batch import Judged, lived
from tests.chaos.arbitrage_plan import batch_of
from tests.support.services import Services

pytestmark = pytest.mark.timeout(900)

_A_BATCH: Final = 20
_RUNS: Final = int(os.environ.get("FLOTILLA_ARB_RUNS", "20"))
_SEED: Final = int(os.environ.get("FLOTILLA_ARB_SEED", "1"))
_REPORT: Final = os.environ.get("FLOTILLA_ARB_REPORT")


@pytest.mark.parametrize("number", range(-(-_RUNS // _A_BATCH)))
async def test_batch(ground: Services, tmp_path: Path, number: int) -> None:
    first = number * _A_BATCH
    print(f"seed {_SEED}, batch {number}: runs {first} to {first + _A_BATCH - 1}")  # noqa: T201
    began_s = time.monotonic()
    batch = batch_of(_SEED, number, first, _A_BATCH)
    judged = await lived(ground, tmp_path, batch)
    took_s = time.monotonic() - began_s
    _report(number, judged, took_s)
    for one in judged:
        print(f"run {one.run}: {one.trades} trades, {one.longest_s:.1f} s; {one.what}")  # noqa: T201
    traded = sum(one.trades > 0 for one in judged)
    assert traded >= len(judged) // 2, "most sets never traded: this proves nothing"
    failed = [_sentence(number, one) for one in judged if one.breaches]
    assert not failed, "\n".join(failed)


def _sentence(number: int, one: Judged) -> str:
    again = (
        f"FLOTILLA_ARB_SEED={_SEED} FLOTILLA_ARB_RUNS={(number + 1) * _A_BATCH} "
        f"pytest 'tests/chaos/test_arbitrage_runs.py::test_batch[{number}]'"
    )
    said = "; ".join(one.breaches)
    return f"run {one.run} ({one.name}, {one.what}): {said}. Again: {again}"


def _report(number: int, judged: list[Judged], took_s: float) -> None:
    if _REPORT is None:
        return
    with Path(_REPORT).open("a", encoding="utf-8") as out:
        for one in judged:
            told = {"seed": _SEED, "batch": number, "took_s": round(took_s, 1), **asdict(one)}
            out.write(json.dumps(told) + "\n")
