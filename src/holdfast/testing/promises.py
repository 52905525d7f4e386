"""What a driver may promise, and what its promise is called in tests, reports and docs.

A promise that a driver does not make is refused: aloud where one can ask for it (Unsupported), in
words (``guarantees.limits``) where one cannot. The suite tests that too. So a hole never looks
like a pass, and nothing is skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.drivers.base import Guarantees

__all__ = ["PROMISES", "Promise"]


def _always(_: Guarantees) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise: its sentence, and whether a driver makes it."""

    says: str
    claimed: Callable[[Guarantees], bool] = _always


PROMISES: dict[str, Promise] = {
    "exclusion": Promise("Two asks that exclude each other never hold at the same time."),
    "shared": Promise(
        "Sharers hold together; everyone else is shut out.", lambda g: "shared" in g.modes
    ),
    "group": Promise(
        "Sharers of one group hold together; everyone else is shut out.",
        lambda g: "group" in g.modes,
    ),
    "slots": Promise(
        "Of slots n there are at most n holders; an ask that another name blocks reserves none.",
        lambda g: "slots" in g.modes,
    ),
    "several names": Promise("Several names are granted all or none.", lambda g: g.several_names),
    "order": Promise("Conflicting asks are served in order of arrival.", lambda g: g.fifo),
    "waking": Promise("Whoever leaves or gives up lets those behind move at once."),
    "giving up": Promise("A time-out or a cancellation leaves no trace and says who was there."),
    "release": Promise("A second release is an error and changes nothing."),
    "seeing": Promise("Holders and waiters are seen as they are, in queue order."),
    "tokens": Promise(
        "A token is larger than those of all earlier holders that it shut out.", lambda g: g.fenced
    ),
    "break": Promise("A lock is taken only from the grant that was meant, and its holder is told."),
    "close": Promise("Closing gives back what is held, and ends waiters with an error."),
    "nothing left": Promise("No trace remains of a name that nobody holds or awaits."),
    "fork": Promise("A fork holds nothing, and its end touches nothing."),
    "refusals": Promise("What is not promised is refused when it is asked for."),
    "processes": Promise("Processes exclude each other.", lambda g: g.reach != "process"),
    "death": Promise(
        "A holder or waiter that dies is gone: the next one gets in.",
        lambda g: g.reach != "process" and g.takeover is not None,
    ),
    "any instruction": Promise(
        "Death at any instruction leaves the lockspace working.",
        lambda g: "holder" in g.survives and g.reach != "process",
    ),
    "restart": Promise(
        "Tokens go on growing when every process that used the lockspace has ended.",
        lambda g: "restart" in g.survives,
    ),
}
