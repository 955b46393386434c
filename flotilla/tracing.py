"""Decision traces as this program keeps them: where they lie, and which code decided.

The rule: the code is named by its content, so that a journal says whether the same code replays it.
"""

from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import structlog

from desk.identity import MarketId
from desk.ports import Clock
from desk.trace_ports import SampleBook
from infra.settings import Settings
from infra.trace_files import TraceFolder, market_folder
from quoting.trace import Traces

_DECIDING: Final = ("desk", "quoting")
_DIGITS: Final = 12


def traces_folder(settings: Settings) -> Path:
    """Where journals lie."""
    return settings.data_dir / "traces"


def market_traces(settings: Settings, market: MarketId) -> Path:
    """Where one market's journals lie, a folder a session."""
    return market_folder(traces_folder(settings), market)


def open_traces(settings: Settings, clock: Clock, samples: SampleBook, owner: str) -> Traces:
    """Traces of this process, as its settings ask for; `run` of them must be running."""
    if settings.trace == "off":
        return Traces()
    files = TraceFolder(
        traces_folder(settings),
        keep_segments=settings.trace_segments,
        keep_days=settings.trace_days,
        wall_ns=clock.wall_ns,
    )
    return Traces(
        files=files,
        samples=samples,
        clock=clock,
        code=code_version(),
        owner=owner,
        sample_every=settings.trace_sample,
        tell=structlog.get_logger("flotilla.traces").warning,
    )


@cache
def code_version() -> str:
    """The program's version and a digest of every file that takes part in a decision."""
    digest = sha256()
    for name in _DECIDING:
        spec = find_spec(name)
        folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(file.read_bytes())
    try:
        number = version("flotilla")
    except PackageNotFoundError:
        number = "unversioned"
    return f"{number}+{digest.hexdigest()[:_DIGITS]}"
