"""Kimchi's uploads: at most n volumes at once, and what its reviewers asked about the lock."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast import EXCLUSIVE, LockBusy, Lockspace, LockTimeout, NotHeld, slots
from holdfast.testing.faults import wait_until
from tests.races.harness import GENEROUS, crowd


@pytest.fixture
def locks():
    with Lockspace() as space:
        yield space


def upload(locks, volume, limit=5, **more):
    """The ask for one volume of a pool where at most *limit* are filled at once."""
    return locks({volume: EXCLUSIVE, "uploads": slots(limit)}, **more)


def test_at_most_n_volumes_at_once(locks):
    inside, most = [0], [0]
    guard, full = threading.Lock(), threading.Event()

    def fill(number: int) -> None:
        with upload(locks, f"vol-{number}"):
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                if inside[0] == 5:
                    full.set()
            assert full.wait(GENEROUS)
            with guard:
                inside[0] -= 1

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(fill, range(20)))
    assert most == [5]
    assert locks.snapshot() == []


def test_others_wait_in_order(locks):
    held = [upload(locks, f"vol-{number}", 2).acquire() for number in range(2)]
    order: list[int] = []

    def fill(number: int) -> None:
        with upload(locks, f"late-{number}", 2):
            order.append(number)
            wait_until(lambda: len(locks.waiters("uploads")) == max(0, 3 - number), "the queue")

    threads = []
    for number in range(4):
        threads += crowd(lambda number=number: fill(number))
        wait_until(lambda n=number: len(locks.waiters("uploads")) == n + 1, "a waiter")
    held[0].release()
    for thread in threads:
        thread.join(GENEROUS)
    held[1].release()
    assert order == [0, 1, 2, 3]
    assert locks.snapshot() == []


def test_one_who_waits_for_a_busy_volume_takes_no_slot(locks):
    busy = upload(locks, "vol-1", 2).acquire()
    threads = crowd(*[lambda: upload(locks, "vol-1", 2).__enter__()] * 3)
    wait_until(lambda: len(locks.waiters("vol-1")) == 3, "three who wait for the busy volume")
    other = upload(locks, "vol-2", 2).try_acquire()
    assert other is not None
    assert upload(locks, "vol-3", 2).try_acquire() is None
    other.release()
    busy.release()
    for thread in threads:
        thread.join(GENEROUS)
    wait_until(lambda: not locks.snapshot(), "the three to come and go")


def test_the_slots_are_free_while_somebody_waits_for_his_volume(locks):
    busy = locks("vol-1").acquire()
    threads = crowd(lambda: upload(locks, "vol-1", 1).__enter__())
    wait_until(lambda: locks.waiters("vol-1"), "one who waits for the busy volume")
    for number in (2, 3, 4):
        with upload(locks, f"vol-{number}", 1, timeout=GENEROUS):
            pass
    busy.release()
    threads[0].join(GENEROUS)


def test_releasing_what_is_not_held_is_an_error_and_changes_nothing(locks):
    mine, others = upload(locks, "vol-1").acquire(), upload(locks, "vol-2").acquire()
    mine.release()
    new = upload(locks, "vol-1").acquire()
    before = locks.snapshot()
    with pytest.raises(NotHeld, match="'vol-1', 'uploads' is not held"):
        mine.release()
    assert locks.snapshot() == before
    assert new.held
    assert others.held
    new.release()
    others.release()


def test_nothing_stays_after_the_last_user(locks):
    for number in range(1000):
        with upload(locks, f"vol-{number}"):
            pass
    assert locks.snapshot() == []
    assert locks._driver.table.lines == {}


@pytest.mark.parametrize("limit", [0, -1, 2**31, 1.5, "5", True, None])
def test_the_limit_is_checked_first(locks, limit):
    """Before anything is taken: a bad limit must not leave a volume locked."""
    with pytest.raises(ValueError, match="slots is a whole number"):
        upload(locks, "vol-1", limit)
    assert locks.snapshot() == []


@pytest.mark.parametrize("limit", [0, -1])
def test_the_limit_as_an_argument_is_checked_at_the_call(locks, limit):
    with pytest.raises(ValueError, match="slots is a whole number"):
        locks("uploads", slots=limit)


def test_who_is_in_the_way_is_named(locks):
    holder = upload(locks, "vol-1", 1).acquire()
    with pytest.raises(LockTimeout) as caught:
        upload(locks, "vol-2", 1, timeout=0.01).acquire()
    holder.release()
    assert [holder.name for holder in caught.value.holders] == ["uploads"]
    assert isinstance(caught.value, LockBusy)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.waited >= 0.01
    assert caught.value.names == ("vol-2", "uploads")
