"""What ``holdfast doctor`` tries out about a directory and the host it is on.

Nothing is taken on trust: locks are taken by descriptors and by processes, a process is killed, and
the time is measured until the others learn of it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

from holdfast.drivers.filespace.files import SPACE
from holdfast.drivers.filespace.ground import REMOTE, file_system
from holdfast.drivers.filespace.layout import (
    FORMAT,
    H_FORMAT,
    H_INSIDE,
    H_REPAIRS,
    TOTAL_BYTES,
    Map,
)
from holdfast.drivers.filespace.mutex import Mutex, Patience
from holdfast.drivers.filespace.peers import is_alive
from holdfast.drivers.filespace.space import owner_at
from holdfast.drivers.owner import boot_id

__all__ = ["probe"]

Found = tuple[str, bool, str]
PATIENCE = 10.0

# A child that takes the lock, opens the FIFO, maps the file and stores a word; then it sleeps.
CHILD = """
import fcntl, mmap, os, signal, sys
where = sys.argv[1]
lock = os.open(where + "/lock", os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX)
fifo = os.open(where + "/fifo", os.O_RDONLY | os.O_NONBLOCK)
words = memoryview(mmap.mmap(os.open(where + "/map", os.O_RDWR), 0)).cast("Q")
words[3] = 2**63 + 5
print(flush=True)
signal.pause()
"""


def probe(directory: str) -> list[Found]:
    """(what, whether it is as it must be, what was found) for each thing that was tried."""
    found = list(_of_directory(directory))
    if all(good for _, good, _ in found):
        found += _of_primitives(directory)
        found += _of_space(directory)
    return found


def _tried(what: str, act: Callable[[], tuple[bool, str]]) -> Found:
    try:
        return what, *act()
    except OSError as error:
        return what, False, os.strerror(error.errno or 0)


def _of_directory(directory: str) -> Iterator[Found]:
    yield _tried("directory", lambda: _permissions(directory))
    yield _tried("file system", lambda: _kind_of_file_system(directory))


def _permissions(directory: str) -> tuple[bool, str]:
    seen = os.stat(directory)
    mode = f"mode {stat.S_IMODE(seen.st_mode):04o}, user {seen.st_uid}, group {seen.st_gid}"
    if not stat.S_ISDIR(seen.st_mode):
        return False, f"{directory} is no directory"
    if seen.st_mode & 0o002:
        return False, f"everybody may write in it ({mode}): chmod o-w {directory}"
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return False, f"this user may not write in it ({mode})"
    return True, mode


def _kind_of_file_system(directory: str) -> tuple[bool, str]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        magic, name = file_system(fd)
    finally:
        os.close(fd)
    if magic in REMOTE:
        return False, f"{name}: its locks reach other hosts or none; use a local disk or /run"
    return True, name


def _of_primitives(directory: str) -> Iterator[Found]:
    """What the driver stands on, tried in a folder of its own inside the directory."""
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=directory) as where:
        for name in ("lock", "map"):
            Path(where, name).touch(0o600)
        os.mkfifo(Path(where, "fifo"), 0o600)
        yield _tried("room for the file", lambda: _room(where))
        yield _tried("locks of descriptors", lambda: _descriptors_exclude(where))
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, where], stdout=subprocess.PIPE
        ) as neighbour:
            assert neighbour.stdout is not None
            neighbour.stdout.readline()
            yield _tried("locks of processes", lambda: _process_excludes(where))
            yield _tried("shared memory", lambda: _store_is_seen(where))
            yield _tried("news of a death", lambda: _death_is_told(where, neighbour.pid))
            neighbour.wait()


def _room(where: str) -> tuple[bool, str]:
    fd = os.open(f"{where}/map", os.O_RDWR)
    try:
        os.posix_fallocate(fd, 0, 1 << 20)
    finally:
        os.close(fd)
    free = os.statvfs(where)
    return True, f"1 MiB can be reserved, {free.f_bavail * free.f_frsize >> 20} MiB are free"


def _is_locked(path: str) -> bool:
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _descriptors_exclude(where: str) -> tuple[bool, str]:
    fd = os.open(f"{where}/lock", os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        excludes = _is_locked(f"{where}/lock")
    finally:
        os.close(fd)
    return excludes, "flock excludes" if excludes else "flock does not exclude here"


def _process_excludes(where: str) -> tuple[bool, str]:
    excludes = _is_locked(f"{where}/lock")
    return excludes, "flock excludes" if excludes else "flock of another process is not seen"


def _store_is_seen(where: str) -> tuple[bool, str]:
    fd = os.open(f"{where}/map", os.O_RDWR)
    try:
        with mmap.mmap(fd, 0) as mapped:
            stored = int.from_bytes(mapped[24:32], sys.byteorder)
    finally:
        os.close(fd)
    seen = stored == 2**63 + 5
    return seen, "a store in one process is seen in another" if seen else "stores are not shared"


def _death_is_told(where: str, pid: int) -> tuple[bool, str]:
    """Kill the neighbour; measure until its FIFO reports it, and until its lock is free."""
    fd = os.open(f"{where}/fifo", os.O_WRONLY | os.O_NONBLOCK)
    poll = select.poll()
    poll.register(fd, 0)
    began = monotonic()
    os.kill(pid, signal.SIGKILL)
    told = bool(poll.poll(PATIENCE * 1000))
    after = monotonic() - began
    while _is_locked(f"{where}/lock") and monotonic() < began + PATIENCE:
        pass
    freed = monotonic() - began
    os.close(fd)
    good = told and freed < PATIENCE
    return good, f"told {after * 1000:.2g} ms after kill -9, its lock free after {freed * 1000:.2g}"


def _of_space(directory: str) -> Iterator[Found]:
    """The state of the lockspace itself, looked at without joining it."""
    try:
        fd = os.open(f"{directory}/{SPACE}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield "lockspace", True, "nobody has used it yet"
        return
    try:
        if os.fstat(fd).st_size != TOTAL_BYTES:
            yield "lockspace", False, "its file is of another format; end its users and remove it"
            return
        map_ = Map(mmap.mmap(fd, 0))
        yield from _state(map_, fd, directory)
    finally:
        os.close(fd)


def _state(map_: Map, fd: int, directory: str) -> Iterator[Found]:
    words = map_.words
    if words[H_FORMAT] != FORMAT:
        yield "lockspace", False, "its file is of another format; end its users and remove it"
        return
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        alive = [mark for mark in map_.slots() if is_alive(folder, map_, mark)]
    finally:
        os.close(folder)
    text = f"{len(alive)} processes use it, repaired {words[H_REPAIRS]} times"
    yield "lockspace", True, text
    yield _tried("its mutex", lambda: _mutex_moves(map_, fd, alive))


def _mutex_moves(map_: Map, fd: int, alive: list[int]) -> tuple[bool, str]:
    mutex, patience = Mutex(fd), Patience(1.0)
    for busy in mutex.take:
        if not busy:
            next(mutex.give)
            return True, "free"
        if not patience.pause():
            break
    inside = map_.words[H_INSIDE]
    who = str(owner_at(map_, inside, boot_id())) if inside in alive else "somebody"
    return False, f"{who} sits inside, stopped or frozen: kill -CONT or kill -9 that process"
