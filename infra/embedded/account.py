"""Under which account PostgreSQL runs: it refuses to be root.

The one rule: only our own folder changes hands; the permissions of its parents are never touched.
"""

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from desk.errors import ConfigurationFault

_ACCOUNTS = ("postgres", "nobody")
_USER_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
_PROBE = 'cd "$1" && test -w . && exec "$2" --version'


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAs:
    """How to start a program that must not be root: ids to change to, or words put before it."""

    prefix: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def own(self, path: Path) -> None:
        """Give a file or folder of ours to the account."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)


def choose_account(folder: Path, binary: Path) -> RunAs:
    """Who runs `binary` on `folder` (which exists): ourselves unless we are root.

    As root: the account that owns the folder already, else one that exists and can walk to both;
    else a user namespace. Raises ConfigurationFault when none works.
    """
    if os.geteuid() != 0:
        return RunAs()
    owner = folder.stat().st_uid
    tried = [_account(owner)] if owner else [_named(name) for name in _ACCOUNTS]
    used = any(folder.iterdir())
    if used and not owner:
        tried = []  # its files belong to root: made through a user namespace
    for run_as in tried:
        if run_as is not None and _works(run_as, folder, binary):
            return run_as
    if not owner or not used:
        os.chown(folder, 0, 0)
        inside = RunAs(prefix=_USER_NAMESPACE)
        if sys.platform == "linux" and _works(inside, folder, binary):
            return inside
    raise ConfigurationFault(
        f"PostgreSQL refuses to run as root, and no unprivileged account can reach both {binary} "
        f"and {folder}; run as an ordinary user, choose a --data-dir that others may enter, or "
        "set FLOTILLA_DATABASE_URL to a server of your own."
    )


def _named(name: str) -> RunAs | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return RunAs(user=entry.pw_uid, group=entry.pw_gid)


def _account(uid: int) -> RunAs | None:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return RunAs(user=entry.pw_uid, group=entry.pw_gid)


def _works(run_as: RunAs, folder: Path, binary: Path) -> bool:
    run_as.own(folder)
    try:
        done = subprocess.run(
            [*run_as.prefix, "/bin/sh", "-c", _PROBE, "sh", str(folder), str(binary)],
            cwd="/",
            check=False,
            capture_output=True,
            timeout=20,
            user=run_as.user,
            group=run_as.group,
            extra_groups=None if run_as.user is None else [],
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
