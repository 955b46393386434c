"""The one user stream of an account: fills and positions of all markets.

It carries no order events; what rests is known from answers and from listing.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from desk.ports import Clock
from desk.units import NS_PER_S
from venues._transport.backoff import Backoff
from venues._transport.sse import StreamEnded, StreamRefused, stream
from venues.ocx.config import OcxConfig
from venues.ocx.session import Credential, Session
from venues.ocx.streams import KeptStream, Numbering, raise_stream_error
from venues.ocx.wire import WireUser, decode_user_event, event_kind

_ENDPOINT = "user_stream"
_SNAPSHOT_WAIT_S = 5.0


class UserStream:
    """Feeds `on_snapshot`, `on_change`, `on_alive` and `on_lost(reason)` until cancelled."""

    def __init__(
        self,
        *,
        config: OcxConfig,
        session: Session,
        clock: Clock,
        backoff: Backoff,
        on_snapshot: Callable[[WireUser], None],
        on_change: Callable[[WireUser], None],
        on_alive: Callable[[], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._config = config
        self._session = session
        self._on_snapshot = on_snapshot
        self._on_change = on_change
        self._on_alive = on_alive
        self._numbering = Numbering()
        self._clock = clock
        self._has_snapshot = False
        self._opened_ns = 0
        self._path = f"{config.paths[_ENDPOINT]}?" + urlencode(
            {"openOnly": "true", "intervalMs": config.user_interval_ms}
        )
        self._kept = KeptStream(connect=self._connect, lost=on_lost, backoff=backoff, clock=clock)

    async def run(self) -> None:
        """Never returns."""
        await self._kept.run()

    async def _connect(self) -> None:
        kind = await self._session.ready(_ENDPOINT)
        try:
            await self._live(kind)
        except StreamRefused as refusal:
            other = await self._session.second(_ENDPOINT, kind, refusal.status)
            if other is None:
                raise
            await self._live(other)

    async def _live(self, kind: Credential) -> None:
        self._numbering = Numbering()
        self._has_snapshot = False
        self._opened_ns = self._clock.monotonic_ns()
        await stream(
            self._config.base_url,
            self._path,
            headers=self._session.pairs(kind),
            on_event=self._event,
            on_comment=self._comment,
            on_open=lambda: self._session.worked(_ENDPOINT, kind),
            idle_timeout_s=self._config.heartbeat_timeout_s,
        )

    def _comment(self, _text: str) -> None:
        self._sign_of_life()

    def _sign_of_life(self) -> None:
        """A connection that lives without ever giving its snapshot is of no use."""
        waited_ns = self._clock.monotonic_ns() - self._opened_ns
        if not self._has_snapshot and waited_ns > _SNAPSHOT_WAIT_S * NS_PER_S:
            raise StreamEnded("no snapshot came")
        self._on_alive()

    def _event(self, name: str, data: bytes, _id: str | None) -> None:
        if name == "error":
            raise_stream_error(data)
        event = decode_user_event(data)
        kind = event_kind(name, event.event_type)
        if kind == "error":
            raise_stream_error(data)
        if not self._numbering.is_new(event.event_seq) or not kind:
            self._sign_of_life()
        elif kind == "snapshot":
            self._has_snapshot = True
            self._on_snapshot(event.payload)
        elif self._has_snapshot:
            self._on_change(event.payload)
        else:
            raise StreamEnded("a change came before the first snapshot")
