"""Python loads this first in a process whose PYTHONPATH names this folder: its wall clock steps.

The clock is as many seconds off as the file says that STEPPED_CLOCK names; nothing else changes.
"""

import os
import time
from pathlib import Path

from desk.units import NS_PER_S
from infra.clock import SystemClock

_SAID = Path(os.environ["STEPPED_CLOCK"])


def _stepped_ns(self: SystemClock) -> int:
    return time.time_ns() + int(_SAID.read_text()) * NS_PER_S


# The only place from which decisions get time, and so all of this process' clock that they see.
SystemClock.wall_ns = _stepped_ns  # type: ignore[method-assign]
