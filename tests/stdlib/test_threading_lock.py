"""``mutex`` is what code written for ``threading.Lock`` expects: CPython's own tests, and ours."""

from __future__ import annotations

import os
import re
import signal
import threading
import unittest
from typing import Any

import pytest

from holdfast import Lockspace, NotHeld
from holdfast.testing.faults import wait_until
from tests.races.harness import GENEROUS, crowd

try:
    from test import lock_tests
except ImportError:  # Debian keeps CPython's tests in a package of their own
    lock_tests = None


SPACE = Lockspace()


def mutex() -> Any:
    return SPACE.mutex("x")


def names_of(kind: str) -> list[str]:
    suite = getattr(lock_tests, kind, None)
    return [] if suite is None else unittest.TestLoader().getTestCaseNames(suite)


def run_test(kind: str, name: str, **types: Any) -> None:
    """One test of CPython's, of a class whose lock is ours."""
    suite = type(kind, (getattr(lock_tests, kind),), types)
    result = unittest.TestResult()
    suite(name).run(result)
    assert not [text for _, text in (*result.failures, *result.errors)]
    assert result.testsRun == 1


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert SPACE.snapshot() == []


@pytest.mark.parametrize("name", names_of("LockTests"))
def test_cpythons_lock_tests(name):
    run_test("LockTests", name, locktype=staticmethod(fresh_mutex))


def fresh_mutex() -> Any:
    """CPython's tests make many locks and expect them to be different ones, also abandoned."""
    return Lockspace().mutex("x")


@pytest.mark.parametrize("name", names_of("ConditionTests"))
@pytest.mark.soak
def test_cpythons_condition_tests_over_a_mutex(name):
    condition = lambda lock=None: threading.Condition(fresh_mutex() if lock is None else lock)
    run_test("ConditionTests", name, condtype=staticmethod(condition))


def test_condition_over_a_mutex():
    """The standard library builds on acquire(0), release and `with`."""
    condition = threading.Condition(mutex())
    got: list[int] = []

    def take() -> None:
        with condition:
            while not got:
                assert condition.wait(GENEROUS)

    (thread,) = crowd(take)
    with condition:
        got.append(1)
        condition.notify_all()
    thread.join(GENEROUS)
    assert not thread.is_alive()


# Our own, for interpreters without CPython's tests; each runs against both locks --------------


@pytest.fixture(params=["threading.Lock", "mutex"])
def make(request):
    return mutex if request.param == "mutex" else threading.Lock


def test_acquire_and_release(make):
    lock = make()
    assert lock.acquire() is True
    assert lock.locked() is True
    assert lock.acquire(False) is False
    assert lock.acquire(blocking=False) is False
    assert lock.acquire(True, 0.01) is False
    assert lock.acquire(timeout=0) is False
    assert lock.release() is None
    assert lock.locked() is False


def test_with_gives_true_and_releases_on_errors(make):
    lock = make()
    with pytest.raises(ZeroDivisionError), lock as entered:
        assert entered is True
        assert lock.locked()
        raise ZeroDivisionError
    assert not lock.locked()


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((False, 1), ValueError),
        ((True, -100), ValueError),
        ((True, -0.5), ValueError),
        ((True, 1e100), OverflowError),
        ((True, threading.TIMEOUT_MAX + 1), OverflowError),
        ((True, "1"), TypeError),
    ],
)
def test_bad_arguments_raise_the_same(make, args, error):
    lock = make()
    with pytest.raises(error):
        lock.acquire(*args)
    assert not lock.locked()


def test_release_of_an_unlocked_one_is_a_runtime_error(make):
    lock = make()
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        lock.release()
    with lock:
        pass
    with pytest.raises(RuntimeError):
        lock.release()


def test_release_of_an_unlocked_mutex_says_which():
    with pytest.raises(NotHeld, match="'x'"):
        mutex().release()


def test_any_thread_may_release(make):
    lock = make()
    lock.acquire()
    crowd(lock.release)[0].join(GENEROUS)
    assert lock.acquire(timeout=GENEROUS)
    lock.release()


def test_repr_is_of_the_same_style(make):
    lock = make()
    assert re.fullmatch(r"<unlocked .* object (.*)?at 0x.*>", repr(lock))
    with lock:
        assert re.fullmatch(r"<locked .* object (.*)?at 0x.*>", repr(lock))


def test_not_reentrant_but_patient(make):
    """No Deadlock: another thread may release it, and here one does."""
    lock = make()
    lock.acquire()
    timer = threading.Timer(0.02, lock.release)
    timer.start()
    assert lock.acquire(timeout=GENEROUS)
    timer.join()
    lock.release()


def test_after_a_fork_the_child_leaves_it_as_the_parent_does(make):
    """`with lock: fork()`: both leave the block."""
    lock = make()
    lock.acquire()
    child = os.fork()
    if not child:
        status = 1
        try:
            lock.release()
            status = 0 if lock.acquire(blocking=False) and not lock.acquire(blocking=False) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    lock.release()


def test_at_fork_reinit_frees_it(make):
    """What logging and threading do in a fork's child."""
    lock = make()
    lock.acquire()
    lock._at_fork_reinit()
    assert not lock.locked()
    with lock:
        lock._at_fork_reinit()
        lock.acquire()


def test_signal_that_raises_ends_the_wait(make):
    class Struck(Exception):
        pass

    def strike(*_: object) -> None:
        raise Struck

    lock = make()
    lock.acquire()
    before = signal.signal(signal.SIGALRM, strike)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Struck):
            lock.acquire(timeout=GENEROUS)
    finally:
        signal.signal(signal.SIGALRM, before)
    lock.release()
    assert lock.acquire(blocking=False)
    lock.release()


def test_signal_whose_handler_returns_does_not_end_the_wait(make):
    seen: list[int] = []
    lock = make()
    lock.acquire()
    before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        thread = crowd(lambda: (wait_until(lambda: len(seen) > 3, "signals"), lock.release()))[0]
        assert lock.acquire(timeout=GENEROUS)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    thread.join(GENEROUS)
    lock.release()


def test_mutexes_of_one_name_are_one_lock():
    one, other = mutex(), mutex()
    with one:
        assert other.locked()
        assert not other.acquire(blocking=False)
        with pytest.raises(RuntimeError):
            other.release()
        assert one.locked()
