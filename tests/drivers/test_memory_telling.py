"""Whoever is granted is told: also if another thread tells the news before they are true."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from holdfast import EXCLUSIVE, Lockspace
from holdfast.drivers.base import Options
from holdfast.drivers.memory import Memory, MemoryTable, open_memory
from holdfast.locks.table import Claim
from holdfast.testing.faults import GENEROUS
from tests.races.harness import crowd, often, storm


class HeldUp(MemoryTable):
    """A table that is held up after it has noted the news, and before the grant is stored."""

    __slots__ = ("meanwhile",)

    def _grant(self, claim: Claim) -> None:
        if claim.state == "waiting" and hasattr(self, "meanwhile"):
            self.meanwhile()
        super()._grant(claim)


class TellsAtOnce(Memory):
    """As it was once: tells whatever stands in the news, granted or not."""

    def _spread(self) -> None:
        while self.table.news:
            claim = self.table.news[0]
            claim.tell()
            self.table.news.remove(claim)


def told_by_a_stranger(driver: Memory) -> bool:
    """A waits; B leaves, and C tells the news while A's grant is under way. Is A woken for good?"""
    driver.table = table = HeldUp()
    woken = threading.Lock()
    woken.acquire()
    waiter, holder = (Claim((("n", EXCLUSIVE),)) for _ in range(2))
    driver.submit(holder, None)

    def tell() -> None:
        if waiter.state == "held":  # else it looks, finds that it still waits, and goes on sleeping
            woken.release()

    driver.submit(waiter, tell)

    def meanwhile() -> None:
        strangers.extend(crowd(driver._spread))
        strangers[0].join(0.2)  # either it has told by now, or it waits for us

    strangers: list[threading.Thread] = []
    table.meanwhile = meanwhile
    driver.drop(holder)
    strangers[0].join(GENEROUS)
    assert waiter.state == "held"
    return woken.acquire(timeout=0)


def test_news_told_too_early_are_told_again():
    """T1 notes "A is granted"; T2 tells it; A finds that it still waits; T1 stores the grant."""
    assert told_by_a_stranger(open_memory("memory:", Options()))


def test_the_test_catches_a_driver_that_tells_at_once():
    assert not told_by_a_stranger(TellsAtOnce())


@pytest.mark.parametrize("kind", ["mutex", "claims"])
def test_convoys_on_two_names_end(kind):
    """Two names whose queues are told by the same threads: how the lost wake-up was found."""
    with Lockspace() as locks:
        shared: dict[str, Any] = {f"vm-{number}": locks.mutex(f"vm-{number}") for number in (0, 1)}
        section = shared.__getitem__ if kind == "mutex" else lambda n: locks(n, timeout=GENEROUS)
        report = storm(section, often(soak=5_000_000, test=100_000))
        assert (report.overlaps, report.errors) == (0, [])
        assert locks.snapshot() == []
