"""Which loopback port each embedded service listens on; remembered, so that addresses stay.

The one rule: a port the user demanded is used or refused, never replaced.
"""

import errno
import json
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from desk.errors import ConfigurationFault

LOOPBACK = "127.0.0.1"
# Below the range from which systems take source ports: a client that reconnects to a stopped
# server could otherwise be given the server's own port and talk to itself.
LOWEST, HIGHEST = 15_000, 29_999


@dataclass(frozen=True, slots=True, kw_only=True)
class PortWishes:
    """`demanded` ports must be free; `preferred` ones are taken when free at the first start.

    Keys are `postgres`, `valkey`, `temporal`, `ui`. All others are drawn from `among`: stacks that
    start at the same moment need ranges of their own, for a port is free until its server has it.
    """

    demanded: Mapping[str, int] = field(default_factory=dict)
    preferred: Mapping[str, int] = field(default_factory=dict)
    among: range = range(LOWEST, HIGHEST + 1)


class PortBook:
    """The ports of one data folder, kept in `ports.json`."""

    def __init__(self, path: Path, wishes: PortWishes, rng: random.Random) -> None:
        self._path = path
        self._wishes = wishes
        self._rng = rng
        self._given: dict[str, int] = {}
        self.notes: list[str] = []

    def choose(self, name: str) -> int:
        """A free port for `name`: demanded, else remembered, else preferred, else any.

        Raises ConfigurationFault when a demanded port is taken.
        """
        demanded = self._wishes.demanded.get(name)
        if demanded is not None:
            return self._give(name, self._demanded(name, demanded))
        remembered = self._remembered().get(name)
        if remembered is not None and self._usable(remembered):
            return self._give(name, remembered)
        preferred = self._wishes.preferred.get(name)
        fits = preferred is not None and self._usable(preferred)
        port = preferred if preferred is not None and fits else self._any()
        if remembered is not None:
            self.notes.append(
                f"Port {remembered} of {name} is taken by another program; {name} is on {port} now."
            )
        return self._give(name, port)

    def passing(self) -> int:
        """A free port that nobody has to find again."""
        return self._any()

    def save(self) -> None:
        """Remember what was chosen."""
        merged = self._remembered() | self._given
        self._path.write_text(json.dumps(merged, indent=2, sort_keys=True), encoding="utf-8")

    def _demanded(self, name: str, port: int) -> int:
        if not 1 <= port <= 65_535:
            raise ConfigurationFault(f"Port {port} for {name} does not exist; use 1 to 65535.")
        if not self._usable(port):
            raise ConfigurationFault(
                f"Port {port}, demanded for {name}, is taken by another program; "
                "stop that program or demand another port."
            )
        return port

    def _give(self, name: str, port: int) -> int:
        self._given[name] = port
        return port

    def _usable(self, port: int) -> bool:
        return port not in self._given.values() and is_free(port)

    def _any(self) -> int:
        promised = set(self._remembered().values())
        for _ in range(1_000):
            port = self._rng.choice(self._wishes.among)
            if port not in promised and self._usable(port):
                return port
        lowest, highest = self._wishes.among[0], self._wishes.among[-1]
        raise ConfigurationFault(f"No free port between {lowest} and {highest} on {LOOPBACK}.")

    def _remembered(self) -> dict[str, int]:
        try:
            read = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(read, dict):
            return {}
        return {str(k): v for k, v in read.items() if isinstance(v, int) and 0 < v < 65_536}


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True
