"""The daily round over tables that grow, as a workflow may ask for it."""

from temporalio import activity

from activities.beating import beating
from activities.failures import as_application_errors
from activities.ports import ActivityPorts


class UpkeepActivities:
    """Activities of one worker; any worker with the database can do them."""

    def __init__(self, ports: ActivityPorts) -> None:
        self._ports = ports

    @activity.defn
    async def keep_tables(self, fleet: str) -> str:
        """Make months ahead and drop old ones; what was done, in a sentence."""
        activity.logger.debug("tables of fleet %s", fleet)
        with as_application_errors():
            async with beating():
                return await self._ports.upkeep()
