"""The one lock of the file: flock on a kept descriptor, which the kernel frees on death.

**Nobody waits for our GIL.** ``fcntl.flock`` gives up the GIL; beside a busy thread it comes back
holding the mutex, and then waits 5 ms for the GIL while every neighbour waits for the mutex. So:

* flock is called through ``ctypes.PyDLL``, which keeps the GIL, and never blocks;
* it is called by the ``next`` of an iterator: ``for busy in mutex.take: break``. CPython gives the
  GIL away, and runs signal handlers, only after a call, at the start of a function and on a jump
  back. A ``for`` is none of these. So a run of loads and stores between ``take`` and ``give``
  is never interrupted, and the short way of :mod:`holdfast.drivers.file` is such a run;
* who finds it taken sleeps *without* it, a little longer each time, and tries again.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from time import monotonic

from holdfast.drivers.filespace.unpatched import sleep
from holdfast.errors import DriverError

__all__ = ["Mutex", "Patience", "stuck"]

STUCK_AFTER = 5.0
"""Seconds after which an ask that cannot even look at the queue says so, instead of waiting on."""
SPINS = 20
SHORTEST, LONGEST = 50e-6, 2e-3

_libc = ctypes.PyDLL(None)
_flock, _unlock = _libc["flock"], _libc["flock"]
_unlock.restype = None


class Mutex:
    """flock on *fd*. ``take`` and ``give`` never end; each step of ``take`` is 0 if it is ours."""

    __slots__ = ("fd", "give", "take")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.take: Iterator[int] = map(_flock, repeat(fd), repeat(fcntl.LOCK_EX | fcntl.LOCK_NB))
        self.give: Iterator[None] = map(_unlock, repeat(fd), repeat(fcntl.LOCK_UN))

    def holder(self) -> int:
        """The pid of whoever has it, as this pid namespace knows it; 0 if it does not."""
        inode = os.fstat(self.fd).st_ino
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            # 1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF
            words = line.split()
            if words[1] == "FLOCK" and words[-3].rpartition(":")[2] == str(inode):
                return max(0, int(words[-4]))
        return 0

    def why_not(self) -> str:
        """Why it cannot be taken, "" if it can by now."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "somebody is inside"
        except OSError as error:
            return os.strerror(error.errno or 0)
        fcntl.flock(self.fd, fcntl.LOCK_UN)
        return ""


class Patience:
    """How long to go on trying: a few turns of the processor, then sleeps that double."""

    __slots__ = ("_nap", "_spins", "_until")

    def __init__(self, seconds: float = STUCK_AFTER) -> None:
        self._spins = SPINS
        self._nap = SHORTEST
        self._until = monotonic() + seconds

    def pause(self) -> bool:
        """Let others go on. False if patience is at its end."""
        if self._spins:
            self._spins -= 1
            os.sched_yield()
            return True
        sleep(self._nap)
        self._nap = min(self._nap * 1.5, LONGEST)
        return monotonic() < self._until


def stuck(path: str, who: str, why: str) -> DriverError:
    """What to tell an operator when somebody sits stopped inside the mutex."""
    return DriverError(
        f"the lockspace {path} could not be entered for {STUCK_AFTER:g} s ({why}): {who} sits"
        " inside its mutex, stopped or frozen; wake it (kill -CONT) or end it (kill -9)"
    )
