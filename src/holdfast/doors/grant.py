"""The grant: what a user has while holding."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from holdfast.doors.sleep import known
from holdfast.drivers.memory import claim_of
from holdfast.errors import LockLost, NotHeld
from holdfast.locks.table import Claim
from holdfast.locks.terms import Owner

if TYPE_CHECKING:
    from holdfast.lockspace import Lockspace

__all__ = ["Grant", "HandGrant", "Hold", "Wakeable"]


class Wakeable(Protocol):
    """Whoever sleeps until its claim is told."""

    def wake(self) -> None: ...


OnLost = Callable[[LockLost], object]


class Grant:
    """A granted ask. It is what ``with locks(...) as grant`` and ``acquire()`` give.

    Not made by users. A grant that :mod:`holdfast.drivers.memory` granted by its short cut is
    itself the *lone* record in the table: ``claim`` is None until somebody unfolds it.
    """

    # "_watch", "_before" and "_struck" stay unset until needed: a `with` pays for each store.
    __slots__ = (
        "__weakref__", "_before", "_era", "_name", "_sleeper", "_space", "_struck", "_watch",
        "claim", "number", "since", "who",
    )  # fmt: skip

    _space: Lockspace
    _sleeper: Wakeable | None
    _name: str
    _watch: list[OnLost]
    _before: int
    _era: int
    _struck: bool
    number: int
    claim: Claim | None
    since: float
    """When it was granted, in seconds since the epoch."""
    who: object
    """The thread, greenlet or task that holds it in ``with``; None if anyone may release it.

    Only a weak reference to a task or greenlet: it may keep the exception that ended it, that the
    frames it came through, and these the ask, whose finaliser then would never run.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The names held, in the order of the ask."""
        return (self._name,) if self.claim is None else self.claim.names

    @property
    def token(self) -> int:
        """The fencing token: larger than those of all earlier holders that this one shut out.

        Raises ValueError for a grant of several names, which has ``tokens``.
        """
        if self.claim is None:
            return self.number
        if len(self.claim.wants) > 1:
            raise ValueError("a grant of several names has a token for each: use .tokens")
        return self.claim.seats[0].token

    @property
    def tokens(self) -> dict[str, int]:
        """The fencing token of each name."""
        return {self._name: self.number} if self.claim is None else self.claim.tokens

    @property
    def id(self) -> str:
        """A text that no other grant of this lockspace has; what ``break_`` wants to see."""
        return self._space._id_of(self)

    @property
    def owner(self) -> Owner:
        """This process, as the others see it."""
        owner: Owner = self._space._driver.owner
        return owner

    @property
    def deadline(self) -> float | None:
        """Until when it is held for sure, in CLOCK_BOOTTIME seconds; None: until it is released."""
        return None

    @property
    def held(self) -> bool:
        """False from the moment that its loss or release is known, or its deadline past."""
        if self.claim is None and self._space._has_lone(self._name, self):
            return True
        # Looked at again: it may have been unfolded in between.
        return self.claim is not None and self.claim.state == "held"

    def ensure_held(self) -> None:
        """Raises LockLost if it was lost, NotHeld if it was released."""
        if not self.held:
            raise self._lost() or NotHeld(self.names)

    def on_lost(self, callback: OnLost) -> None:
        """Have *callback* called once with LockLost, should it be lost; at once if it is already.

        It is called from the thread that learns of the loss: keep it short.
        """
        self._watching().append(callback)
        self.told()

    def release(self) -> None:
        """Give it back. Raises NotHeld if that was done before, LockLost if it was lost."""
        name, claim = self.names[0], self.claim
        if not self._drop():
            raise self._lost() or NotHeld(self.names)
        self._era = self._space._era
        if claim is None and self.claim is None:
            self.claim = _gone(name, self)

    async def release_async(self) -> None:
        """The same, for coroutines; the drivers of one host and one process never block."""
        self.release()

    def told(self) -> None:
        """The driver tells: who waits is woken; if it was lost, each callback is called, once."""
        sleeper = getattr(self, "_sleeper", None)
        if sleeper is not None:
            sleeper.wake()
        lost = self._lost()
        if lost is not None:
            watch = self._watching()
            try:
                while watch:
                    _tell_one(watch.pop(0), lost)
            except IndexError:
                pass  # another thread called the last one
            self._interrupt()

    def _watching(self) -> list[OnLost]:
        # Made first: between the failed read and the store nothing may run, or two threads that
        # both find no list would each make one, and one callback would be lost.
        new: list[OnLost] = []
        try:
            return self._watch
        except AttributeError:
            self._watch = new
            return new

    def _lost(self) -> LockLost | None:
        error = self.claim.error if self.claim is not None else None
        return error if isinstance(error, LockLost) else None

    def _interrupt(self) -> None:
        """If a task holds it in ``async with``, cancel its body."""
        who: Any = known(self.who)
        if hasattr(who, "uncancel"):
            try:
                who.get_loop().call_soon_threadsafe(self._cancel)
            except RuntimeError:
                pass  # the loop was closed under its task

    def _cancel(self) -> None:
        """Runs in the loop's own thread; once the body has been left ``who`` is None."""
        who: Any = known(self.who)
        if who is not None and not self._struck:
            self._struck = True
            who.cancel(f"lost {', '.join(self.names)}")

    def _drop(self) -> bool:
        """I do not hold it. True if it was held until now. Quiet, and harmless if repeated."""
        if (claim := self.claim) is not None:
            return self._space._drop(claim)
        return self._space._give(self)

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.names))
        return f"<Grant of {names}: {'held' if self.held else 'not held'}>"


class Hold:
    """What an entered ask owns, and nobody else: if it dies with the ask, the grant is given back.

    It is kept and used again, so that on the way out of an ordinary ``with`` no finaliser runs:
    that would cost as much as the grant, and a Ctrl-C that strikes inside a finaliser is reported
    and lost (one in five, in a busy loop).
    """

    __slots__ = ("grant",)

    grant: Grant | None

    def __del__(self) -> None:
        grant = getattr(self, "grant", None)
        if grant is not None:
            grant._drop()


class HandGrant(Grant):
    """What ``acquire()`` gives: nobody but its user releases it.

    It is not known to the driver, so that its being abandoned is noticed; the claim stays held.
    """

    __slots__ = ("_handed",)

    _handed: Literal["out", "going", "back"]

    def tell_me(self, claim: Claim) -> None:
        """Have *claim* tell this grant for as long as its user keeps it."""
        me = weakref.ref(self)

        def tell() -> None:
            grant = me()
            if grant is not None:
                grant.told()

        claim.tell = tell

    def handed(self) -> Grant:
        """The last step of acquiring: from now on only the user releases it."""
        self._handed = "out"
        return self

    def release(self) -> None:
        """Give it back. Raises NotHeld if that was done before, LockLost if it was lost."""
        self._handed = "going"
        Grant.release(self)
        self._handed = "back"

    def __del__(self) -> None:
        claim, handed = getattr(self, "claim", None), getattr(self, "_handed", "")
        if claim is None or handed == "back":
            return
        if handed != "out" or claim.state != "held":
            self._drop()  # an exception may have struck on the way out of acquire() or release()
            return
        names = ", ".join(map(repr, claim.names))
        warnings.warn(
            f"the grant of {names} was thrown away without release(): it stays held",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )


def _tell_one(callback: OnLost, lost: LockLost) -> None:
    """Whoever tells is often a stranger to the callback, and must not suffer from its errors."""
    try:
        callback(lost)
    except Exception:
        from logging import getLogger

        getLogger("holdfast").exception("a callback of on_lost() failed; %s", lost)


def _gone(name: str, lone: Grant) -> Claim:
    """The claim of a lone grant that its user released, so that the second time is noticed."""
    claim = claim_of(name, lone)
    claim.state = "gone"
    return claim
