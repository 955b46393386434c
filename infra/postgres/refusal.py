"""Tells a record PostgreSQL will never take from a PostgreSQL that is away.

The rule: only what is wrong with the content itself is put aside; all else is tried again.
"""

from collections.abc import Iterator
from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError, StatementError

from infra.postgres.engine import TROUBLES, sqlstate

_CONTENT_CLASSES: Final = frozenset({"21", "22", "23"})
"""SQLSTATE classes: cardinality violation, data exception, integrity constraint violation."""


def is_refusal(error: Exception) -> bool:
    """Whether writing the same record again can never succeed."""
    if any(isinstance(cause, asyncpg.DataError) for cause in _causes(error)):
        return True
    if isinstance(error, DBAPIError):
        return (sqlstate(error) or "")[:2] in _CONTENT_CLASSES
    if isinstance(error, StatementError):
        return True
    return not isinstance(error, TROUBLES)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
