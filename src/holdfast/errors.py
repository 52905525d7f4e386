"""Every error that holdfast raises; each carries its facts and says them in one sentence.

HoldfastError
 ├─ LockBusy            could not be had: somebody else holds it
 │   └─ LockTimeout     ... within the time given            (also TimeoutError)
 ├─ LockLost            was held and is no longer
 ├─ NotHeld             release of what is not held          (also RuntimeError)
 ├─ BadName             a name that no lockspace accepts     (also ValueError)
 ├─ Deadlock            waiting would never end; see .circle
 ├─ Unsupported         this driver does not keep that promise
 └─ DriverError         the lockspace itself failed
     └─ Closed          ... because it was closed
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

__all__ = [
    "BadName",
    "Closed",
    "Deadlock",
    "DriverError",
    "HoldfastError",
    "LockBusy",
    "LockLost",
    "LockTimeout",
    "NotHeld",
    "Unsupported",
    "quoted",
]


class _HasOwner(Protocol):
    """What an error needs of a holder: something that ``str`` turns into who, where, since when."""

    def __str__(self) -> str: ...


def quoted(names: Iterable[str]) -> str:
    """The names as a sentence shows them: ``'a', 'b'``."""
    return ", ".join(map(repr, names))


class HoldfastError(Exception):
    """The root of all errors of holdfast."""


class LockBusy(HoldfastError):
    """The lock could not be had.

    Attributes: ``name`` (the first name asked), ``names`` (all of them), ``holders`` (those in the
    way, as :class:`holdfast.Holder`), ``waited`` (seconds).
    """

    def __init__(
        self, names: Sequence[str], holders: Sequence[_HasOwner] = (), waited: float = 0.0
    ) -> None:
        self.names = tuple(names)
        self.name = self.names[0] if self.names else ""
        self.holders = tuple(holders)
        self.waited = waited
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        return f"{quoted(self.names)} is busy: {self._in_the_way()}"

    def _in_the_way(self) -> str:
        if not self.holders:
            return "its holder is not known any more; ask again"
        return "; ".join(map(str, self.holders))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.names, self.holders, self.waited)


class LockTimeout(LockBusy, TimeoutError):
    """The lock could not be had within the time given; ``holders`` names who had it."""

    def _sentence(self) -> str:
        waited = f"{self.waited:.3g} s"
        return f"gave up on {quoted(self.names)} after {waited}: {self._in_the_way()}"


class LockLost(HoldfastError):
    """A lock that was held is no longer: its session ended, or somebody broke it.

    Attributes: ``names``, ``name`` (the first), ``why``.
    """

    def __init__(self, names: Sequence[str], why: str) -> None:
        self.names = tuple(names)
        self.name = self.names[0] if self.names else ""
        self.why = why
        super().__init__(f"lost {quoted(self.names)}: {why}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.names, self.why)


class NotHeld(HoldfastError, RuntimeError):
    """Release of a grant that is not held (any more); nothing was changed.

    Attributes: ``names``, ``name`` (the first).
    """

    def __init__(self, names: Sequence[str], why: str = "it was released before") -> None:
        self.names = tuple(names)
        self.name = self.names[0] if self.names else ""
        self.why = why
        super().__init__(f"{quoted(self.names)} is not held by this grant: {why}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.names, self.why)


class BadName(HoldfastError, ValueError):
    """A name that no lockspace accepts. Attributes: ``name``, ``why``."""

    def __init__(self, name: object, why: str) -> None:
        self.name = name
        self.why = why
        shown = repr(name)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        super().__init__(f"bad lock name {shown}: {why}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.name, self.why)


class Deadlock(HoldfastError):
    """Waiting would never end: each waits for the next, and the last for the first.

    Attribute ``circle``: one sentence for each step, in order.
    """

    def __init__(self, circle: Sequence[str]) -> None:
        self.circle = tuple(circle)
        super().__init__("waiting would never end: " + ", and ".join(self.circle))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.circle,)


class Unsupported(HoldfastError):
    """This driver does not keep the promise that was asked for; the message names another way."""


class DriverError(HoldfastError):
    """The lockspace itself failed: its directory, its server, its disk. Nothing was granted."""


class Closed(DriverError):
    """The lockspace was closed, by ``close()`` or by the end of its ``with``."""
