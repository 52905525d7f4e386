"""The peers, each as its own documentation says to use it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any

from benchmarks.results import Unavailable
from holdfast import DriverError, Lockspace, Unsupported

__all__ = ["FILE_PEERS", "HOLDFAST", "LockByKey", "open_file_space", "oslo_internal"]

HOLDFAST = "holdfast"


class LockByKey:
    """nova's idea, done right: a lock for each key, made when it is wanted, counted, and forgotten
    when nobody wants it any more. It keeps no facts: no token, no owner, no time, no order.
    """

    __slots__ = ("_entry", "_key")

    _mutex = Lock()
    _entries: dict[str, list[Any]] = {}  # noqa: RUF012 - key: [lock, users], shared by all

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        with self._mutex:
            entry = self._entries.get(self._key)
            if entry is None:
                entry = self._entries[self._key] = [Lock(), 0]
            entry[1] += 1
        self._entry = entry
        entry[0].acquire()

    def __exit__(self, *_: object) -> None:
        entry = self._entry
        entry[0].release()
        with self._mutex:
            entry[1] -= 1
            if entry[1] == 0:
                del self._entries[self._key]


def oslo_internal() -> Callable[[str], AbstractContextManager[object]]:
    """oslo.concurrency's keyed lock of one process."""
    from oslo_concurrency import lockutils

    return lockutils.internal_lock


# Between processes ------------------------------------------------------------------------------

Hold = Callable[[], AbstractContextManager[object]]
"""Gives what one enters to hold the one name."""


def open_file_space(folder: str, **options: Any) -> Lockspace:
    """A lockspace of this host in *folder*. Raises Unavailable if there is no such driver yet."""
    try:
        return Lockspace(f"file://{folder}", **options)
    except (ImportError, AttributeError, Unsupported, DriverError) as error:
        raise Unavailable(f"the file driver does not open: {error}") from error


def _holdfast(folder: str) -> Hold:
    os.makedirs(folder, exist_ok=True)
    locks = open_file_space(os.path.join(folder, "space"))
    return lambda: locks("vm-1")


def _fasteners(folder: str) -> Hold:
    from fasteners import InterProcessLock

    lock = InterProcessLock(os.path.join(folder, "fasteners"))
    return lambda: lock


def _filelock(folder: str) -> Hold:
    from filelock import FileLock

    lock = FileLock(os.path.join(folder, "filelock"))
    return lambda: lock


def _portalocker(folder: str) -> Hold:
    from portalocker import Lock as PortalockerLock

    lock = PortalockerLock(os.path.join(folder, "portalocker"), timeout=3600)
    return lambda: lock


def _oslo(folder: str) -> Hold:
    from oslo_concurrency import lockutils

    return lambda: lockutils.lock("vm-1", external=True, lock_path=folder)


class _Flock:
    """What the kernel itself costs: open, flock, close."""

    __slots__ = ("_fd", "_path")

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _flock(folder: str) -> Hold:
    lock = _Flock(os.path.join(folder, "flock"))
    return lambda: lock


FILE_PEERS: dict[str, Callable[[str], Hold]] = {
    HOLDFAST: _holdfast,
    "fasteners": _fasteners,
    "filelock": _filelock,
    "portalocker": _portalocker,
    "oslo external": _oslo,
    "raw flock": _flock,
}
"""Given a folder of its own, each opens what one process needs to hold the one name."""
