"""The ask: nothing held yet; entering or acquiring it gives a grant.

Two doors stand over one queue: threads (and greenlets) sleep, tasks await. Both hand the driver a
claim and are told. What happens around that is here: time-out, cancellation, circles, loss.
"""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from weakref import ref

from holdfast.doors.circles import Waiting
from holdfast.doors.grant import Grant, HandGrant, Hold
from holdfast.doors.sleep import known, sleep_through, sleeper
from holdfast.drivers.base import Told
from holdfast.errors import LockTimeout, NotHeld
from holdfast.locks.names import check_timeout
from holdfast.locks.table import Claim
from holdfast.locks.terms import Holder, Want

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from holdfast.lockspace import Lockspace

__all__ = ["Ask", "current_task", "is_cancellation"]

Forever = Literal["as given"]
AS_GIVEN: Forever = "as given"


class Ask:
    """What ``locks(...)`` gives. Immutable and reusable: each acquire gives a new grant.

    Entering one ask in two places at once raises RuntimeError. What an interrupted ``with`` left
    behind is given back when the ask is thrown away.
    """

    __slots__ = ("_held", "_name", "_space", "_timeout", "_wants")

    _space: Lockspace
    _name: str
    _wants: tuple[Want, ...]
    _timeout: float | None
    _held: Hold | None

    @property
    def wants(self) -> tuple[Want, ...]:
        """The names asked for, each with its mode."""
        return self._wants

    def acquire(self, timeout: float | Forever | None = AS_GIVEN) -> Grant:
        """Wait for it; at most *timeout* seconds, None for ever.

        Raises LockTimeout, Deadlock, and what the driver raises.
        """
        grant = HandGrant()
        self._wait(grant, self._limit(timeout))
        return grant.handed()

    def try_acquire(self) -> Grant | None:
        """The grant, or None if somebody is in the way; never waits, leaves no trace."""
        grant = HandGrant()
        claim = self._claim_for(grant, None)
        try:
            if not self._submit(claim, None):
                return None
            self._take(grant, claim)
        except BaseException:
            grant._drop()
            raise
        return grant.handed()

    async def acquire_async(self, timeout: float | Forever | None = AS_GIVEN) -> Grant:
        """Like :meth:`acquire`, for asyncio. If it is cancelled nothing is held or awaited."""
        grant = HandGrant()
        await self._await(grant, self._limit(timeout))
        return grant.handed()

    def __enter__(self) -> Grant:
        grant = self._new_hold()
        try:
            self._wait(grant, self._timeout)
        except BaseException:
            # Once more: a second exception may have ended the first time half-way.
            grant._drop()
            self._forget()
            raise
        return grant

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        hold = self._held
        if hold is not None and (grant := hold.grant) is not None:
            # Released first: if an exception strikes in between, the hold still knows the grant.
            held = grant._drop()
            self._forget()
            if not held:
                _explain_leaving(grant)

    async def __aenter__(self) -> Grant:
        before = current_task().cancelling()
        grant = self._new_hold()
        grant._before = before
        grant._struck = False
        try:
            await self._await(grant, self._timeout)
        except BaseException:
            grant._drop()
            self._forget()
            raise
        return grant

    async def _leave_async(self, cancelled: bool) -> None:
        """Leave ``async with``. A loss is raised, and only our own cancellation taken back."""
        hold = self._held
        if hold is None or (grant := hold.grant) is None:
            return
        task: Any = known(grant.who)
        grant.who = None
        held = grant._drop()
        self._forget()
        if held:
            return
        late = None
        if grant._struck and not cancelled:
            # Ours has not arrived yet: the body ended without another await.
            late = await _late_cancellation()
        asked = task.uncancel() if grant._struck else task.cancelling()
        if asked > grant._before and late:
            raise late
        if not (asked > grant._before and cancelled):  # or somebody outside cancelled, and wins
            _explain_leaving(grant)

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Awaitable[None]:
        return self._leave_async(is_cancellation(kind))

    def __repr__(self) -> str:
        wants = ", ".join(f"{name!r}: {mode}" for name, mode in self.wants)
        return f"<Ask for {wants}>"

    def _limit(self, timeout: float | Forever | None) -> float | None:
        return self._timeout if timeout == AS_GIVEN else check_timeout(timeout)

    def _new_hold(self) -> Grant:
        """A grant for ``with``, known to this ask before anything is asked."""
        grant = Grant()
        if self._held is not None:
            raise RuntimeError(f"{self!r} is entered already: make a new one for each `with`")
        grant.claim = None
        grant._space = self._space
        grant._name = ""
        hold = self._space._spare_hold()
        hold.grant = grant
        self._held = hold
        return grant

    def _forget(self) -> None:
        """Not entered any more. The hold is kept for the next."""
        hold = self._held
        if hold is not None:
            hold.grant = None
            self._held = None
            self._space._spare = hold

    def _claim_for(self, grant: Grant, who: object) -> Claim:
        """A new claim, which *grant* stands for from now on."""
        grant._space = space = self._space
        grant._era = space._era
        grant._sleeper = None
        grant.since = 0.0
        grant.who = who
        grant.claim = claim = Claim(self.wants, who)
        return claim

    def _submit(self, claim: Claim, tell: Told | None) -> bool:
        space = self._space
        granted: bool = space._driver.submit(claim, tell)
        if space._listeners:
            space._emit("asked", claim.names, claim.id)
        return granted

    def _take(self, grant: Grant, claim: Claim) -> None:
        """*claim* was granted: from now on its loss is told to the grant."""
        grant.since = claim.since
        if grant.__class__ is HandGrant:
            claim.who = grant.who = None
            grant.tell_me(claim)
        if self._space._listeners:
            self._space._emit("granted", claim.names, claim.id)
            grant.on_lost(lambda lost: self._space._emit("lost", lost.names, claim.id))
        if claim.state != "held":
            grant.told()

    def _wait(self, grant: Grant, timeout: float | None) -> None:
        """The threads' door. On any exception nothing is held or awaited."""
        claim = self._claim_for(grant, self._space._who())
        try:
            if not self._submit(claim, grant.told) and self._would_wait(claim, timeout):
                # Greenlets may have come into this process since somebody last waited.
                claim.who = grant.who = who = self._space._who_calls()
                with Waiting(self._space._driver, claim, known(who), _running_loop()):
                    self._sleep(grant, claim, timeout)
            self._take(grant, claim)
        except BaseException:
            grant._drop()
            raise

    def _would_wait(self, claim: Claim, timeout: float | None) -> bool:
        """Who gives no time does not wait, so is in no circle: it is told who is in the way."""
        if timeout == 0:
            self._refuse_unless_held(claim, 0.0)
        return timeout != 0

    def _sleep(self, grant: Grant, claim: Claim, timeout: float | None) -> None:
        began = monotonic()
        # Whoever was told before the sleeper was there finds it in the claim's state.
        grant._sleeper = sleep = sleeper()
        try:
            sleep_through(claim, sleep, timeout)
        finally:
            grant._sleeper = None
            sleep.close()
        self._refuse_unless_held(claim, monotonic() - began)

    async def _await(self, grant: Grant, timeout: float | None) -> None:
        """The tasks' door. On any exception, cancellation included, nothing is held or awaited."""
        task = current_task()
        claim = self._claim_for(grant, ref(task))
        try:
            if not self._submit(claim, grant.told) and self._would_wait(claim, timeout):
                with Waiting(self._space._driver, claim, task):
                    await self._nap(grant, claim, timeout)
            self._take(grant, claim)
        except BaseException:
            grant._drop()
            raise

    async def _nap(self, grant: Grant, claim: Claim, timeout: float | None) -> None:
        from holdfast.doors.tasks import Nap

        began = monotonic()
        grant._sleeper = nap = Nap()
        if claim.state == "waiting":
            await nap.sleep(timeout)
        grant._sleeper = None
        self._refuse_unless_held(claim, monotonic() - began)

    def _refuse_unless_held(self, claim: Claim, waited: float) -> None:
        if claim.state == "waiting":
            seen = [each for each, _ in self._space._driver.blockers(claim)]
            holders = [each for each in seen if isinstance(each, Holder)]
            if claim.state == "waiting":  # and was not granted while we looked who is in the way
                raise LockTimeout(claim.names, holders or seen, waited)
        if claim.state == "lost":
            assert claim.error is not None
            raise claim.error


def _explain_leaving(grant: Grant) -> None:
    """Why a body that is being left did not hold any more; quiet in the child of a fork."""
    lost = grant._lost()
    if lost is not None:
        raise lost
    if not grant._space._was_forked(grant):
        raise NotHeld(grant.names)


async def _late_cancellation() -> BaseException | None:
    from asyncio import CancelledError, sleep

    try:
        await sleep(0)
    except CancelledError as cancelled:
        return cancelled
    return None


def is_cancellation(kind: type[BaseException] | None) -> bool:
    """Whether the body ends because its task is cancelled."""
    return kind is not None and kind.__name__ == "CancelledError"


def current_task() -> Any:
    """The asyncio task that runs; if asyncio is not loaded, none does."""
    # Not asked first whether a loop runs: on Python 3.11 each such question is a system call.
    try:
        task = sys.modules["asyncio"].current_task()
    except (KeyError, RuntimeError):
        task = None
    if task is None:
        raise RuntimeError("`async with locks(...)` needs to run in an asyncio task")
    return task


def _running_loop() -> object:
    """The event loop that runs in this thread, if any."""
    events = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()
