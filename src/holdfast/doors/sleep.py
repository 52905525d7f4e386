"""How a native thread or a greenlet sleeps until its claim is told; and who it is.

A greenlet must not block its thread, or the hub that would wake it never runs. It waits in its
hub for an event descriptor instead, which any native thread may write to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from posix import close, eventfd, eventfd_write
from time import monotonic
from typing import Any, Protocol
from weakref import ref

from holdfast.locks.table import Claim
from holdfast.native import allocate_lock, get_ident

__all__ = [
    "GreenSleeper",
    "Sleeper",
    "ThreadSleeper",
    "identity",
    "known",
    "sleep_through",
    "sleeper",
]

# From posix, not os: eventlet patches os.
EVENT_FLAGS = 0o2000000 | 0o4000  # EFD_CLOEXEC | EFD_NONBLOCK


class Sleeper(Protocol):
    """One sleep of one thread or greenlet; ``wake`` may come first, often, and from anywhere."""

    def sleep(self, timeout: float | None) -> None: ...
    def wake(self) -> None: ...
    def close(self) -> None: ...


class ThreadSleeper:
    """A native thread: it takes a lock twice, and waking is the release."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def sleep(self, timeout: float | None) -> None:
        """Until woken, or *timeout* seconds have passed."""
        # The C call refuses more than some 290 years.
        self._lock.acquire(True, -1 if timeout is None else min(timeout, 1e9))

    def wake(self) -> None:
        """Wake it, now or when it goes to sleep."""
        try:
            self._lock.release()
        except RuntimeError:
            pass  # woken already

    def close(self) -> None:
        """Nothing to give back."""


class GreenSleeper:
    """A greenlet of eventlet or gevent: its hub waits for a descriptor."""

    __slots__ = ("_event", "_wait")

    def __init__(self, wait: Callable[[int, float | None], None]) -> None:
        self._wait = wait
        self._event: _Event | None = _Event(eventfd(0, EVENT_FLAGS))

    def sleep(self, timeout: float | None) -> None:
        """Until woken, or *timeout* seconds have passed; other greenlets run meanwhile."""
        # Not kept in a variable: the traceback of whoever is killed here would keep it open.
        if self._event is not None:
            self._wait(self._event.fd, timeout)

    def wake(self) -> None:
        """Wake it, now or when it goes to sleep."""
        if (event := self._event) is not None:
            eventfd_write(event.fd, 1)

    def close(self) -> None:
        """Give the descriptor back."""
        self._event = None


class _Event:
    """An event descriptor, closed when nobody refers to it any more.

    The sleeper may give up while another thread is about to wake it. Were it closed then, somebody
    else could open a file, get the same number, and have that written to. A lock would not do: a
    signal handler inside it may wake the same sleeper.
    """

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        close(self.fd)


class _TimedOutError(Exception):
    """Raised by a hub when the time is over."""


def _wait_in_gevent(fd: int, timeout: float | None) -> None:
    from gevent.socket import wait_read

    try:
        wait_read(fd, timeout=timeout, timeout_exc=_TimedOutError())
    except _TimedOutError:
        pass


def _wait_in_eventlet(fd: int, timeout: float | None) -> None:
    from eventlet.hubs import trampoline

    try:
        trampoline(fd, read=True, timeout=timeout, timeout_exc=_TimedOutError)
    except _TimedOutError:
        pass


def sleeper() -> Sleeper:
    """The way to sleep for whoever calls."""
    if "greenlet" in sys.modules:
        wait = _wait_in_hub()
        if wait is not None:
            return GreenSleeper(wait)
    return ThreadSleeper()


def _wait_in_hub() -> Callable[[int, float | None], None] | None:
    """How to wait in this thread's hub; None if it has none, and so no other greenlets.

    Its main greenlet, too, waits there: others of this thread may be what it waits for.
    """
    gevent: Any = sys.modules.get("gevent._hub_local")
    if gevent is not None and gevent.get_hub_if_exists() is not None:
        return _wait_in_gevent
    eventlet: Any = sys.modules.get("eventlet.hubs")
    if eventlet is not None and hasattr(eventlet._threadlocal, "hub"):
        return _wait_in_eventlet
    return None


def sleep_through(claim: Claim, sleep: Sleeper, timeout: float | None) -> None:
    """Until *claim* no longer waits, or *timeout* seconds have passed; None: for ever."""
    end = None if timeout is None else monotonic() + timeout
    while claim.state == "waiting":
        left = None if end is None else end - monotonic()
        if left is not None and left <= 0:
            return
        sleep.sleep(left)


def identity() -> Callable[[], object]:
    """The function that tells who calls: the greenlet, if there are any, or the native thread."""
    greenlet = sys.modules.get("greenlet")
    return get_ident if greenlet is None else partial(_this_greenlet, greenlet.getcurrent)


def _this_greenlet(current: Callable[[], object]) -> object:
    return ref(current())


def known(who: Any) -> Any:
    """The greenlet or task that *who* refers to, None if there is none any more; or the ident."""
    return who() if who.__class__ is ref else who
