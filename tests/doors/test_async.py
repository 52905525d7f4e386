"""``async with``: loss cancels the body, only our own cancellation is taken back, none is left."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress

import pytest

from holdfast import Closed, LockLost, Lockspace, LockTimeout, NotHeld
from tests.races.harness import GENEROUS, crowd, often
from tests.races.tasks import until


@pytest.fixture
def locks():
    with Lockspace() as space:
        yield space


def lose(locks: Lockspace, name: str = "n") -> None:
    assert locks.break_(name, locks.holders(name)[0].id, "host lost power")


async def holding(locks, body, name="n", **how):
    """A task that runs *body* under the lock, and the grant once it has it."""
    got = asyncio.get_running_loop().create_future()

    async def run():
        async with locks(name, **how) as grant:
            got.set_result(grant)
            return await body()

    return asyncio.create_task(run()), await got


async def sleep_long() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("how", [{}, {"shared": True}, {"timeout": 9}], ids=["lone", "shared", "t"])
async def test_loss_cancels_the_body_and_lock_lost_comes_out(locks, how):
    task, grant = await holding(locks, sleep_long, **how)
    lose(locks)
    with pytest.raises(LockLost, match="host lost power") as caught:
        await task
    assert caught.value.name == "n"
    assert isinstance(caught.value.__context__, asyncio.CancelledError)
    assert task.cancelling() == 0
    assert not grant.held
    assert locks.snapshot() == []


async def test_loss_told_by_another_thread_cancels_the_body(locks):
    task, _ = await holding(locks, sleep_long)
    await asyncio.to_thread(lose, locks)
    with pytest.raises(LockLost):
        await task


async def test_bodys_own_error_is_the_context_of_the_loss(locks):
    async def fail():
        try:
            await sleep_long()
        except asyncio.CancelledError:
            raise ValueError("mine") from None

    task, _ = await holding(locks, fail)
    lose(locks)
    with pytest.raises(LockLost) as caught:
        await task
    assert isinstance(caught.value.__context__, ValueError)


async def test_cancellation_from_outside_wins(locks):
    task, _ = await holding(locks, sleep_long)
    lose(locks)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert locks.snapshot() == []


async def test_cancellation_from_outside_that_comes_first_wins(locks):
    task, _ = await holding(locks, sleep_long)
    task.cancel()
    lose(locks)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert locks.snapshot() == []


async def test_time_out_around_the_body_is_still_a_time_out(locks):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), locks("n"):
            await sleep_long()
    assert locks.snapshot() == []


async def test_time_out_inside_the_body_does_not_hide_the_loss(locks):
    async def body():
        async with asyncio.timeout(GENEROUS):
            await sleep_long()

    task, _ = await holding(locks, body)
    lose(locks)
    with pytest.raises(LockLost):
        await task


async def test_loss_that_the_body_never_notices_comes_out_at_its_end(locks):
    """It is lost and left without another await: the late cancellation must not hit others."""
    async with asyncio.timeout(GENEROUS):
        with pytest.raises(LockLost):
            async with locks("n"):
                lose(locks)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert asyncio.current_task().cancelling() == 0


async def test_body_that_swallows_the_cancellation_still_learns_of_the_loss(locks):
    async def body():
        with suppress(asyncio.CancelledError):
            await sleep_long()
        return "done"

    task, _ = await holding(locks, body)
    lose(locks)
    with pytest.raises(LockLost):
        await task
    assert task.cancelling() == 0


async def test_entered_while_being_cancelled_already(locks):
    """Clean-up code of a cancelled task may take locks, and lose them."""

    async def run():
        try:
            await sleep_long()
        finally:
            with suppress(LockLost):
                async with locks("n"):
                    asyncio.get_running_loop().call_soon(lose, locks)
                    await sleep_long()
            seen.append(asyncio.current_task().cancelling())

    seen: list[int] = []
    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == [1]


async def test_nested_locks_and_the_loss_of_the_outer_one(locks):
    async def body():
        async with locks("inner"):
            await sleep_long()

    task, _ = await holding(locks, body)
    await until(lambda: locks.holders("inner"))
    lose(locks)
    with pytest.raises(LockLost) as caught:
        await task
    assert caught.value.name == "n"
    assert locks.snapshot() == []


async def test_close_while_waiting_ends_the_wait(locks):
    task, _ = await holding(locks, sleep_long)
    waiter = asyncio.create_task(locks("n").acquire_async())
    await until(lambda: locks.waiters("n"))
    locks.close()
    with pytest.raises(Closed):
        await waiter
    with pytest.raises(LockLost):
        await task


async def test_cancelled_in_the_moment_of_the_grant(locks):
    """The grant arrives first, the cancellation before the task runs: the next one gets it."""
    for _ in range(often(soak=5_000, test=200)):
        holder = locks("n").acquire()
        waiter = asyncio.create_task(locks("n").acquire_async())
        behind = asyncio.create_task(locks("n").acquire_async())
        await until(lambda: len(locks.waiters("n")) == 2)
        holder.release()
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        (await asyncio.wait_for(behind, GENEROUS)).release()
    assert locks.snapshot() == []


async def test_wait_for_around_an_acquire_leaves_nothing(locks):
    holder = locks("n").acquire()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(locks("n").acquire_async(), 0.01)
    assert locks.waiters("n") == []
    holder.release()
    assert locks.snapshot() == []


async def test_time_out_of_its_own_names_the_holder(locks):
    holder = locks("n").acquire()
    with pytest.raises(LockTimeout) as caught:
        await locks("n").acquire_async(timeout=0.01)
    assert caught.value.holders[0].id == holder.id
    await holder.release_async()
    with pytest.raises(NotHeld):
        await holder.release_async()


async def test_time_out_of_the_ask_and_of_the_call(locks):
    holder = locks("n").acquire()
    with pytest.raises(LockTimeout):
        await locks("n", timeout=0).acquire_async()
    with pytest.raises(ValueError, match="timeout"):
        await locks("n").acquire_async(timeout=-1)
    with pytest.raises(LockTimeout):
        async with locks("n", timeout=0.01):
            raise AssertionError("entered")
    holder.release()


async def test_tasks_are_served_in_order(locks):
    order: list[int] = []

    async def run(number: int) -> None:
        async with locks("n"):
            order.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*map(run, range(50)))
    assert order == list(range(50))


def test_several_loops_and_threads_in_one_queue(locks):
    inside, wrong, done = [0], [0], [0]

    def enter() -> None:
        inside[0] += 1
        wrong[0] += inside[0] != 1

    def leave() -> None:
        done[0] += 1
        inside[0] -= 1

    def loop() -> None:
        async def one() -> None:
            for _ in range(often(soak=2_000, test=40)):
                async with locks("n"):
                    enter()
                    await asyncio.sleep(0)
                    leave()

        async def all_of_them() -> None:
            await asyncio.gather(*(one() for _ in range(5)))

        asyncio.run(all_of_them())

    def thread() -> None:
        for _ in range(often(soak=10_000, test=200)):
            with locks("n"):
                enter()
                leave()

    for each in crowd(loop, loop, loop, thread, thread):
        each.join(110)
        assert not each.is_alive()
    assert (wrong, done) == ([0], [5 * often(10_000, 200)])
    assert locks.snapshot() == []


def test_loop_that_closed_with_a_waiter_does_not_hold_up_others(locks):
    """Its task can never be told; the name goes on to whoever comes after it is dropped."""
    holder = locks("n").acquire()
    loop = asyncio.new_event_loop()
    task = loop.create_task(locks("n").acquire_async())
    loop.run_until_complete(asyncio.sleep(0))
    assert len(locks.waiters("n")) == 1
    task.cancel()
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    holder.release()
    assert locks.snapshot() == []


def test_breaking_the_grant_of_a_closed_loop_harms_nobody(locks):
    ask = locks("n")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(ask.__aenter__())
    loop.close()
    lose(locks)
    assert locks.snapshot() == []


def test_outside_of_a_loop_it_says_so(locks):
    coroutine = locks("n").__aenter__()
    with pytest.raises(RuntimeError, match="asyncio task"):
        coroutine.send(None)
    assert locks.snapshot() == []


def test_without_asyncio_loaded_it_says_so():
    import subprocess

    program = """
import sys
from holdfast import Lockspace
try:
    Lockspace()("n").__aenter__().send(None)
except RuntimeError as error:
    assert "asyncio" not in sys.modules
    print("fine")
"""
    run = [sys.executable, "-c", program]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "fine\n"


async def test_eager_tasks(locks):
    """Python 3.12 and later: a task may run, and take the lock, before it is scheduled."""
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        return  # nothing to promise before 3.12
    asyncio.get_running_loop().set_task_factory(factory)
    task, grant = await holding(locks, sleep_long)
    assert grant.held
    lose(locks)
    with pytest.raises(LockLost):
        await task


async def test_waiting_does_not_block_the_loop(locks):
    holder = locks("n").acquire()
    waiter = asyncio.create_task(locks("n").acquire_async())
    await until(lambda: locks.waiters("n"))
    beats = 0
    for _ in range(100):
        await asyncio.sleep(0)
        beats += 1
    assert beats == 100
    threading.Thread(target=holder.release).start()
    (await asyncio.wait_for(waiter, GENEROUS)).release()


async def test_lockspace_as_an_async_context_manager():
    async with Lockspace() as locks, locks("n"):
        assert locks.holders("n")
    with pytest.raises(Closed):
        locks("n").acquire()
