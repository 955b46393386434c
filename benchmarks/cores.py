"""Keeps the exchange off the core that quotes: in life the venue is another machine.

Without this the kernel often wakes the exchange on the quoting core, inside the very `write` that
is being timed, and the venue's work counts as ours.
"""

import os


def split() -> tuple[set[int], set[int]]:
    """Cores for quoting and for the exchange; twice all of them where there is no choice."""
    if not hasattr(os, "sched_getaffinity"):
        return set(), set()
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        return cores, cores
    last = max(cores)
    return cores - {last}, {last}


def keep_to(cores: set[int]) -> None:
    """Run this process, and children it starts from now on, on these cores."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
