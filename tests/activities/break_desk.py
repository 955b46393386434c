"""What tests of breaks do to a desk: find one, die between two steps, look at every copy."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from activities.ports import ActivityPorts
from desk.breaks import BreakKind, FoundBreak
from desk.errors import Unavailable
from desk.records import Kill
from desk.units import NS_PER_MS
from quoting.gates import Gates
from tests.activities.conftest import MARKET


def found(
    ports: ActivityPorts,
    kind: BreakKind = BreakKind.POSITION,
    symbol: str | None = MARKET.symbol,
    **changes: Any,
) -> FoundBreak:
    """A difference found this moment."""
    difference = FoundBreak(
        venue=MARKET.venue,
        account=MARKET.account,
        symbol=symbol,
        kind=kind,
        text="ledger has 0 lots, the venue 5",
        ours='{"position": "0"}',
        theirs='{"position": "0.005"}',
        found_by="a test",
        found_at_ms=ports.clock.wall_ns() // NS_PER_MS,
    )
    return replace(difference, **changes)


class Dies:
    """A port whose method `at` dies once, before or after it did its work."""

    def __init__(self, inner: Any, at: str, *, after: bool) -> None:
        self._inner = inner
        self._at = at
        self._after = after
        self.died = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name != self._at:
            return method

        async def dying(*given: Any, **named: Any) -> Any:
            if self.died:
                return await method(*given, **named)
            self.died = True
            if self._after:
                await method(*given, **named)
            raise Unavailable(f"died at {name}")

        return dying


class Interrupted:
    """A port around one call of whose method `at` something happens, once: before or after it."""

    def __init__(
        self, inner: Any, at: str, happens: Callable[[], Awaitable[object]], *, after: bool
    ) -> None:
        self._inner = inner
        self._at = at
        self._happens = happens
        self._after = after
        self.happened = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name != self._at:
            return method

        async def interrupted(*given: Any, **named: Any) -> Any:
            due, self.happened = not self.happened, True
            if due and not self._after:
                await self._happens()
            answer = await method(*given, **named)
            if due and self._after:
                await self._happens()
            return answer

        return interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What each copy says of the holds of one market."""

    record: tuple[Kill, ...]
    board: tuple[Kill, ...]
    open: int

    @property
    def closed(self) -> bool:
        """All say that the gate is closed."""
        return bool(self.open and self.record) and self.record == self.board

    @property
    def opened(self) -> bool:
        """All say that it is open."""
        return not (self.open or self.record or self.board)


async def copies(ports: ActivityPorts) -> Copies:
    """Read the record, the board and the open breaks."""
    await ports.board.rearm(())
    return Copies(
        record=tuple(kill for kill in await ports.ledger.active_kills() if kill.covers(MARKET)),
        board=await ports.board.kills(MARKET),
        open=len(await ports.breaks.standing(MARKET.venue, MARKET.account)),
    )


def another_process(ports: ActivityPorts) -> ActivityPorts:
    """The same services, seen by a process that has heard nothing."""
    return replace(ports, gates=Gates())


def dying_at(ports: ActivityPorts, port: str, step: str, *, after: bool) -> ActivityPorts:
    """The same ports, one of which dies at one step."""
    dies: dict[str, Any] = {port: Dies(getattr(ports, port), step, after=after)}
    return replace(ports, **dies)


def interrupted_at(
    ports: ActivityPorts,
    port: str,
    step: str,
    happens: Callable[[], Awaitable[object]],
    *,
    after: bool,
) -> tuple[ActivityPorts, Interrupted]:
    """The same ports, with something that happens around one step; and whether it did."""
    interrupted = Interrupted(getattr(ports, port), step, happens, after=after)
    changed: dict[str, Any] = {port: interrupted}
    return replace(ports, **changed), interrupted
