"""Logs of one process: JSON lines in a rotating file, readable lines on stderr.

The one rule: no secret leaves the process in a log line, and stdout belongs to data.
"""

import logging
import logging.handlers
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from desk.errors import ConfigurationFault

_FILE_BYTES = 10_000_000
_FILES = 5
_HIDDEN = "[hidden]"
_SECRET_KEYS = re.compile(
    r"password|passphrase|secret|api_?key|private_?key|mnemonic|(^|_)token|authorization|signature",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@")
_SHORTEST_SECRET = 6
_TALKATIVE = ("asyncio", "httpx", "httpcore", "aiohttp.access", "opentelemetry", "alembic")


def set_up_logging(
    *,
    level: str,
    folder: Path | None,
    process: str,
    secrets: Iterable[str] = (),
    console: TextIO | None = None,
) -> None:
    """Send everything structlog and the standard library log to `folder`/`process`.log and stderr.

    `level` is debug, info, warning or error; `folder` None means no file; `secrets` are values
    that must never appear; `console` replaces stderr. Repeating replaces what was set up before.
    Raises ConfigurationFault when the folder cannot be written.
    """
    stream = sys.stderr if console is None else console
    hide = SecretFilter(secrets)
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    shown: list[Processor] = [structlog.processors.format_exc_info, hide]
    handlers: list[logging.Handler] = [
        _handler(logging.StreamHandler(stream), before, [*shown, _human(stream)])
    ]
    if folder is not None:
        file = _file(folder, process)
        handlers.append(
            _handler(file, before, [*shown, structlog.processors.JSONRenderer(default=str)])
        )
    _install(handlers, level)


class SecretFilter:
    """A structlog processor: hides values of telling keys, known secrets and URL passwords."""

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len)[::-1]
        self._known = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """The event with nothing secret in it."""
        return {key: self._clean(key, value) for key, value in event.items()}

    def _clean(self, key: object, value: Any) -> Any:
        if isinstance(key, str) and _SECRET_KEYS.search(key):
            return _HIDDEN
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {inner: self._clean(inner, held) for inner, held in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(None, held) for held in value]
        text = value if isinstance(value, str) else str(value)
        return _URL_PASSWORD.sub(rf"\1:{_HIDDEN}@", self._known.sub(_HIDDEN, text))


def _human(stream: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _file(folder: Path, process: str) -> logging.Handler:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return logging.handlers.RotatingFileHandler(
            folder / f"{process}.log",
            maxBytes=_FILE_BYTES,
            backupCount=_FILES - 1,
            encoding="utf-8",
        )
    except OSError as error:
        raise ConfigurationFault(
            f"The log folder {folder} cannot be written ({error.strerror}); "
            "choose another --data-dir."
        ) from None


def _handler(
    handler: logging.Handler, foreign: list[Processor], processors: list[Processor]
) -> logging.Handler:
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*foreign, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *processors],
        )
    )
    return handler


def _install(handlers: list[logging.Handler], level: str) -> None:
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
            old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
