"""`Approved`: the only thing execution accepts, and only `desk/risk/gate.py` makes it.

What was approved goes out at once or not at all: permits end, and a late order outlives them.
"""

from typing import Final, Generic, TypeVar

from desk.orders import Batch
from desk.risk.context import is_exit
from desk.units import NS_PER_MS

T = TypeVar("T")


class _Seal:
    """Held by the gate alone; an architecture test checks that nobody else imports it."""


SEAL: Final = _Seal()


class Approved(Generic[T]):
    """A value that passed every risk gate."""

    __slots__ = ("value",)

    def __init__(self, value: T, *, seal: _Seal) -> None:
        if seal is not SEAL:
            raise TypeError("Approved values are made by desk.risk.gate alone")
        self.value = value

    def __repr__(self) -> str:
        return f"Approved({self.value!r})"


_KEEPS_NS: Final = 500 * NS_PER_MS
"""The margin by which a session stops before its lease of 3 s ends (a sixth of it)."""


def send_by_ns(batch: Batch, now_ns: int) -> int | None:
    """Until when orders of a batch handed over now may leave this process, monotonic nanoseconds.

    None, for ever, where they are all exits: those only take risk away, unless they leave `at_once`
    with others.
    """
    ever = not batch.at_once and all(is_exit(order) for order in batch.orders)
    return None if ever else now_ns + _KEEPS_NS
