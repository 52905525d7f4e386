"""``mutex`` in ``async with`` is what code written for ``asyncio.Lock`` expects."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from functools import partial

import pytest

from holdfast import Lockspace
from tests.races.harness import GENEROUS, crowd, often
from tests.races.tasks import until


@pytest.fixture
def locks():
    with Lockspace() as space:
        yield space
        assert space.snapshot() == []


@pytest.fixture(params=["asyncio.Lock", "mutex"])
def make(request, locks):
    """Each test runs against both."""
    return partial(locks.mutex, "x") if request.param == "mutex" else asyncio.Lock


async def started(*bodies):
    tasks = [asyncio.create_task(body) for body in bodies]
    await asyncio.sleep(0)
    return tasks


async def test_entering_gives_none_and_locks(make):
    lock = make()
    async with lock as entered:
        assert entered is None
        assert lock.locked()
    assert not lock.locked()


async def test_release_of_an_unlocked_one_is_a_runtime_error(make):
    with pytest.raises(RuntimeError):
        make().release()


async def test_repr_tells_its_state(make):
    lock = make()
    assert "unlocked" in repr(lock)
    async with lock:
        assert re.search(r"\blocked\b", repr(lock))


async def test_order_of_arrival(make):
    lock, order = make(), []

    async def run(number: int) -> None:
        async with lock:
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(run, range(20)))
    assert order == list(range(20))


async def test_cancelled_waiter_leaves_the_others_in_order(make):
    lock, order = make(), []

    async def run(number: int) -> None:
        async with lock:
            order.append(number)

    await lock.__aenter__()
    tasks = await started(*map(run, range(4)))
    tasks[1].cancel()
    await asyncio.sleep(0)
    lock.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert order == [0, 2, 3]
    assert not lock.locked()


async def test_cancelled_after_it_was_woken_hands_on(make):
    """CPython issue 32734: the lock was lost with the waiter."""
    lock, order = make(), []

    async def run(number: int) -> None:
        async with lock:
            order.append(number)

    await lock.__aenter__()
    tasks = await started(*map(run, range(3)))
    lock.release()
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [1, 2]
    assert not lock.locked()


async def test_all_waiters_cancelled_leave_it_usable(make):
    lock = make()
    await lock.__aenter__()
    tasks = await started(*(lock.__aenter__() for _ in range(5)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    lock.release()
    async with lock:
        pass
    assert not lock.locked()


async def test_time_out_around_the_wait(make):
    lock = make()
    async with lock:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await lock.__aenter__()
    assert not lock.locked()


async def test_body_that_raises_releases(make):
    lock = make()
    with pytest.raises(ZeroDivisionError):
        async with lock:
            raise ZeroDivisionError
    assert not lock.locked()


async def test_released_by_another_task(make):
    lock = make()
    await lock.__aenter__()

    async def release() -> None:
        lock.release()

    await asyncio.create_task(release())
    assert not lock.locked()


async def test_task_entering_twice_waits_like_an_asyncio_lock(make):
    """No Deadlock: anybody may release it."""
    lock = make()
    async with lock:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lock.__aenter__(), 0.01)


async def test_random_cancellations_lose_no_wake_up(make):
    lock, entered = make(), []

    async def run(number: int) -> None:
        async with lock:
            entered.append(number)
            await asyncio.sleep(0)

    for turn in range(often(soak=2_000, test=50)):
        tasks = await started(*map(run, range(8)))
        for number in (turn % 8, (turn * 3) % 8):
            for _ in range(turn % 3):
                await asyncio.sleep(0)
            tasks[number].cancel()
        async with asyncio.timeout(GENEROUS):
            await asyncio.gather(*tasks, return_exceptions=True)
    assert entered
    assert not lock.locked()


def test_with_and_async_with_of_one_mutex_in_threads_and_tasks(locks):
    mutex, inside, wrong, done = locks.mutex("x"), [0], [0], [0]

    def pass_through() -> None:
        inside[0] += 1
        wrong[0] += inside[0] != 1
        done[0] += 1
        inside[0] -= 1

    def thread() -> None:
        for _ in range(often(soak=50_000, test=500)):
            with mutex:
                pass_through()

    def loop() -> None:
        async def one() -> None:
            for _ in range(often(soak=5_000, test=50)):
                async with mutex:
                    pass_through()

        async def run() -> None:
            await asyncio.gather(*(one() for _ in range(10)))

        asyncio.run(run())

    for each in crowd(thread, thread, loop, loop):
        each.join(110)
        assert not each.is_alive()
    assert (wrong, done) == ([0], [4 * often(50_000, 500)])


async def test_thread_releases_what_a_task_awaits(locks):
    mutex = locks.mutex("x")
    mutex.acquire()
    task = asyncio.create_task(mutex.__aenter__())
    await until(lambda: locks.waiters("x"))
    crowd(mutex.release)
    await asyncio.wait_for(task, GENEROUS)
    assert mutex.locked()
    mutex.release()


async def test_cancelled_task_among_waiting_threads(locks):
    mutex = locks.mutex("x")
    mutex.acquire()
    task = asyncio.create_task(mutex.__aenter__())
    await until(lambda: locks.waiters("x"))

    def take() -> None:
        with mutex:
            pass

    (thread,) = crowd(take)
    await until(lambda: len(locks.waiters("x")) == 2)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    mutex.release()
    await asyncio.to_thread(thread.join, GENEROUS)
    assert not thread.is_alive()
