"""Signals that raise at random points of `with`: nothing stays held, and nobody sleeps for ever.

How often a `with` is left without its exit, and how often an exception ends inside a finaliser
(CPython reports and drops it there), is printed beside threading.Lock's.
"""

from __future__ import annotations

import ctypes
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest

from holdfast import EXCLUSIVE, Lockspace, LockTimeout, NotHeld, slots
from holdfast.testing.faults import Interrupted
from tests.races.delivery import HOLDFAST
from tests.races.harness import GENEROUS, crowd, often, switching

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:the grant of:ResourceWarning"),
]


@pytest.fixture
def locks():
    with Lockspace() as space:
        yield space


@contextmanager
def raising(where: Callable[[FrameType], bool]) -> Iterator[Counter[str]]:
    """Inside, SIGALRM raises if it finds the main thread *where* it should."""
    count: Counter[str] = Counter()

    def strike(_: int, frame: FrameType | None) -> None:
        if frame is not None and where(frame):
            count["raised"] += 1
            raise Interrupted
        if count["armed"]:  # too early or too late: once more, in a moment
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 1e-4))

    def swallowed(what: Any) -> None:
        count["swallowed"] += what.exc_type is Interrupted

    handler, hook = signal.signal(signal.SIGALRM, strike), sys.unraisablehook
    sys.unraisablehook = swallowed
    try:
        yield count
    finally:
        count["armed"] = 0
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        sys.unraisablehook = hook


def storm(visit: Callable[[], None], check: Callable[[], None], times: int) -> Counter[str]:
    """Visit again and again, until *times* visits have been struck; *check* after each of these."""
    code = visit.__code__

    def here(frame: FrameType) -> bool:
        return frame.f_code is code or frame.f_code.co_filename.startswith(HOLDFAST)

    with raising(here) as count:
        while count["raised"] < times:
            count["armed"] = 1
            before = count["raised"]
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 1e-4))
                while count["raised"] == before:
                    visit()
            except Interrupted:
                pass
            count["armed"] = 0
            signal.setitimer(signal.ITIMER_REAL, 0)
            check()
    return count


def report(what: str, count: Counter[str]) -> None:
    left, swallowed, raised = count["left"], count["swallowed"], count["raised"]
    print(
        f"{what}: {raised} strikes, {left} left locked ({left / raised:.2%}), "
        f"{swallowed} ended in a finaliser ({swallowed / raised:.2%})"
    )


STRIKES = often(soak=100_000, test=2_000)


def test_threading_lock_for_comparison():
    lock = threading.Lock()
    left = Counter()

    def visit() -> None:
        with lock:
            pass

    def check() -> None:
        if lock.locked():
            left["left"] += 1
            lock.release()

    report("threading.Lock", storm(visit, check, STRIKES) + left)


@pytest.mark.parametrize("kind", ["one name", "as grant", "many names", "time-out", "several"])
def test_nothing_stays_held_after_the_finaliser(locks, kind):
    names = iter(range(10**9))

    def one() -> None:
        with locks("n"):
            pass

    def as_grant() -> None:
        with locks("n") as grant:
            grant.ensure_held()

    def many() -> None:
        with locks(f"n-{next(names)}"):
            pass

    def time_out() -> None:
        with locks("n", timeout=GENEROUS):
            pass

    def several() -> None:
        with locks({"n": EXCLUSIVE, "m": slots(2)}):
            pass

    def check() -> None:
        assert locks.snapshot() == []

    visit = {
        "one name": one,
        "as grant": as_grant,
        "many names": many,
        "time-out": time_out,
        "several": several,
    }[kind]
    count = storm(visit, check, STRIKES)
    report(f"with locks(...), {kind}", count)
    if kind in ("one name", "as grant", "many names"):
        assert count["swallowed"] < count["raised"] / 50, "a Ctrl-C must not be lost"
    assert locks._driver.table.lines == {}


def test_mutex_is_left_locked_seldom_and_usable_always(locks):
    mutex = locks.mutex("n")
    left = Counter()

    def visit() -> None:
        with mutex:
            pass

    def check() -> None:
        if mutex.locked():
            left["left"] += 1
            mutex.release()
        assert locks.snapshot() == []

    count = storm(visit, check, STRIKES) + left
    report("with mutex", count)
    assert count["left"] < count["raised"] / 2


@pytest.mark.parametrize("kind", ["ask", "several", "shared"])
def test_contended_names_survive_and_other_threads_go_on(locks, kind):
    """Three threads take the same name all the time; the main thread is struck wherever it is."""
    ask = {
        "ask": lambda: locks("n"),
        "several": lambda: locks("n", "m"),
        "shared": lambda: locks("n", shared=True),
    }[kind]
    stop, turns = threading.Event(), Counter()

    def churn() -> None:
        while not stop.is_set():
            with locks("n"):
                turns[threading.get_ident()] += 1

    def visit() -> None:
        with ask():
            pass

    def check() -> None:
        mine = threading.get_ident()
        for line in tuple(locks._driver.table.lines.values()):
            seats = tuple(line) if isinstance(line, list) else (line,)
            assert mine not in [getattr(seat, "claim", seat).who for seat in seats]

    others = crowd(churn, churn, churn)
    try:
        count = storm(visit, check, often(soak=30_000, test=400))
    finally:
        stop.set()
    for thread in others:
        thread.join(GENEROUS)
        assert not thread.is_alive(), "a thread sleeps for ever"
    report(f"contended, {kind}", count)
    assert len(turns) == 3
    assert locks.snapshot() == []


def test_exceptions_thrown_into_threads_that_acquire_wait_and_release(locks):
    """PyThreadState_SetAsyncExc at random moments; whoever is left over gets in all the same."""
    stop = threading.Event()
    struck: Counter[str] = Counter()

    def once(turn: int) -> None:
        if turn % 3 == 0:
            with locks("n"):
                pass
        elif turn % 3 == 1:
            with suppress(LockTimeout), locks("n", "m", timeout=0.001):
                pass
        else:
            with locks("n", shared=True) as grant:
                grant.ensure_held()

    def churn() -> None:
        turn = 0
        while not stop.is_set():
            try:
                while not stop.is_set():
                    turn += 1
                    once(turn)
            except (Interrupted, NotHeld):
                struck["raised"] += 1

    def live() -> None:
        # What strikes outside of the `try` ends churn itself: start it anew.
        while not stop.is_set():
            with suppress(Interrupted):
                churn()

    hook, sys.unraisablehook = sys.unraisablehook, lambda _: struck.update(swallowed=1)
    threads = crowd(*[live] * 4)
    try:
        with switching(1e-5):
            for _ in range(often(soak=50_000, test=1_500)):
                ident = random.choice(threads).ident
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(ident or 0), ctypes.py_object(Interrupted)
                )
                threading.Event().wait(random.uniform(0, 2e-4))
    finally:
        stop.set()
        for thread in threads:
            thread.join(GENEROUS)
        sys.unraisablehook = hook
    assert not any(thread.is_alive() for thread in threads), "a thread sleeps for ever"
    print(f"thrown into threads: {struck['raised']} raised, {struck['swallowed']} swallowed")
    with locks("n", timeout=GENEROUS):
        pass
    assert locks.snapshot("n") == locks.snapshot("m") == []
