"""The bugs of other lock libraries (field note, section 5), one test each."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress

import pytest

from holdfast import Deadlock, Lockspace, LockTimeout
from holdfast.testing.faults import Interrupted, wait_until
from tests.races.harness import GENEROUS, crowd
from tests.races.tasks import until


@pytest.fixture
def locks():
    with Lockspace() as space:
        yield space


def throw(thread: threading.Thread, error: type[BaseException]) -> None:
    """What debuggers and job servers do: an exception into another thread."""
    ident = ctypes.c_ulong(thread.ident or 0)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(error)) == 1


async def test_cancelled_writer_wakes_queued_readers_of_aiorwlock(locks):
    """R1 holds, W queues, R2 queues behind W, W is cancelled: R2 enters beside R1."""
    async with locks("n", shared=True):
        writer = asyncio.create_task(locks("n").acquire_async())
        reader = asyncio.create_task(locks("n", shared=True).acquire_async())
        await until(lambda: len(locks.waiters("n")) == 2)
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer
        (await asyncio.wait_for(reader, GENEROUS)).release()
    assert locks.snapshot() == []


def test_timed_out_writer_wakes_queued_readers_of_corefx(locks):
    """The same with a time-out, among threads (dotnet/corefx 3364)."""
    holder = locks("n", shared=True).acquire()
    failed: list[LockTimeout] = []
    entered = threading.Event()

    def write() -> None:
        try:
            locks("n", timeout=0.3).acquire()
        except LockTimeout as error:
            failed.append(error)

    def read() -> None:
        with locks("n", shared=True):
            entered.set()

    writer, *_ = crowd(write)
    wait_until(lambda: locks.waiters("n") or failed, "the writer")
    reader, *_ = crowd(read)
    assert entered.wait(GENEROUS)
    writer.join(GENEROUS)
    reader.join(GENEROUS)
    assert len(failed) == 1
    assert failed[0].holders[0].id == holder.id
    holder.release()


def test_exception_thrown_into_a_waiting_writer_of_fasteners(locks):
    """A holds, B waits, an exception is thrown into B, A releases: C must get in."""
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            while True:
                # A blocked thread sees the exception only when it comes back from the wait.
                with suppress(LockTimeout), locks("n", timeout=0.01):
                    raise AssertionError("B got in")
        except Interrupted as error:
            ended.append(error)

    holder = locks("n").acquire()
    (thread,) = crowd(wait)
    wait_until(lambda: locks.waiters("n"), "B")
    throw(thread, Interrupted)
    thread.join(GENEROUS)
    assert len(ended) == 1
    assert locks.waiters("n") == []
    holder.release()
    with locks("n", timeout=GENEROUS):
        pass
    assert locks.snapshot() == []


def test_signal_in_a_waiting_writer_of_fasteners(locks):
    """The same with a signal handler that raises, which wakes the main thread from its wait."""

    def interrupt(*_):
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    holder = locks("n").acquire()

    def strike() -> None:
        wait_until(lambda: locks.waiters("n"), "the main thread to wait")
        os.kill(os.getpid(), signal.SIGUSR1)

    crowd(strike)
    try:
        with pytest.raises(Interrupted), locks("n"):
            raise AssertionError("entered")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert locks.waiters("n") == []
    holder.release()
    assert locks.snapshot() == []


def in_child(work) -> int:
    """The exit status of a fork that does *work*; 99 if that raised or took too long."""
    child = os.fork()
    if not child:
        signal.alarm(int(GENEROUS))
        try:
            os._exit(work() or 0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("unfolded", [False, True], ids=["lone", "queue"])
def test_fork_while_another_thread_holds(locks, unfolded):
    """The child of threading.Lock waits for ever, for a thread that is not there."""
    go = threading.Event()
    entered = threading.Event()

    def hold() -> None:
        with locks("n"):
            entered.set()
            go.wait(GENEROUS)

    (thread,) = crowd(hold)
    entered.wait(GENEROUS)
    if unfolded:
        assert locks("n").try_acquire() is None

    def child() -> int:
        assert locks.snapshot() == []
        with locks("n"):
            return 7

    assert in_child(child) == 7
    assert len(locks.holders("n")) == 1
    go.set()
    thread.join(GENEROUS)


@pytest.mark.parametrize("unfolded", [False, True], ids=["lone", "queue"])
def test_fork_inside_with_is_left_quietly_by_the_child(locks, unfolded):
    """The child holds nothing; the exit of its copy touches nothing, and the parent still holds."""
    mutex = locks.mutex("m")

    def child() -> int:
        assert not grant.held
        assert locks("n").try_acquire() is not None
        return 5

    with locks("n") as grant, mutex:
        if unfolded:
            assert locks("n").try_acquire() is None
            assert not mutex.acquire(blocking=False)
        pid = os.fork()
        if not pid:
            status = child()
    if not pid:
        os._exit(status)  # after both exits, quietly
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert locks.snapshot() == []


def test_fork_while_other_threads_are_inside_the_driver(locks):
    """The driver's own mutex is taken by a thread that the child does not have."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            with locks("n", "m"):
                pass

    threads = crowd(*[churn] * 3)

    def child() -> int:
        with locks("n", "m", timeout=GENEROUS):
            return 3

    try:
        assert {in_child(child) for _ in range(30)} == {3}
    finally:
        stop.set()
        for thread in threads:
            thread.join(GENEROUS)


def test_two_asks_for_one_name_exclude_each_other_in_one_process(locks):
    """With lockf the owner is the process: two objects on one path both got the lock."""
    first = locks("n").acquire()
    assert locks("n").try_acquire() is None
    assert not locks.mutex("n").acquire(blocking=False)
    first.release()


def test_two_asks_of_one_thread_do_not_wait_for_each_other_for_ever(locks):
    """filelock 315: silent self-deadlock."""
    with locks("n"), pytest.raises(Deadlock):
        locks("n").acquire()


def test_with_never_enters_without_holding(locks):
    """etcd3gw and pyetcd entered after their time-out; ours raises."""
    holder = locks("n").acquire()
    with pytest.raises(LockTimeout), locks("n", timeout=0.01):
        raise AssertionError("entered")
    holder.release()


async def test_async_with_never_enters_without_holding(locks):
    holder = locks("n").acquire()
    with pytest.raises(LockTimeout):
        async with locks("n", timeout=0.01):
            raise AssertionError("entered")
    holder.release()
    assert locks.snapshot() == []


def test_an_ask_kept_and_shared_is_not_entered_twice(locks):
    """A kept handle was "me" for everyone who shared it: the second thread walked in."""
    shared = locks("n")
    caught: list[BaseException] = []

    def enter() -> None:
        try:
            with shared:
                caught.append(AssertionError("entered"))
        except RuntimeError as error:
            caught.append(error)

    with shared:
        crowd(enter)[0].join(GENEROUS)
    assert [type(error) for error in caught] == [RuntimeError]
    with shared:
        assert len(locks.holders("n")) == 1
    assert locks.snapshot() == []


@pytest.mark.parametrize("ending", ["pass", "sys.exit(3)", "raise SystemExit(3)", "os.kill(0, 0)"])
def test_interpreter_exit_while_others_hold_and_wait_is_clean_and_quiet(ending):
    program = f"""
        import os, sys, threading, warnings
        from holdfast import Lockspace
        locks = Lockspace()
        def hold():
            with locks("n"):
                held.set()
                threading.Event().wait()
        def wait():
            with locks("n"):
                pass
        held = threading.Event()
        threading.Thread(target=hold, daemon=True).start()
        held.wait()
        for _ in range(3):
            threading.Thread(target=wait, daemon=True).start()
        while len(locks.waiters("n")) < 3:
            pass
        left = locks("kept")
        left.__enter__()
        {ending}
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (("3" in ending and 3) or 0, "", "")
