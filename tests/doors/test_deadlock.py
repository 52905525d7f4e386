"""Circles: told to the last one who closes them, and to nobody who is not in one."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast import EXCLUSIVE, Deadlock, Lockspace, LockTimeout, slots
from holdfast.testing.faults import wait_until
from tests.races.harness import GENEROUS, crowd, often, switching
from tests.races.tasks import until


@pytest.fixture
def locks():
    with Lockspace() as space:
        yield space
        assert space.snapshot() == []


def test_single_thread_reentry(locks):
    with locks("vm-1"), pytest.raises(Deadlock) as caught, locks("vm-1"):
        raise AssertionError("entered")
    assert "'vm-1'" in str(caught.value)
    assert "MainThread" in caught.value.circle[0]


def test_upgrade_of_a_shared_hold(locks):
    with locks("vm-1", shared=True), pytest.raises(Deadlock):
        locks("vm-1").acquire()


def test_two_threads_and_two_names(locks):
    """The one who closes the circle is told; the other one gets through."""
    first = threading.Event()
    circle: list[Deadlock] = []

    def one() -> None:
        with locks("a"):
            first.set()
            with locks("b"):
                pass

    with locks("b"):
        (thread,) = crowd(one)
        first.wait(GENEROUS)
        wait_until(lambda: locks.waiters("b"), "T1 to wait")
        with pytest.raises(Deadlock) as caught, locks("a"):
            raise AssertionError("entered")
        circle.append(caught.value)
    thread.join(GENEROUS)
    assert not thread.is_alive()
    assert len(circle[0].circle) == 2
    assert "waits for 'a'" in circle[0].circle[0]
    assert "waits for 'b'" in circle[0].circle[1]


def test_three_threads_in_a_ring(locks):
    """All hold one name before the first asks for the next; one is told, two get through."""
    all_hold = threading.Barrier(3)
    told: list[Deadlock] = []

    def run(number: int) -> None:
        with locks(f"n{number}"):
            all_hold.wait(GENEROUS)
            try:
                with locks(f"n{(number + 1) % 3}"):
                    pass
            except Deadlock as error:
                told.append(error)

    for thread in crowd(*(lambda number=number: run(number) for number in range(3))):
        thread.join(GENEROUS)
        assert not thread.is_alive()
    assert len(told) == 1
    assert len(told[0].circle) == 3


async def test_two_tasks_and_two_names(locks):
    told: list[Deadlock] = []

    async def run(mine: str, other: str, ready: asyncio.Event, go: asyncio.Event) -> str:
        async with locks(mine):
            ready.set()
            await go.wait()
            try:
                async with locks(other):
                    return "in"
            except Deadlock as error:
                told.append(error)
                return "told"

    one, two = asyncio.Event(), asyncio.Event()
    fates = await asyncio.gather(run("a", "b", one, two), run("b", "a", two, one))
    assert sorted(fates) == ["in", "told"]
    assert all("task" in step for step in told[0].circle)


async def test_task_reentry(locks):
    async with locks("a"):
        with pytest.raises(Deadlock):
            await locks("a").acquire_async()


async def test_thread_is_told_at_once_that_its_own_loops_task_holds(locks):
    """The task could never go on: its loop stands still while the thread waits."""
    go, entered = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with locks("a"):
            entered.set()
            await go.wait()

    task = asyncio.create_task(hold())
    await entered.wait()
    with pytest.raises(Deadlock):
        locks("a", timeout=GENEROUS).acquire()
    go.set()
    await task


async def test_thread_may_wait_for_a_task_of_another_loop(locks):
    entered, go = threading.Event(), threading.Event()

    def other() -> None:
        async def hold() -> None:
            async with locks("a"):
                entered.set()
                await until(go.is_set)

        asyncio.run(hold())

    (thread,) = crowd(other)
    entered.wait(GENEROUS)
    with pytest.raises(LockTimeout):
        locks("a", timeout=0.01).acquire()
    go.set()
    with locks("a", timeout=GENEROUS):
        pass
    thread.join(GENEROUS)


def test_slots_accuse_nobody_while_one_holder_can_go_on(locks):
    """One of the two holders waits for us; the other one does not."""
    free, entered = locks("pool", slots=2).acquire(), threading.Event()

    def one() -> None:
        with locks("pool", slots=2):
            entered.set()
            with locks("mine"):
                pass

    with locks("mine"):
        (thread,) = crowd(one)
        entered.wait(GENEROUS)
        wait_until(lambda: locks.waiters("mine"), "the other to wait for us")
        with pytest.raises(LockTimeout):
            locks("pool", slots=2, timeout=0.01).acquire()
        free.release()
        with locks("pool", slots=2):
            pass
    thread.join(GENEROUS)


def test_slots_whose_holders_all_wait_for_us_are_a_circle(locks):
    entered = threading.Barrier(3)

    def one() -> None:
        with locks("pool", slots=2):
            entered.wait(GENEROUS)
            with locks("mine"):
                pass

    with locks("mine"):
        threads = crowd(one, one)
        entered.wait(GENEROUS)
        wait_until(lambda: len(locks.waiters("mine")) == 2, "both to wait for us")
        with pytest.raises(Deadlock):
            locks("pool", slots=2).acquire()
    for thread in threads:
        thread.join(GENEROUS)


@pytest.mark.parametrize("way", ["mutex", "acquire"])
def test_who_anybody_may_release_accuses_nobody(locks, way):
    mutex = locks.mutex("a")
    grant = mutex.acquire() if way == "mutex" else locks("a").acquire()
    with pytest.raises(LockTimeout):
        locks("a", timeout=0.01).acquire()
    mutex.release() if way == "mutex" else grant.release()


def test_mutex_waits_like_a_threading_lock(locks):
    with locks("a"):
        assert not locks.mutex("a").acquire(timeout=0.01)


def test_a_crowd_on_few_names_is_never_accused(locks):
    """Each holds one name at a time: there is no circle, however the queues move meanwhile."""

    def churn(_: int) -> None:
        for turn in range(often(soak=20_000, test=400)):
            with locks("abc"[turn % 3], timeout=GENEROUS), locks(f"own-{threading.get_ident()}"):
                pass

    with switching(), ThreadPoolExecutor(8) as pool:
        list(pool.map(churn, range(8)))


def test_ordered_names_are_never_accused(locks):
    """All take a before b before c: no circle is possible, though all wait for each other."""

    def churn(seed: int) -> None:
        for turn in range(often(soak=20_000, test=200)):
            first, second = [("a", "b"), ("b", "c"), ("a", "c")][(turn + seed) % 3]
            with locks(first, timeout=GENEROUS), locks(second, timeout=GENEROUS):
                pass

    with switching(), ThreadPoolExecutor(6) as pool:
        list(pool.map(churn, range(6)))


def test_random_circles_end_with_one_told_each(locks):
    """Whatever the order, nobody sleeps for ever: who closes a circle is told, and retries."""
    done: list[int] = []

    def churn(seed: int) -> None:
        for turn in range(often(soak=5_000, test=200)):
            first, second = ("a", "b") if (turn * 7 + seed) % 2 else ("b", "a")
            while True:
                try:
                    with locks(first), locks(second):
                        break
                except Deadlock:
                    continue
        done.append(seed)

    with switching():
        for thread in crowd(*(lambda seed=seed: churn(seed) for seed in range(4))):
            thread.join(100)
    assert sorted(done) == [0, 1, 2, 3]


def test_a_long_queue_costs_each_newcomer_little(locks):
    """Once each waiter was followed through all those before it: twice the steps for each."""
    holder = locks("a").acquire()
    threads = []
    for number in range(40):
        threads += crowd(lambda: locks("a").__enter__())
        wait_until(lambda n=number: len(locks.waiters("a")) == n + 1, "one more")
    holder.release()
    for thread in threads:
        thread.join(GENEROUS)
    wait_until(lambda: not locks.snapshot(), "all to come and go")


def test_several_names_in_one_ask_are_no_circle(locks):
    def churn(_: int) -> None:
        for turn in range(often(soak=20_000, test=300)):
            names = ("a", "b") if turn % 2 else ("b", "a")
            with locks({names[0]: EXCLUSIVE, names[1]: slots(1)}):
                pass

    with switching(), ThreadPoolExecutor(6) as pool:
        list(pool.map(churn, range(6)))


def test_who_gives_no_time_is_refused_and_not_accused(locks):
    with locks("n"):
        with pytest.raises(LockTimeout, match="is held"):
            locks("n").acquire(timeout=0)
        with pytest.raises(LockTimeout), locks("n", timeout=0):
            pass
