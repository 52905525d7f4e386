"""The keeper's descendants, as ``/proc`` shows them: whom a lost lock concerns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from holdfast.cli.failure import complain

__all__ = ["adopt_orphans", "ancestors", "descends_from", "signal_descendants"]

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on whoever loses its parent becomes this process's child, and is still found."""
    import ctypes  # only needed when a lock was lost

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        complain(f"grandchildren may escape: {os.strerror(ctypes.get_errno())}")


def signal_descendants(number: int) -> None:
    """Send it to every child of this process, and to theirs, parents first."""
    children = _children()
    found = list(children.get(os.getpid(), ()))
    for pid in found:  # grows while it is walked
        found.extend(children.get(pid, ()))
        _send(pid, number)


def descends_from(pid: int, ancestor: int) -> bool:
    """Whether *pid* is *ancestor* or one of its descendants; False for a process that has gone."""
    return pid == ancestor or ancestor in ancestors(pid)


def ancestors(pid: int) -> Iterator[int]:
    """Its parent, that one's parent, and so on; none for a process that has gone."""
    while pid := _parent(pid):
        yield pid


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            found.setdefault(_parent(int(entry)), []).append(int(entry))
    return found


def _parent(pid: int) -> int:
    """Field 4 of ``/proc/PID/stat``; the command in field 2 may hold spaces and brackets."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _send(pid: int, number: int) -> None:
    # Gone, or a setuid program: what may not be killed is waited for.
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
