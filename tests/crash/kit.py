"""What the crash tests share: drivers, claims that somebody waits for, and forks that report."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from holdfast.drivers.base import Options
from holdfast.drivers.file import FileDriver, open_file
from holdfast.drivers.filespace.layout import H_REPAIRS
from holdfast.locks.table import Claim
from holdfast.locks.terms import EXCLUSIVE, Mode

PATIENCE = 20.0
"""Seconds after which something that must happen is taken to never happen."""


def opened(path: Path | str, label: str = "", **extra: object) -> FileDriver:
    return open_file(f"file://{path}", Options(label=label, extra=tuple(extra.items())))


class Ask:
    """A claim with somebody who waits for it."""

    def __init__(self, driver: FileDriver, *names: str, mode: Mode = EXCLUSIVE, **modes: Mode):
        wants = tuple((name, mode) for name in names) + tuple(modes.items())
        self.driver = driver
        self.claim = Claim(wants)
        self.told = threading.Event()

    def submit(self) -> bool:
        return self.driver.submit(self.claim, self.told.set)

    def attempt(self) -> bool:
        return self.driver.submit(self.claim, None)

    def held(self, timeout: float = PATIENCE) -> bool:
        """Whether it is held, after waiting for that."""
        until = time.monotonic() + timeout
        while self.claim.state == "waiting" and time.monotonic() < until:
            self.told.wait(0.2 if timeout else 0)
        return self.claim.state == "held"

    def drop(self) -> bool:
        return self.driver.drop(self.claim)


def submitted(asks: list[Ask]) -> set[bool]:
    """What each of them was answered, in order, all together."""
    return {ask.submit() for ask in asks}


def child(work: Callable[[], object]) -> int:
    """A forked process that does *work* and exits: 0, or 1 after an exception, which it prints."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def ended(pid: int) -> int:
    """The exit code of a child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def until(true: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until *true*; an AssertionError that says *what* never came otherwise."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.002)


def repairs(driver: FileDriver) -> int:
    """How often anybody had to repair this lockspace."""
    space = driver._ready()
    return space.words[H_REPAIRS]


def used_records(driver: FileDriver) -> int:
    """Records that are not free, of all processes."""
    space = driver._ready()
    return sum(1 for _ in space.records(chunk for chunk, _ in space.owned()))


def indexed(driver: FileDriver) -> int:
    """Buckets of the index that are not empty."""
    from holdfast.drivers.filespace.layout import INDEX, SLOTS

    words = driver._ready().words[INDEX:SLOTS].tolist()
    return len(words) - words.count(0)


def assert_empty(driver: FileDriver) -> None:
    """Nothing is held or awaited, and not a record is left."""
    assert driver.look("") == []
    assert used_records(driver) == 0
    assert indexed(driver) == 0
