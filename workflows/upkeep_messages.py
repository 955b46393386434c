"""What the daily round over growing tables is told. One JSON value; messages only grow."""

from workflows.messages import Message, Name


class KeepTables(Message):
    """Input of UpkeepWorkflow: `{}` is enough."""

    fleet: Name = "main"
