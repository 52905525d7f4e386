"""A name with the face of ``threading.Lock``, and of ``asyncio.Lock`` in ``async with``."""

from __future__ import annotations

from time import time
from types import TracebackType
from typing import TYPE_CHECKING

from holdfast.doors.sleep import sleep_through, sleeper
from holdfast.errors import NotHeld
from holdfast.locks.table import Claim

if TYPE_CHECKING:
    from holdfast.doors.ask import Ask
    from holdfast.lockspace import Lockspace

__all__ = ["Mutex", "ShortMutex"]

TIMEOUT_MAX = 9223372036.0  # threading.TIMEOUT_MAX, which importing threading would cost


class Mutex:
    """One name, exclusive, for code written for ``threading.Lock`` or ``asyncio.Lock``.

    Share it freely; whoever has it may release it, from any thread or task. Not re-entrant. Two
    mutexes of one name exclude each other, and each is released through itself.
    """

    __slots__ = ("__weakref__", "_ask", "_era", "_name", "_space", "claim")

    claim: Claim | None

    def __init__(self, space: Lockspace, name: str, ask: Ask) -> None:
        self._space = space
        self._name = name
        self._ask = ask
        self._era = space._era
        self.claim = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it. False if it is busy and *blocking* is false or *timeout* seconds have passed."""
        limit = _limit(blocking, timeout)
        claim = Claim(self._ask.wants)
        sleep = sleeper()
        try:
            try:
                if not self._space._driver.submit(claim, None if limit == 0 else sleep.wake):
                    sleep_through(claim, sleep, limit)
            finally:
                sleep.close()
            # No call between the store and the way out: an exception finds both done, or neither.
            if claim.state == "held":
                self.claim = claim
                return True
        except BaseException:
            self._space._drop(claim)
            raise
        return self._refused(claim)

    def release(self) -> None:
        """Give it back. Raises NotHeld (a RuntimeError) if it is not locked, LockLost if lost."""
        claim = self.claim
        if claim is None:
            raise NotHeld((self._name,), "release unlocked lock")
        held = self._space._drop(claim)
        if self.claim is claim:
            self.claim = None
        if self._era != self._space._era:
            self._era = self._space._era
            return  # a fork's child leaves what its parent entered
        if not held:
            raise claim.error or NotHeld((self._name,), "release unlocked lock")

    def locked(self) -> bool:
        """Whether anybody holds the name, through this mutex or not."""
        return bool(self._space.holders(self._name))

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    async def __aenter__(self) -> None:
        from holdfast.doors.tasks import Nap

        claim = Claim(self._ask.wants)
        nap = Nap()
        try:
            if not self._space._driver.submit(claim, nap.wake):
                await nap.sleep(None)
            if claim.state == "held":
                self.claim = claim
                return
        except BaseException:
            self._space._drop(claim)
            raise
        self._refused(claim)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _refused(self, claim: Claim) -> bool:
        """The waiting is over, and *claim* was not granted, or not before it was too late."""
        self._space._drop(claim)
        if claim.state == "lost":
            assert claim.error is not None
            raise claim.error
        return False

    def _at_fork_reinit(self) -> None:
        """The private verb by which the standard library frees its locks in a fork's child."""
        claim, self.claim = self.claim, None
        if claim is not None:
            self._space._drop(claim)

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} holdfast.Mutex object of {self._name!r} at {id(self):#x}>"


class ShortMutex(Mutex):
    """The same, of a driver that lends its table; in ``with`` it is itself the lone record.

    See :mod:`holdfast.drivers.memory` for why the marked runs are sound.
    """

    __slots__ = ("number", "since")

    who = None
    """Anyone may release it."""

    def __enter__(self) -> bool:
        now = time()
        table = self._space._table
        # The run `take`.
        if self._name not in table.lines:
            table.last = self.number = table.last + 1
            table.lines[self._name] = self
            self.since = now
            return True
        return Mutex.acquire(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        lines = self._space._lent.lines
        # The run `give`.
        try:
            if lines[self._name] is self:
                del lines[self._name]
                return
        except KeyError:
            pass
        Mutex.release(self)

    def release(self) -> None:
        """Give it back. Raises NotHeld (a RuntimeError) if it is not locked, LockLost if lost."""
        self.__exit__(None, None, None)

    def told(self) -> None:
        """A loss is seen when it is released."""

    def _at_fork_reinit(self) -> None:
        self._space._lent.lines.pop(self._name, None)
        Mutex._at_fork_reinit(self)


def _limit(blocking: bool, timeout: float) -> float | None:
    """The arguments of ``threading.Lock.acquire``, with its errors, as seconds to wait."""
    if not blocking and timeout != -1:
        raise ValueError("can't specify a timeout for a non-blocking call")
    if timeout < 0 and timeout != -1:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > TIMEOUT_MAX:
        raise OverflowError("timeout value is too large")
    if not blocking:
        return 0
    return None if timeout == -1 else timeout
