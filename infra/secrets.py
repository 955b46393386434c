"""Secrets on disk: readable by their owner alone, or refused.

The one rule: no secret ever reaches a message; faults name the file and the remedy.
"""

import os
import secrets
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from desk.errors import ConfigurationFault

_ASK_S = 30


def read_secret(path: Path, name: str) -> str:
    """Text of a 0600 file without the closing newline.

    Raises ConfigurationFault, naming `name`, when the file is missing, unreadable, empty or open
    to its group or to others.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise ConfigurationFault(
            f"{name} points to {path}, which does not exist; create it with mode 0600."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigurationFault(
            f"{name} points to {path}, which cannot be read ({reason}); "
            "make it a text file that this account owns, with mode 0600."
        ) from None
    if mode & 0o077:
        raise ConfigurationFault(
            f"{name} points to {path}, which other accounts can open; run: chmod 600 {path}"
        )
    if not text:
        raise ConfigurationFault(f"{name} points to {path}, which is empty; put the secret in it.")
    return text


def ask_for_secret(command: str, name: str) -> str:
    """What a secrets manager's own command prints (`pass show zo/wallet`), asked once.

    Raises ConfigurationFault, naming `name`, when it fails, says nothing, or takes over 30 s; what
    it printed is never repeated.
    """
    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, timeout=_ASK_S, check=True
        )
        said = done.stdout.strip()
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ConfigurationFault(
            f"{name}: its command gave no secret ({type(error).__name__}); run it by hand, "
            "and correct it until it prints the secret alone."
        ) from None
    if not said:
        raise ConfigurationFault(f"{name}: its command printed nothing; correct the command.")
    return said


def read_or_create_secret(
    path: Path, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(24)
) -> str:
    """The secret in `path`; a new random one (url-safe, 192 bits) when the file does not exist."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        write_private(path, make())
    return read_secret(path, name)


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in one step: readers see the old text or the new, never half."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
