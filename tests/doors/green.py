"""Programs under eventlet or gevent, each in a process of its own: ``green.py KIND WHEN WHAT``.

KIND is eventlet or gevent; WHEN says whether the standard library is patched before holdfast is
imported, after it, or not at all; WHAT is one of the functions below. Silence is success.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

KIND, WHEN, WHAT = sys.argv[1:4]


def patch() -> None:
    if KIND == "eventlet":
        import eventlet

        eventlet.monkey_patch()
    else:
        from gevent import monkey

        monkey.patch_all()


if WHEN == "before":
    patch()
from holdfast import Deadlock, Lockspace, LockTimeout  # noqa: E402
from holdfast.native import allocate_lock, start_new_thread  # noqa: E402

if WHEN == "after":
    patch()

if KIND == "eventlet":
    import eventlet

    spawn, pause = eventlet.spawn, eventlet.sleep

    def kill(greenlet: Any) -> None:
        greenlet.kill()

    def join(greenlet: Any) -> None:
        greenlet.wait()
else:
    import gevent

    spawn, pause = gevent.spawn, gevent.sleep

    def kill(greenlet: Any) -> None:
        greenlet.kill(block=True)

    def join(greenlet: Any) -> None:
        greenlet.get()


locks = Lockspace()
GENEROUS = 30.0


class Inside:
    """Counts who is inside; two at once are a violation."""

    def __init__(self) -> None:
        self.now = self.done = self.violations = 0

    def visit(self, stay: Callable[[], object]) -> None:
        self.now += 1
        self.violations += self.now != 1
        stay()
        self.done += 1
        self.now -= 1


inside = Inside()


def wait_for(true: Callable[[], object], seconds: float = GENEROUS) -> None:
    """Let the other greenlets run until *true* says so."""
    import time

    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        pause(0.001)


def in_native_thread(body: Callable[[], None]) -> Any:
    """Start *body* in a real thread; the lock that is free when it has ended."""
    running = allocate_lock()
    running.acquire()

    def run() -> None:
        try:
            body()
        finally:
            running.release()

    start_new_thread(run, ())
    return running


def greenlets() -> None:
    """Greenlets exclude each other, in order of arrival."""
    order: list[int] = []

    def body(number: int) -> None:
        with locks("n"):
            order.append(number)
            inside.visit(lambda: pause(0.001))

    for each in [spawn(body, number) for number in range(20)]:
        join(each)
    assert order == list(range(20)), order
    assert (inside.done, inside.violations) == (20, 0)


def spawned_without_a_thread() -> None:
    """eventlet's spawn_n: two writers got into fasteners (nova); gevent's raw greenlets."""
    import greenlet

    def body() -> None:
        with locks("n"):
            inside.visit(lambda: pause(0.001))

    for _ in range(20):
        if KIND == "eventlet":
            eventlet.spawn_n(body)
        else:
            hub = gevent.get_hub()
            hub.loop.run_callback(greenlet.greenlet(body, hub).switch)
    wait_for(lambda: inside.done == 20)
    assert inside.violations == 0


def with_native_threads() -> None:
    """Real threads and greenlets in one queue."""

    def native() -> None:
        for _ in range(100):
            with locks("n"):
                inside.visit(lambda: None)

    def green() -> None:
        for _ in range(50):
            with locks("n"):
                inside.visit(lambda: pause(0))

    threads = [in_native_thread(native) for _ in range(3)]
    for each in [spawn(green) for _ in range(4)]:
        join(each)
    wait_for(lambda: not any(thread.locked() for thread in threads))
    assert (inside.done, inside.violations) == (500, 0), vars(inside)


def with_the_thread_pool() -> None:
    """eventlet.tpool's and gevent's threads."""

    def native() -> None:
        for _ in range(50):
            with locks("n"):
                inside.visit(lambda: None)

    if KIND == "eventlet":
        from eventlet import tpool

        jobs = [spawn(tpool.execute, native) for _ in range(3)]
    else:
        pool = gevent.get_hub().threadpool
        jobs = [pool.spawn(native) for _ in range(3)]

    def green() -> None:
        for _ in range(50):
            with locks("n"):
                inside.visit(lambda: pause(0))

    greens = [spawn(green) for _ in range(3)]
    for each in (*jobs, *greens):
        join(each)
    assert (inside.done, inside.violations) == (300, 0), vars(inside)


def hub_runs_while_one_waits() -> None:
    """The holder is a real thread that waits for a beat of the hub; a blocked hub never beats."""
    beats = [0]
    go, held = allocate_lock(), allocate_lock()
    go.acquire()
    held.acquire()

    def hold() -> None:
        with locks("n"):
            held.release()
            go.acquire()

    thread = in_native_thread(hold)
    wait_for(lambda: not held.locked())

    def wait() -> None:
        with locks("n"):
            inside.visit(lambda: None)

    waiter = spawn(wait)
    wait_for(lambda: locks.waiters("n"))
    for _ in range(10):
        pause(0)
        beats[0] += 1
    go.release()
    join(waiter)
    wait_for(lambda: not thread.locked())
    assert inside.done == 1


def time_outs() -> None:
    """A greenlet gives up in time and lets those behind it in."""
    holder = locks("n", shared=True).acquire()
    failed: list[LockTimeout] = []

    def write() -> None:
        try:
            locks("n", timeout=0.05).acquire()
        except LockTimeout as error:
            failed.append(error)

    writer = spawn(write)
    wait_for(lambda: locks.waiters("n"))

    def read() -> None:
        with locks("n", shared=True):
            inside.visit(lambda: None)

    reader = spawn(read)
    join(reader)
    join(writer)
    assert len(failed) == 1
    assert inside.done == 1
    holder.release()


def killed_while_waiting() -> None:
    """A killed greenlet leaves the queue; its descriptor too."""
    time_outs()  # now the hub has all its own descriptors
    fds = len(os.listdir("/proc/self/fd"))
    holder = locks("n").acquire()
    waiters = [spawn(lambda: locks("n").__enter__()) for _ in range(5)]
    wait_for(lambda: len(locks.waiters("n")) == 5)
    for each in waiters:
        kill(each)
    wait_for(lambda: not locks.waiters("n"))
    holder.release()
    with locks("n", timeout=GENEROUS):
        pass
    assert len(os.listdir("/proc/self/fd")) <= fds + 2


def main_waits_for_a_greenlet() -> None:
    """The main greenlet, too, must let the hub run, or the holder never goes on."""

    def hold() -> None:
        with locks("n"):
            pause(0.01)

    holder = spawn(hold)
    wait_for(lambda: locks.holders("n"))
    with locks("n", timeout=10):
        pass
    join(holder)


def circles() -> None:
    """Two greenlets of one thread, each holding one name: neither is accused until it is true."""
    told: list[Deadlock] = []

    def innocent() -> None:
        for _ in range(50):
            with locks("a", timeout=GENEROUS):
                pause(0)

    for each in [spawn(innocent) for _ in range(5)]:
        join(each)

    def guilty(mine: str, other: str) -> None:
        with locks(mine):
            wait_for(lambda: len(locks.snapshot()) >= 2)
            try:
                with locks(other):
                    pass
            except Deadlock as error:
                told.append(error)

    for each in [spawn(guilty, "a", "b"), spawn(guilty, "b", "a")]:
        join(each)
    assert len(told) == 1
    assert "greenlet" in str(told[0])


def mutexes() -> None:
    """A mutex among greenlets and threads."""
    mutex = locks.mutex("n")

    def body() -> None:
        for _ in range(30):
            with mutex:
                inside.visit(lambda: pause(0))

    def native() -> None:
        for _ in range(100):
            with mutex:
                inside.visit(lambda: None)

    threads = [in_native_thread(native) for _ in range(2)]
    for each in [spawn(body) for _ in range(5)]:
        join(each)
    wait_for(lambda: not any(thread.locked() for thread in threads))
    assert (inside.done, inside.violations) == (350, 0), vars(inside)


def many_time_outs() -> None:
    """Descriptors come back, and no wake-up hits a stranger's."""
    time_outs()  # now the hub has all its own descriptors
    fds = len(os.listdir("/proc/self/fd"))

    def body() -> None:
        for _ in range(30):
            try:
                with locks("n", timeout=0.001):
                    pause(0.001)
            except LockTimeout:
                pass

    for each in [spawn(body) for _ in range(10)]:
        join(each)
    assert len(os.listdir("/proc/self/fd")) <= fds + 2


globals()[WHAT]()
assert locks.snapshot() == [], locks.snapshot()
