"""The one thread that sleeps for all waiters of this process, and for holders who may lose.

It sleeps in the kernel without a time-out, so an idle one costs nothing; it wakes when another
process writes into our FIFO, or when one that we watch dies. It also finishes what an exception
(Ctrl-C) left half done in another thread, since no exception of a signal ever strikes here.
"""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Callable
from typing import Any

from holdfast.drivers.filespace.peers import Fifo, Peers
from holdfast.errors import DriverError
from holdfast.native import allocate_lock, start_new_thread

__all__ = ["Dead", "Listener", "complain"]

Dead = list[tuple[int, int]]
RETRY = 0.2
"""Seconds between two attempts at what could not be finished because the mutex is stuck."""


class Listener:
    """Calls *attend(dead)*, in its own thread, after each event. True from it: try again soon."""

    def __init__(self, fifo: Fifo, peers: Peers, attend: Callable[[Dead], bool]) -> None:
        self._fifo = fifo
        self._peers = peers
        self._attend = attend
        self._stopped = False
        self._started = False
        self._dead: Dead = []
        self._running: Any = allocate_lock()

    def start(self) -> None:
        """Start the thread, if that was not done before. Raises DriverError if there is no room."""
        if self._started:
            return
        with self._running:
            if self._started:
                return
            try:
                start_new_thread(self._run, ())
            except RuntimeError as error:
                raise DriverError(
                    "no thread can be started to wait in; raise the limit of tasks (ulimit -u)"
                ) from error
            self._started = True

    def poke(self) -> None:
        """Have it look around now."""
        self._fifo.poke()

    def stop(self, patience: float) -> bool:
        """End the thread; whether it ended within *patience* seconds."""
        self._stopped = True
        if not self._started:
            return True
        self._fifo.poke()
        if not self._running.acquire(timeout=patience):
            return False
        self._running.release()
        return True

    def _run(self) -> None:
        with self._running:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            again = False
            while not self._stopped:
                again = self._turn(RETRY if again else -1)

    def _turn(self, timeout: float) -> bool:
        for fd, event in self._peers.poll.poll(timeout):
            if fd == self._fifo.read:
                self._fifo.drain()
            elif event & (select.EPOLLERR | select.EPOLLHUP):
                died = self._peers.died(fd)
                self._dead += [died] if died else []
        if self._stopped:
            return False
        try:
            again = self._attend(self._dead)
        except (DriverError, OSError):
            return True
        except Exception:
            # A fault of ours must be seen, and must not leave all waiters of this process asleep.
            complain()
            return True
        self._dead = []
        return again


def complain() -> None:
    """Show the exception that is being handled, as the interpreter would; not while it ends."""
    if not sys.is_finalizing():
        sys.excepthook(*sys.exc_info())
