"""`Approved`: the only thing execution accepts, and only `desk/risk/gate.py` makes it."""

from typing import Final, Generic, TypeVar

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
