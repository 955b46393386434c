"""One round over the tables that grow: months made ahead, old ones dropped; a schedule repeats it.

Limits: one activity, no signals, no loops. A round that cannot be had fails, for people to see.
"""

from datetime import timedelta
from typing import Final

from temporalio import workflow

from activities.upkeep import UpkeepActivities
from workflows import names, policies
from workflows.upkeep_messages import KeepTables

LONGEST_RUN: Final = timedelta(hours=2)
"""After so long the server ends a round; the next one goes on where it was."""

_ROUND = timedelta(minutes=30)
_PATIENCE = timedelta(minutes=90)


@workflow.defn(name=names.UPKEEP_WORKFLOW)
class UpkeepWorkflow:
    """Asks for one round and gives what it did."""

    @workflow.run
    async def run(self, start: KeepTables) -> str:
        """What was done, in a sentence."""
        done = await workflow.execute_activity_method(
            UpkeepActivities.keep_tables,
            start.fleet,
            start_to_close_timeout=_ROUND,
            schedule_to_close_timeout=_PATIENCE,
            heartbeat_timeout=policies.WRITE_HEARTBEAT,
            retry_policy=policies.IDEMPOTENT_WRITE,
            summary=f"months of tables, fleet {start.fleet}",
        )
        workflow.set_current_details(f"## Tables that grow\n\n{done}")
        return done
