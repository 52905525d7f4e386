"""What a driver is: the keeper of a lockspace. It has no colour: it neither blocks nor awaits.

A driver takes a claim and a way to tell (:meth:`Driver.submit`), and gives it up
(:meth:`Driver.drop`); threads, greenlets and asyncio are doors over that. A stranger's driver is a
callable ``open(url, options) -> Driver`` behind an entry point of the group ``holdfast.drivers``
whose name is the URL's scheme; :mod:`holdfast.testing` holds the suite that it must pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from holdfast.locks.table import Claim
from holdfast.locks.terms import Holder, Mode, Owner, Waiter

__all__ = ["Driver", "Guarantees", "OpenDriver", "Options", "Told"]

Told = Callable[[], None]


class Guarantees(NamedTuple):
    """What a driver promises; :mod:`holdfast.testing` proves it, or the driver may not say it."""

    reach: Literal["process", "host", "cluster"]
    """Who excludes each other: the users of one process, of one host, of all hosts."""
    fifo: bool
    """Conflicting asks are served in order of arrival."""
    fenced: bool
    """A token is larger than that of every earlier grant it was incompatible with, restarts
    included."""
    takeover: float | None
    """Seconds from the death of a holder's process to the next grant at most; 0 means that the
    kernel tells at once; None: there is no bound, or (reach "process") nobody outlives it."""
    survives: frozenset[Literal["holder", "restart", "reboot"]] = frozenset()
    """What leaves the lockspace working and its tokens growing: the death of a holder at any
    instruction, the end of every process that used it, a boot of the host."""
    modes: frozenset[str] = frozenset({"exclusive", "shared", "group", "slots"})
    """The modes it can grant; others are refused with Unsupported when asked."""
    several_names: bool = True
    """It grants asks of several names, all or none."""
    limits: tuple[str, ...] = ()
    """What it cannot promise, a sentence each, for ``holdfast doctor``."""


class Options(NamedTuple):
    """What ``Lockspace(url, label=..., **options)`` was given. Unknown options are refused."""

    label: str = ""
    ttl: float | None = None
    extra: tuple[tuple[str, object], ...] = ()


class Driver(Protocol):
    """One lockspace, opened. All methods may be called from any thread and return soon."""

    @property
    def guarantees(self) -> Guarantees: ...

    @property
    def owner(self) -> Owner:
        """Who this process is to the others that use the lockspace."""
        ...

    def submit(self, claim: Claim, tell: Told | None) -> bool:
        """Ask. True: granted at once, ``claim.state`` is "held". False: it waits in the queue.

        *tell* is called, from any thread, without arguments and soon, after each later change of
        ``claim.state`` that the owner did not make: to "held", or to "lost" with ``claim.error``
        set (LockLost, or Closed for a waiter whose lockspace was closed). It must not block or
        raise. With *tell* None nobody waits: False means that the claim left no trace.
        The driver sets ``claim.id``, ``since`` and, when granted, the seats' tokens.
        Raises Unsupported, DriverError; the claim then has left no trace.
        """
        ...

    def drop(self, claim: Claim) -> bool:
        """I neither hold nor wait: release, cancel and time-out in one idempotent verb.

        True if it was held until now. Never releases what somebody else holds by now. May be
        called from a finaliser or a signal handler that interrupted this very driver, and again
        after an exception ended it half-way.
        """
        ...

    def blockers(self, claim: Claim) -> list[tuple[Holder | Waiter, Claim | None]]:
        """Who is in the way of a waiting claim, with their claims where they are this process's."""
        ...

    def rivals(self, claim: Claim) -> list[tuple[str, Mode, Claim | None]]:
        """The same in the bare: name, the mode of the one in the way, and its claim if it is this
        process's. Asked before each wait, to find circles; so it should be quick. One that waits
        for just the same may be left out: whoever is in its way is in this one's, too."""
        ...

    def look(self, prefix: str) -> list[Holder | Waiter]:
        """All holders and waiters of names that begin with *prefix*: by name, holders first, each
        in order of arrival."""
        ...

    def break_(self, name: str, id: str, why: str) -> bool:
        """Take *name*, and all other names of that grant, from the holder whose id this is.

        False, and nothing changed, if no present holder of *name* has that id. The holder, if
        alive, is told: its claim is "lost".
        """
        ...

    def forked(self) -> None:
        """This is a fork's child, before anything else runs: hold nothing, close what is the
        parent's without unlocking it. Afterwards the driver works as if just opened."""
        ...

    def close(self) -> None:
        """Release all that is held; waiters are told, their error is Closed. Idempotent."""
        ...


class OpenDriver(Protocol):
    """The entry point of a driver."""

    def __call__(self, url: str, options: Options) -> Driver: ...
