"""Those who contend in a test: each asks by one of the doors, holds, and leaves when told.

A party never decides by itself when to go on, so a test says in which order things happen::

    one = start("thread", locks, "vm-1").expect_in()
    two = start("task", locks, "vm-1").expect_waiting(locks)
    one.leave()
    two.expect_in().leave()
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, Protocol

from holdfast.doors.ask import Ask
from holdfast.errors import HoldfastError
from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode
from holdfast.lockspace import Lockspace
from holdfast.testing.faults import GENEROUS, wait_until

__all__ = ["DOORS", "Door", "Party", "TaskParty", "ThreadParty", "ask_for", "start"]

Door = Literal["thread", "task", "process"]
DOORS: tuple[Door, ...] = ("thread", "task", "process")
MOMENT = 0.05
"""How long one looks at what should *not* happen, after all else shows that it did not."""


class _Starter(Protocol):
    """Something that starts parties of another process (see :mod:`holdfast.testing.peer`)."""

    def start(self, wants: Mapping[str, Mode], timeout: float | None) -> Party: ...


def ask_for(locks: Lockspace, wants: Mapping[str, Mode], timeout: float | None) -> Ask:
    """The ask in the fewest words, as users write it: a driver may have a short cut for those."""
    name, mode = next(iter(wants.items()))
    if len(wants) > 1 or mode.group is not None:
        return locks(dict(wants), timeout=timeout)
    if mode == EXCLUSIVE:
        return locks(name) if timeout is None else locks(name, timeout=timeout)
    if mode == SHARED:
        return locks(name, shared=True, timeout=timeout)
    return locks(name, slots=mode.limit, timeout=timeout)


class Party(ABC):
    """One who asks. ``error``: how it ended, if not well; ``tokens`` and ``id``: its grant's."""

    def __init__(self, wants: Mapping[str, Mode]) -> None:
        self.wants = dict(wants)
        self.entered = threading.Event()
        self.ended = threading.Event()
        self.error: BaseException | None = None
        self.tokens: dict[str, int] = {}
        self.id = ""

    def expect_in(self) -> Party:
        """Wait until it holds."""
        wait_until(lambda: self.entered.is_set() or self.ended.is_set(), f"{self} to get in")
        if self.error is not None:
            raise AssertionError(f"{self} did not get in") from self.error
        return self

    def expect_waiting(self, locks: Lockspace, place: int | None = None) -> Party:
        """Wait until *locks* lists it among the waiters (as number *place*), and not in."""
        name = next(iter(self.wants))
        known = 1 if place is None else place
        wait_until(
            lambda: self.entered.is_set() or len(locks.waiters(name)) >= known,
            f"{self} to be listed among the waiters of {name!r}",
        )
        self.expect_out()
        return self

    def expect_out(self) -> Party:
        """It does not hold, and does not get in within a moment either."""
        assert not self.entered.wait(MOMENT), f"{self} got in, though it is shut out"
        return self

    def expect_error(self, kind: type[BaseException]) -> BaseException:
        """Wait until it ended with an error of that kind."""
        wait_until(self.ended.is_set, f"{self} to end with {kind.__name__}")
        assert isinstance(self.error, kind), f"{self} ended with {self.error!r}"
        return self.error

    def leave(self) -> None:
        """Go on, and wait until it has left. Raises what it raised."""
        self.go_on()
        wait_until(self.ended.is_set, f"{self} to leave")
        if self.error is not None:
            raise self.error

    @abstractmethod
    def go_on(self) -> None:
        """Leave the body, if it is in; does not wait."""

    def __str__(self) -> str:
        asked = ", ".join(f"{name[-24:]!r}: {mode}" for name, mode in self.wants.items())
        return f"{type(self).__name__}({asked})"


class ThreadParty(Party):
    """By ``with``, in a thread of its own."""

    def __init__(self, locks: Lockspace, wants: Mapping[str, Mode], timeout: float | None) -> None:
        super().__init__(wants)
        self._ask = ask_for(locks, wants, timeout)
        self._go = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            with self._ask as grant:
                self.id, self.tokens = grant.id, grant.tokens
                self.entered.set()
                self._go.wait(2 * GENEROUS)
        except BaseException as error:
            self.error = error
        finally:
            self.ended.set()

    def go_on(self) -> None:
        """See :meth:`Party.go_on`."""
        self._go.set()


class TaskParty(Party):
    """By ``async with``, in a task of a loop that runs in a thread of its own."""

    def __init__(self, locks: Lockspace, wants: Mapping[str, Mode], timeout: float | None) -> None:
        super().__init__(wants)
        self._ask = ask_for(locks, wants, timeout)
        self._go = asyncio.Event()
        self._loop = _loop()
        self._future = asyncio.run_coroutine_threadsafe(self._run(), self._loop)

    async def _run(self) -> None:
        try:
            async with self._ask as grant:
                self.id, self.tokens = grant.id, grant.tokens
                self.entered.set()
                await asyncio.wait_for(self._go.wait(), 2 * GENEROUS)
        except (HoldfastError, TimeoutError, asyncio.CancelledError) as error:
            self.error = error
        finally:
            self.ended.set()

    def go_on(self) -> None:
        """See :meth:`Party.go_on`."""
        self._loop.call_soon_threadsafe(self._go.set)

    def cancel(self) -> None:
        """Cancel the task."""
        self._future.cancel()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="testing-loop").start()
    return loop


def start(
    door: Door,
    locks: Lockspace,
    wants: Mapping[str, Mode],
    *,
    timeout: float | None = None,
    peer: _Starter | None = None,
) -> Any:
    """A party that asks by *door*; that of another process needs a *peer*."""
    if door == "process":
        assert peer is not None, "a party of another process needs a peer"
        return peer.start(wants, timeout)
    kind = ThreadParty if door == "thread" else TaskParty
    return kind(locks, wants, timeout)
