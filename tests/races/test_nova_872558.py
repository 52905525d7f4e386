"""nova bug 872558 never happens; the same harness catches nova's algorithm and nova's own fix."""

from __future__ import annotations

import threading
from itertools import count, cycle

import pytest

from holdfast import Lockspace
from tests.races.broken import NovaOriginal, NovaWeakDictionary, Semaphores
from tests.races.harness import GENEROUS, Section, crowd, often, storm, wait_until

THREADS = 8


@pytest.fixture
def locks():
    with Lockspace() as space:
        yield space


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("names", [1, 2, 5])
def test_eight_threads_on_few_names_are_never_two_inside(locks, names):
    entries = often(soak=10_000_000, test=100_000) // 3  # of each of the three
    report = storm(locks, entries, threads=THREADS, names=names)
    print(f"{report.entries} entries on {names} names: {report.overlaps} violations")
    assert (report.overlaps, report.errors) == (0, [])
    assert report.entries == entries // THREADS * THREADS
    assert locks.snapshot() == []


def test_eight_threads_through_mutexes_are_never_two_inside(locks):
    shared = {f"vm-{number}": locks.mutex(f"vm-{number}") for number in range(2)}
    report = storm(lambda name: shared[name], often(soak=2_000_000, test=60_000))
    assert (report.overlaps, report.errors) == (0, [])
    assert locks.snapshot() == []


def test_asks_and_mutexes_of_one_name_exclude_each_other(locks):
    shared = [locks.mutex("vm-0"), locks.mutex("vm-0")]
    ways = (locks, lambda name: locks(name, timeout=GENEROUS), *(lambda _, m=m: m for m in shared))
    turn = cycle(ways)

    def any_way(name):
        return next(turn)(name)

    report = storm(any_way, often(10**6, 40_000), names=1)
    assert (report.overlaps, report.errors) == (0, [])
    assert locks.snapshot() == []


def test_the_storm_catches_the_original_algorithm():
    """Also the KeyErrors of its `del`; one storm mostly suffices."""
    reports = [storm(NovaOriginal(), 20_000, threads=THREADS)]
    while not (any(r.overlaps for r in reports) and any(r.errors for r in reports)):
        assert len(reports) < 60, "the harness cannot tell right from wrong"
        reports.append(storm(NovaOriginal(), 20_000, threads=THREADS))
    print(f"nova 2011: {reports[-1].overlaps} of {reports[-1].entries} entries met somebody")


def both_inside(section: Section, waits: object = lambda: False) -> bool:
    """Whether two who come first at the same time are inside together."""
    inside: list[int] = []
    together = threading.Event()

    def body() -> None:
        with section("vm-1"):
            inside.append(1)
            if len(inside) == 2:
                together.set()
            wait_until(lambda: together.is_set() or waits() or left, "the other one")
            inside.pop()
        left.append(1)

    left: list[int] = []
    for thread in crowd(body, body):
        thread.join(GENEROUS)
    assert len(left) == 2
    return together.is_set()


def test_two_first_comers_break_the_weak_dictionary():
    """Both have missed before either stores: what native threads do now and then, made certain."""
    barrier = threading.Barrier(2, timeout=GENEROUS)

    class Meeting(Semaphores):
        def get(self, name, default=None):
            found = super().get(name, default)
            barrier.wait()
            return found

    assert both_inside(NovaWeakDictionary(Meeting()))


def test_two_first_comers_break_the_original():
    """Both have missed; one stores and reads its own before the other hides it."""
    barrier = threading.Barrier(2, timeout=GENEROUS)
    read = threading.Event()
    order = count()

    class Meeting(dict):
        def __contains__(self, name):
            found = super().__contains__(name)
            barrier.wait()
            return found

        def __setitem__(self, name, semaphore):
            if next(order):
                assert read.wait(GENEROUS)
            super().__setitem__(name, semaphore)

        def __getitem__(self, name):
            found = super().__getitem__(name)
            read.set()
            return found

        def __delitem__(self, name):
            self.pop(name, None)

    assert both_inside(NovaOriginal(Meeting()))


def test_two_first_comers_are_served_one_after_the_other(locks):
    """The same two, held up in the ask's constructor and once more right before they enter."""
    barrier = threading.Barrier(2, timeout=GENEROUS)

    def ask(name):
        barrier.wait()
        made = locks(name)
        barrier.wait()
        return made

    for _ in range(often(soak=20_000, test=500)):
        assert not both_inside(ask, lambda: locks.waiters("vm-1"))
    assert locks.snapshot() == []
