"""`flotilla panic` as a process of its own that is told of no service: what drills rehearse.

Its state folder is its own, so that the KILL file it writes stops nobody.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping

from desk.drill_ports import PanicSaid
from desk.errors import Unavailable

_SERVICES = ("FLOTILLA_DATABASE_URL", "FLOTILLA_REDIS_URL", "TEMPORAL_ADDRESS")
_PATIENCE_S = 120.0


async def run_panic(venue: str, account: str) -> PanicSaid:
    """Cancel everything of one account. Unavailable when it does not end in time."""
    with tempfile.TemporaryDirectory(prefix="flotilla-drill-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flotilla", "panic"),
            *("--venue", venue, "--account", account, "--yes"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_alone(os.environ, folder),
        )
        try:
            async with asyncio.timeout(_PATIENCE_S):
                said, _ = await process.communicate()
        except BaseException as error:
            process.kill()
            await process.wait()
            if isinstance(error, TimeoutError):
                raise Unavailable(f"panic did not end within {_PATIENCE_S:.0f} s") from error
            raise
    return PanicSaid(exit_code=process.returncode or 0, output=said.decode(errors="replace"))


def _alone(environment: Mapping[str, str], folder: str) -> Mapping[str, str]:
    known = {name: value for name, value in environment.items() if name not in _SERVICES}
    return {**known, "FLOTILLA_DATA_DIR": folder, "FLOTILLA_STATE_DIR": folder}
