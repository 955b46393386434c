"""`state/KILL` on this machine: the brake that needs no service.

The rule: only a certain "no such file" releases it; whatever else the disk says means stop.
"""

import os
from pathlib import Path
from typing import Final

_LONGEST_REASON: Final = 1_000


class StateKillFile:
    """The KillFile at one path, usually `state/KILL`. Asking costs one system call."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def present(self) -> bool:
        """Whether the file exists (a dangling link too), or cannot be checked."""
        try:
            os.lstat(self._path)
        except FileNotFoundError:
            return False
        except (OSError, ValueError):
            return True
        return True

    def since_ms(self) -> int | None:
        """When the file last changed, unix milliseconds; None when absent or unreadable."""
        try:
            return os.lstat(self._path).st_mtime_ns // 1_000_000
        except (OSError, ValueError):
            return None

    def write(self, reason: str) -> bool:
        """Make the file, with this in it; False when one is there already, which is left alone.

        OSError when the disk refuses.
        """
        path = Path(self._path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(reason + "\n")
        except FileExistsError:
            return False
        return True

    def reason(self) -> str:
        """What the file says, at most 1000 characters; empty when absent or empty."""
        try:
            with Path(self._path).open(encoding="utf-8", errors="replace") as file:
                return file.read(_LONGEST_REASON).strip()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            return f"{self._path} cannot be read: {error}"
