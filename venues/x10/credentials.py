"""The headers every request and every upgrade carries (x10.md section 3).

The API key is held here alone; what holds these headers shows nothing of it.
"""

from collections.abc import Mapping, Sequence

from venues._transport.http import encode_headers
from venues.x10.config import X10Config


class Credentials:
    """Headers of one account, made once."""

    __slots__ = ("_agent", "_block", "_pairs")

    def __init__(self, config: X10Config) -> None:
        self._agent = ("User-Agent", config.user_agent)
        self._pairs = [("X-Api-Key", config.api_key.reveal()), self._agent]
        kinds = [("Content-Type", "application/json"), ("Accept", "application/json")]
        self._block = encode_headers([*self._pairs, *kinds])

    @property
    def public(self) -> Sequence[tuple[str, str]]:
        """For public streams: who we are, without the key."""
        return [self._agent]

    @property
    def private(self) -> Sequence[tuple[str, str]]:
        """For the account stream."""
        return self._pairs

    @property
    def block(self) -> bytes:
        """For calls of the fast transport."""
        return self._block

    @property
    def mapping(self) -> Mapping[str, str]:
        """For reads."""
        return dict([*self._pairs, ("Accept", "application/json")])
