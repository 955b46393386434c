"""Cancelling, on connections of its own that no order can keep busy.

The venue has no cancel-all (zo.md section 4.4): list, cancel in atomics, list again until nothing
is left. An error in one atomic stops no other; a lost answer is told although nothing is left.
"""

import asyncio
from collections.abc import Sequence

from desk.errors import NotSent, Refused, Unresolved, VenueError
from desk.orders import CancelOutcome, RejectReason
from desk.ports import Clock
from desk.units import NS_PER_S
from venues.zo.access import Access, Pass
from venues.zo.account import ZoAccount
from venues.zo.actions import Actions
from venues.zo.config import ZoConfig
from venues.zo.engine_clock import EngineClock
from venues.zo.errors import engine_error, raise_engine_error
from venues.zo.known_orders import KnownOrders
from venues.zo.limits import Limits
from venues.zo.schema import nord_pb2 as pb
from venues.zo.signing import sign_as_session
from venues.zo.wire import atomic, cancel_by_client_id, cancel_by_id, signed

_AT_ONCE = 8
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 1.0
_HOPELESS = frozenset({RejectReason.RATE_LIMITED, RejectReason.FORBIDDEN})
_FOR_ALL_ALIKE = _HOPELESS | {RejectReason.AUTH, RejectReason.HALTED}
# zo.md section 7
_MARKET_STOPPED = frozenset(
    {pb.Error.MARKET_NOT_READY, pb.Error.MARKET_FROZEN, pb.Error.MARKET_EMPTY}
)


class _MarketStopped(Refused):
    """A market named in the action is stopped, which says nothing of its orders elsewhere."""


class Cancels:
    """Every method raises Refused, NotSent or Unresolved."""

    def __init__(
        self,
        *,
        config: ZoConfig,
        access: Access,
        actions: Actions,
        account: ZoAccount,
        engine: EngineClock,
        known: KnownOrders,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._size = config.max_subactions
        self._give_up_s = config.cancel_all_s
        self._access = access
        self._actions = actions
        self._account = account
        self._engine = engine
        self._known = known
        self._limits = limits
        self._clock = clock

    async def everything(self, market_id: int | None) -> CancelOutcome:
        """Cancel what rests on a market, or on all, until the venue lists nothing."""
        deadline_ns = self._clock.monotonic_ns() + int(self._give_up_s * NS_PER_S)
        cancelled, wait_s = 0, _FIRST_WAIT_S
        unresolved: VenueError | None = None
        while left := await self._listed(market_id):
            done, errors = await self._round(left)
            cancelled += done
            unresolved = next((one for one in errors if isinstance(one, Unresolved)), unresolved)
            _raise_if_hopeless(errors)
            if errors:
                if self._clock.monotonic_ns() >= deadline_ns:
                    raise errors[0]
                await asyncio.sleep(wait_s)
                wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
            elif self._clock.monotonic_ns() >= deadline_ns:
                raise Unresolved(f"cancel-all: {len(left)} orders were still listed at the end")
        if unresolved is not None:
            raise unresolved
        return CancelOutcome(confirmed=True, cancelled=cancelled)

    async def one(self, order_id: int | None, number: int | None) -> CancelOutcome:
        """Cancel one order, by the engine's id or by ours; unknown ones count as confirmed."""
        leave = await self._access.ready_to_cancel()
        stamp, grant = self._engine.stamp(), leave.grant
        if order_id is not None:
            action = cancel_by_id(
                stamp,
                session_id=grant.session_id,
                account_id=leave.account_id,
                order_id=order_id,
            )
        elif number is not None:
            action = cancel_by_client_id(
                stamp,
                session_id=grant.session_id,
                account_id=leave.account_id,
                client_id=number,
            )
        else:
            raise ValueError("neither of the two ids is given")
        try:
            await self._execute("cancel", action, leave)
        except Refused as refusal:
            if refusal.reason is not RejectReason.UNKNOWN_ORDER:
                raise
            return CancelOutcome(confirmed=True, cancelled=0, message=refusal.message)
        return CancelOutcome(confirmed=True, cancelled=1)

    async def _listed(self, market_id: int | None) -> list[int]:
        told = await self._account.read()
        return [
            int(one.order_id)
            for one in told.orders
            if market_id is None or one.market_id == market_id
        ]

    async def _round(self, order_ids: Sequence[int]) -> tuple[int, list[VenueError]]:
        """Cancel all of these once; how many were confirmed, and every error."""
        leave = await self._access.ready_to_cancel()
        turn = asyncio.Semaphore(_AT_ONCE)
        chunks = [
            order_ids[start : start + self._size] for start in range(0, len(order_ids), self._size)
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._chunk(leave, chunk, turn)) for chunk in chunks]
        done, errors = 0, []
        for task in tasks:
            confirmed, failures = task.result()
            done += confirmed
            errors += failures
        return done, errors

    async def _chunk(
        self, leave: Pass, order_ids: Sequence[int], turn: asyncio.Semaphore
    ) -> tuple[int, list[VenueError]]:
        async with turn:
            try:
                await self._atomic(leave, order_ids)
            except Refused as refusal:
                one_market = isinstance(refusal, _MarketStopped)
                if refusal.reason in _FOR_ALL_ALIKE and not one_market:
                    return 0, [refusal]
                return await self._singly(order_ids)
            except (NotSent, Unresolved) as error:
                return 0, [error]
            return len(order_ids), []

    async def _atomic(self, leave: Pass, order_ids: Sequence[int]) -> None:
        self._limits.overdraw(cancels=len(order_ids))
        action = atomic(
            self._engine.stamp(),
            session_id=leave.grant.session_id,
            account_id=leave.account_id,
            cancels=order_ids,
            places=(),
        )
        await self._execute("cancel-all", action, leave)
        for order_id in order_ids:
            self._known.ended(order_id, None)

    async def _singly(self, order_ids: Sequence[int]) -> tuple[int, list[VenueError]]:
        """One of them is gone, or refused for itself: each gets its own chance."""
        done, errors = 0, list[VenueError]()
        for order_id in order_ids:
            self._limits.overdraw(cancels=1)
            try:
                done += (await self.one(order_id, None)).cancelled or 0
            except (Refused, NotSent, Unresolved) as error:
                errors.append(error)
        return done, errors

    async def _execute(self, label: str, action: pb.Action, leave: Pass) -> pb.Receipt:
        key = leave.grant.key
        receipt = await self._actions.exchange(
            label, signed(action, lambda raw: sign_as_session(key, raw))
        )
        schema = self._access.schema
        error = engine_error(receipt, None if schema is None else schema.error_names)
        self._access.heard(leave.grant, error)
        if error is not None:
            if error.code in _MARKET_STOPPED:
                raise _MarketStopped(error.reason, f"{label}: {error.message}")
            raise_engine_error(label, error)
        return receipt


def _raise_if_hopeless(errors: Sequence[VenueError]) -> None:
    for error in errors:
        if isinstance(error, Refused) and error.reason in _HOPELESS:
            raise error
