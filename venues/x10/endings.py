"""Which of our orders the account stream has told the end of, and who waits to hear it.

The end may be told before the answer to the call that caused it (x10.md section 21, 11).
"""

import asyncio
from collections.abc import Iterable

_REMEMBERED = 20_000


class Endings:
    """External ids of orders that certainly rest no more."""

    def __init__(self) -> None:
        self._ended: dict[str, None] = {}
        self._news = asyncio.Event()

    def ended(self, name: str) -> None:
        """The stream said that this order is over."""
        self._ended[name] = None
        if len(self._ended) > _REMEMBERED:
            self._ended.pop(next(iter(self._ended)))
        # Whoever waits holds the old event, which is set once and then forgotten.
        self._news.set()
        self._news = asyncio.Event()

    async def all_within(self, names: Iterable[str], wait_s: float) -> bool:
        """Whether the end of all of them was told, now or within so many seconds."""
        missing = set(names)
        try:
            async with asyncio.timeout(wait_s):
                while missing := {name for name in missing if name not in self._ended}:
                    await self._news.wait()
        except TimeoutError:
            return False
        return True
