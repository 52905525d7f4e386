"""Faults on purpose: an exception, a death or a stop at one exact point of a block.

A race that a million random runs miss is certain when the fault is put at *every* point in turn::

    for point in itertools.count(1):           # each bytecode that `work` runs in holdfast
        if not interrupt(work, point):         # ... ends in an exception once
            break

:func:`die_at` does the same with SIGKILL, in a child. The points are bytecodes of Python frames;
what runs inside one C call (a system call, say) happens or does not.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import holdfast

__all__ = [
    "Interrupted",
    "count_points",
    "die_at",
    "interrupt",
    "state_of",
    "stopped",
    "wait_until",
]

HERE = str(Path(holdfast.__file__).parent)
"""Only frames of code below this folder have points, unless one says otherwise."""

GENEROUS = float(os.environ.get("HOLDFAST_TESTING_PATIENCE", "30"))
"""Seconds after which a wait that should have ended is a failure; never what is measured."""


class Interrupted(KeyboardInterrupt):
    """What :func:`interrupt` raises: a Ctrl-C that only the one who ordered it will catch."""


Act = Callable[[], None]


class _Trace:
    """A trace function that acts once, at the *point*-th bytecode of frames below *within*."""

    def __init__(self, point: int, act: Act, within: str) -> None:
        self.left = point
        self.act = act
        self.within = within
        self.done = False

    def __call__(self, frame: FrameType, _event: str, _: Any) -> Any:
        """Trace the frames of interest by bytecode."""
        if self.done or not frame.f_code.co_filename.startswith(self.within):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self.step

    def step(self, _frame: FrameType, event: str, _: Any) -> Any:
        """One event of a frame of interest."""
        if event != "opcode" or self.done:
            return self.step
        self.left -= 1
        if self.left <= 0:
            self.done = True
            self.act()
        return self.step


def _traced(block: Act, trace: _Trace) -> None:
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        block()
    finally:
        sys.settrace(before)


def interrupt(
    block: Act,
    point: int,
    error: Callable[[], BaseException] = Interrupted,
    *,
    within: str = HERE,
) -> bool:
    """Run *block*, raising *error* once, at its *point*-th bytecode (from 1) below *within*.

    Returns False if the block has fewer points, and so ended by itself. An error that the block
    swallows counts as raised; one of its own passes through.
    """
    raised: list[BaseException] = []

    def act() -> None:
        raised.append(error())
        raise raised[0]

    trace = _Trace(point, act, within)
    try:
        _traced(block, trace)
    except BaseException as caught:
        if not raised or not _comes_from(caught, raised[0]):
            raise
    return trace.done


def _comes_from(caught: BaseException | None, error: BaseException) -> bool:
    """Whether *caught* is *error*, or was raised while it was handled."""
    while caught is not None and caught is not error:
        caught = caught.__cause__ or caught.__context__
    return caught is error


def count_points(block: Act, *, within: str = HERE) -> int:
    """How many points *block* has; it is run once."""
    trace = _Trace(sys.maxsize, _nothing, within)
    _traced(block, trace)
    return sys.maxsize - trace.left


def _nothing() -> None:
    pass


def die_at(block: Act, point: int, *, within: str = HERE) -> bool:
    """Fork; the child runs *block* and is killed with SIGKILL at its *point*-th bytecode.

    Returns False if the child came to the end of the block. What the block needs of its own
    (a lockspace, say) it must open itself: a fork holds nothing. Raises AssertionError if the
    block failed in the child; its traceback is on standard error.
    """
    child = os.fork()
    if not child:
        _be_the_child(block, _Trace(point, _die, within))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    assert status == 0, f"the block failed in the child: wait status {status}"
    return False


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _be_the_child(block: Act, trace: _Trace) -> None:
    status = 1
    try:
        _traced(block, trace)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Inside, the process *pid* is stopped (SIGSTOP), as by a debugger or a frozen host."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: state_of(pid) in "Tt", f"process {pid} to stop")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def state_of(pid: int) -> str:
    """The letter that /proc has for the state of *pid*: R, S, D, T, Z ...; X if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X"
    return text.rpartition(")")[2].split()[0]


def wait_until(true: Callable[[], object], what: str, seconds: float = GENEROUS) -> None:
    """Return as soon as *true* says so. Raises AssertionError, naming *what*, after *seconds*."""
    end = time.monotonic() + seconds
    pause = 0.0005
    while not true():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
