"""What a judgement of an account's money leads to: a break, the end of one, a new anchor.

The one rule: a break ends by itself only where money agrees as closely as when it was opened, and
what a new anchor accepts is on record with its sum.
"""

from typing import Final

from activities.reconciliation_messages import ReconcileInput
from activities.reconciliation_money import ALLOWED, MoneySeen, allowed_of, anchor_side
from activities.reconciliation_side import BreakDesk, Compared, as_text
from desk.breaks import BreakKind
from desk.reconciliation import Anchor

MONEY_AGREED: Final = "money_agreed_runs"
"""Where their side keeps in how many comparisons on end the money agreed."""


async def keep_money(
    desk: BreakDesk,
    request: ReconcileInput,
    compared: Compared,
    money: MoneySeen,
    *,
    agreed: int,
    asked_ms: int,
) -> None:
    """Put it into both sides and do what follows; `agreed` runs on end agreed before this one.

    `asked_ms` is when the reading began: a break that was settled since is not opened again by it.
    """
    compared.equity, compared.expected = money.equity, money.expected
    standing = await desk.standing(BreakKind.BALANCE)
    closest = min((money.allowed, *(allowed_of(known.found.ours) for known in standing)))
    close = abs(money.apart) <= closest
    agreed = agreed + 1 if close else 0
    anchor = money.anchor
    if money.off:
        await _open(desk, compared, money, asked_ms)
    elif request.auto_resume and agreed >= request.agree_runs:
        for known in standing:
            reason = f"equity was as expected in {agreed} comparisons"
            await desk.over(known, "money agrees", reason)
    if not (money.off or standing) and money.renewed is not None:
        anchor = money.renewed
        _accept(desk, money, anchor)
    compared.theirs |= {"equity": money.equity, MONEY_AGREED: agreed}
    compared.ours |= {
        "equity": money.expected,
        ALLOWED: money.allowed,
        "anchor": anchor_side(anchor),
    }


async def _open(desk: BreakDesk, compared: Compared, money: MoneySeen, asked_ms: int) -> None:
    text = (
        f"the venue's equity is {money.equity:f} and our books expect {money.expected:f}, "
        f"{money.apart:+f} apart, more than {money.allowed:f}"
    )
    if accepted := money.anchor.accepted:
        text += f"; {accepted:+f} was accepted before as funding that nobody told"
    compared.note(BreakKind.BALANCE.value, None, text)
    await desk.open(
        desk.found(
            BreakKind.BALANCE,
            None,
            text,
            ours={
                "equity": money.expected,
                ALLOWED: money.allowed,
                "anchor": anchor_side(money.anchor),
            },
            theirs={"equity": money.equity},
            at_ms=asked_ms,
        )
    )


def _accept(desk: BreakDesk, money: MoneySeen, anchor: Anchor) -> None:
    desk.record(
        None,
        "reconciliation accepts",
        f"{money.apart:+f} between the venue's equity and our books is taken for funding that "
        f"nobody tells, of {money.anchor.untold:.2f} that it may be; {anchor.accepted:+f} in all",
        as_text({"before": anchor_side(money.anchor), "now": anchor_side(anchor)}),
    )
