"""Two sources at odds count as such only when they stay so."""

from desk.sources import Quarrel
from desk.units import NS_PER_S


def test_a_quarrel_counts_only_while_it_lasts() -> None:
    quarrel = Quarrel()
    looks = [(True, 0), (True, 29), (False, 30), (True, 31), (True, 60), (True, 61), (True, 62)]
    found = [quarrel.lasts(apart=apart, now_ns=at * NS_PER_S) for apart, at in looks]
    assert found == [False, False, False, False, False, True, False]
