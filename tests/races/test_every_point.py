"""An exception at every point where CPython can deliver one: the lock stays usable, all wake up.

One strike at each point in turn, and a second one shortly after, which hits the tidying up of the
first. After each, whatever the finalisers freed is free, and whoever waited got in.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from holdfast import EXCLUSIVE, SHARED, Lockspace, NotHeld, slots
from holdfast.testing.faults import Interrupted, wait_until
from tests.races.delivery import strike_everywhere
from tests.races.harness import GENEROUS, SOAK, crowd

pytestmark = [
    # An exception that strikes inside a finaliser is reported there by CPython, and ends there.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:the grant of:ResourceWarning"),
    pytest.mark.timeout(600),
]

SECOND = (0, 1, 2, 3, 5, 8, 13, 21) if SOAK else (0, 2)
"""How many points after the first strike comes the second; 0 is none."""


@pytest.fixture
def locks():
    with Lockspace() as space:
        yield space


def asks(locks: Lockspace) -> dict[str, Callable[[], Any]]:
    return {
        "free": lambda: locks("a"),
        "with a time-out": lambda: locks("a", timeout=GENEROUS),
        "shared": lambda: locks("a", shared=True),
        "slots": lambda: locks("a", slots=2),
        "several": lambda: locks({"a": EXCLUSIVE, "b": SHARED, "c": slots(1)}),
    }


KINDS = ("free", "with a time-out", "shared", "slots", "several")


@pytest.mark.parametrize("twice", SECOND)
@pytest.mark.parametrize("kind", KINDS)
def test_with_is_left_with_nothing_held(locks, kind, twice):
    ask = asks(locks)[kind]

    def act() -> None:
        with ask() as grant:
            grant.ensure_held()

    def check(point: int) -> None:
        assert locks.snapshot() == [], f"held after a strike at point {point}"

    points = strike_everywhere(act, check, twice=twice)
    assert points > 5


@pytest.mark.parametrize("kind", ["free", "with a time-out", "several"])
@pytest.mark.parametrize("way", ["with", "acquire", "mutex"])
def test_whoever_waits_gets_in_after_an_interrupted_release(locks, way, kind):
    """The holder leaves, is struck, and never comes back; its waiter sleeps until it is told."""
    ask = asks(locks)[kind]
    got_in: list[int] = []

    def wait() -> None:
        with locks("a"):
            got_in.append(1)

    def leave(door: Any) -> None:
        door.__exit__(None, None, None)

    def enter() -> Any:
        door = ask() if way == "with" else locks.mutex("a") if way == "mutex" else ask().acquire()
        if way != "acquire":
            door.__enter__()
        return door

    doors: list[Any] = []
    ids: list[str] = []
    waiters: list[threading.Thread] = []

    def prepare() -> None:
        doors[:] = [enter()]
        ids.append(locks.holders("a")[0].id)
        waiters[:] = crowd(wait)
        wait_until(lambda: locks.waiters("a"), "the waiter")

    def act() -> None:
        leave(doors.pop()) if way != "acquire" else doors.pop().release()

    def check(point: int) -> None:
        # Struck before it did anything, a release is as good as not called: anybody may repeat it.
        if locks.break_("a", ids.pop(), "its release was struck at its very start"):
            early.append(point)
        waiters[0].join(GENEROUS)
        assert got_in, f"the waiter still sleeps after a strike at point {point}"
        got_in.clear()
        wait_until(lambda: not locks.snapshot(), "an empty table")
        prepare()

    early: list[int] = []
    prepare()
    points = strike_everywhere(act, check)
    assert points > 20
    # mutex: at the start of __exit__, of release, and the few calls before the driver knows.
    assert len(early) <= (0 if way == "with" else 1 if way == "acquire" else 6), early
    act()
    waiters[0].join(GENEROUS)


@pytest.mark.parametrize("twice", SECOND)
@pytest.mark.parametrize("way", ["with", "acquire", "mutex", "try"])
def test_who_is_struck_while_waiting_neither_holds_nor_waits(locks, way, twice):
    """H holds; W is struck anywhere on its way in; H leaves as soon as W waits or gave up."""
    done = threading.Event()
    turn: list[threading.Thread] = []
    entered = threading.Event()

    def hold() -> None:
        with locks("a"):
            entered.set()
            wait_until(lambda: done.is_set() or locks.waiters("a"), "the waiter or its end")

    def prepare() -> None:
        done.clear()
        entered.clear()
        turn[:] = crowd(hold)
        assert entered.wait(GENEROUS)

    def act() -> None:
        if way == "with":
            with locks("a", timeout=GENEROUS):
                pass
        elif way == "try":
            grant = locks("a").try_acquire()
            assert grant is None
        elif way == "acquire":
            grant = locks("a", timeout=GENEROUS).acquire()
            grant._drop()
        else:
            mutex = locks.mutex("a")
            if mutex.acquire(timeout=GENEROUS):
                with suppress(NotHeld):
                    mutex._space._drop(mutex.claim)

    def check(point: int) -> None:
        done.set()
        turn[0].join(GENEROUS)
        left = locks.snapshot()
        if way in ("mutex", "acquire") and left:
            # It came through acquire() and was struck in our own `_drop`, before the driver knew.
            late.append(point)
            locks.break_("a", left[0].id, "the test's own release was struck")
        assert locks.snapshot() == [], f"left over by a strike at point {point}"
        with locks("a", timeout=GENEROUS):
            pass
        prepare()

    late: list[int] = []
    prepare()
    points = strike_everywhere(act, check, twice=twice)
    assert points > (20 if way != "try" else 10)
    assert len(late) <= 8, late
    done.set()
    turn[0].join(GENEROUS)


@pytest.mark.parametrize("kind", KINDS)
def test_async_with_is_left_with_nothing_held(locks, kind):
    """As by Ctrl-C in asyncio's main thread: it goes through the task and out of the loop."""
    ask = asks(locks)[kind]

    async def body() -> None:
        async with ask() as grant:
            grant.ensure_held()

    loop = asyncio.new_event_loop()

    def act() -> None:
        task = loop.create_task(body())
        try:
            loop.run_until_complete(task)
        except Interrupted:
            task.exception()  # seen
            raise

    def check(point: int) -> None:
        loop.run_until_complete(asyncio.sleep(0))  # it still refers to the task
        gc.collect()  # the task, its exception and their frames refer to each other
        assert locks.snapshot() == [], f"held after a strike at point {point}"

    gc.freeze()  # so that a collection looks at what is new
    try:
        assert strike_everywhere(act, check) > 5
    finally:
        gc.unfreeze()
        loop.close()


def test_two_tasks_and_a_strike_anywhere():
    """One holds, one waits; whoever is struck, the other one gets through.

    In a process of its own: what other tests left alive there keeps struck frames alive, too.
    """
    command = [sys.executable, "-m", "tests.races.two_tasks"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert ran.returncode == 0, ran.stderr


def test_a_mutex_stays_locked_only_if_its_exit_had_not_begun(locks):
    """What a lock of Python code cannot avoid, and threading.Lock, being C, does: one point."""
    mutex = locks.mutex("a")
    stayed: list[int] = []

    def act() -> None:
        with mutex:
            pass

    def check(point: int) -> None:
        if mutex.locked():
            stayed.append(point)
            mutex.release()
        assert locks.snapshot() == []

    assert strike_everywhere(act, check) >= 3
    assert len(stayed) == 1
