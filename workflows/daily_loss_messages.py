"""What people and programs say to the watch over daily losses, and what it answers."""

from activities.loss_messages import LossPicture
from desk.daily_loss import LossVerdict
from workflows.messages import Message, Name


class LossNote(Message):
    """A limit that was passed and latched. `at` and `until` are ISO-8601, UTC."""

    at: str
    scope: str
    verdict: LossVerdict
    sentence: str
    until: str


class CarriedLosses(Message):
    """What one run hands to the next at continue-as-new. Not for people."""

    picture: LossPicture | None = None
    history: tuple[LossNote, ...] = ()


class WatchDailyLoss(Message):
    """Input of DailyLossWorkflow: `{}` watches the fleet `main`."""

    fleet: Name = "main"
    carried: CarriedLosses | None = None


class DailyLossStatus(Message):
    """Answer to the `status` query: the last look, and what was latched, oldest first."""

    picture: LossPicture | None
    history: tuple[LossNote, ...]
