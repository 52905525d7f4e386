"""One FIFO for each process does three things: wakes it, shows that it lives, tells of its death.

* wake: write one byte;
* does it live? open for writing: ENXIO says that nobody reads it any more;
* death: poll the write end for nothing: the kernel answers POLLERR when the last reader is gone.

The owner keeps both ends open, so it never sees the end of file. No pid is involved, so containers
and pid namespaces that share the directory see each other's deaths all the same.
"""

from __future__ import annotations

import errno
import os
import posix
import signal
import stat
from _signal import SIG_DFL, SIGPIPE, getsignal  # type: ignore[import-not-found]  # no detour by enum
from pathlib import Path
from typing import Any

from holdfast.drivers.filespace.ground import Access, saying
from holdfast.drivers.filespace.layout import (
    S_FIFO,
    S_JOINED,
    S_PID,
    S_SPACE,
    S_START,
    Map,
    slot_at,
)
from holdfast.drivers.filespace.unpatched import epoll, recursive_lock
from holdfast.drivers.owner import start_time

__all__ = ["Fifo", "Peer", "Peers", "fifo_name", "is_alive", "pid_space"]

END = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
KEPT = 64
"""Write ends that are kept open although nobody is watched through them."""


def fifo_name(number: int) -> str:
    """The name of a FIFO in the lockspace's directory."""
    return f"p.{number:016x}"


def pid_space() -> int:
    """The inode of this process's pid namespace: in another one its pid means nothing."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


class Fifo:
    """This process's own FIFO, both ends."""

    __slots__ = ("number", "read", "write")

    def __init__(self, directory: int, path: str, access: Access) -> None:
        self.number = int.from_bytes(os.urandom(7), "little") | 1
        name = fifo_name(self.number)
        with saying("make a FIFO in", path):
            os.mkfifo(name, 0o600, dir_fd=directory)
            try:
                self.read, self.write = _both_ends(directory, name, access)
            except BaseException:
                os.unlink(name, dir_fd=directory)
                raise

    def poke(self) -> None:
        """Wake our own listener."""
        try:
            posix.write(self.write, b"\0")
        except BlockingIOError:
            pass  # it is full, so there is something to read

    def drain(self) -> None:
        """Take out all wakes."""
        try:
            posix.read(self.read, 65536)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close both ends: from now on we are dead to all others."""
        os.close(self.write)
        os.close(self.read)


def _both_ends(directory: int, name: str, access: Access) -> tuple[int, int]:
    read = os.open(name, os.O_RDONLY | END, dir_fd=directory)
    try:
        if access.is_shared:
            os.fchown(read, -1, access.group)
            os.fchmod(read, access.file)
        return read, os.open(name, os.O_WRONLY | END, dir_fd=directory)
    except BaseException:
        os.close(read)
        raise


def _open_write_end(directory: int, map_: Map, mark: int) -> int:
    """The write end of that process's FIFO; -1 if it is dead. Raises OSError if we cannot tell."""
    slot = slot_at(mark)
    words = map_.words
    number = words[slot + S_FIFO]
    if not words[slot + S_JOINED]:
        return -1
    try:
        fd = posix.open(fifo_name(number), os.O_WRONLY | END, dir_fd=directory)
    except FileNotFoundError:
        # It was reaped just now, and perhaps its slot is another's already. Or somebody removed
        # the FIFO by hand: then the pid is all we have, if it means anything here.
        reaped = not words[slot + S_JOINED] or words[slot + S_FIFO] != number
        if reaped or _is_gone(map_, slot):
            return -1
        raise
    except OSError as error:
        if error.errno == errno.ENXIO:
            return -1
        raise
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a FIFO")
    return fd


def _is_gone(map_: Map, slot: int) -> bool:
    words = map_.words
    if words[slot + S_SPACE] != pid_space():
        return False
    return start_time(words[slot + S_PID]) != words[slot + S_START]


def is_alive(directory: int, map_: Map, mark: int) -> bool:
    """Whether the process of that slot lives. When in doubt it does."""
    try:
        fd = _open_write_end(directory, map_, mark)
    except OSError:
        return True
    if fd >= 0:
        os.close(fd)
    return fd >= 0


class Peer:
    """The write end of another process's FIFO."""

    __slots__ = ("fd", "mark", "number", "watched")

    def __init__(self, mark: int, number: int, fd: int) -> None:
        self.mark = mark
        self.number = number
        self.fd = fd
        self.watched = False


class Peers:
    """The other processes, as far as we wake or watch them. Used from any thread."""

    def __init__(self, directory: int, map_: Map) -> None:
        self._directory = directory
        self._map = map_
        self._by_mark: dict[int, Peer] = {}
        self._lock: Any = recursive_lock()
        self.closed = False
        self.version = 0
        """Counts up whenever somebody new is watched."""
        self.poll: Any = epoll()

    def watch(self, mark: int) -> bool:
        """Have the listener told of the death of that process. False: it is dead already."""
        with self._lock:
            peer = self._peer(mark)
            if peer is None:
                return False
            if not peer.watched:
                self._register(peer)
            self.version += 1
            return True

    def _register(self, peer: Peer) -> None:
        try:
            self.poll.register(peer.fd, 0)
        except FileExistsError:
            pass  # an exception (Ctrl-C) struck between this call and the next line
        peer.watched = True

    def _unregister(self, peer: Peer) -> None:
        if peer.watched:
            peer.watched = False
            try:
                self.poll.unregister(peer.fd)
            except FileNotFoundError:
                pass  # as above, the other way round

    def wake(self, mark: int) -> None:
        """Wake that process. If it is dead, whoever waits for it is told by the kernel."""
        with self._lock:
            try:
                peer = self._peer(mark)
                if peer is not None:
                    _write_quietly(peer)
            except BlockingIOError:
                pass  # full: it has not read its earlier wakes yet
            except BrokenPipeError:
                self.forget(mark)

    def died(self, fd: int) -> tuple[int, int] | None:
        """(mark, number) of the process whose write end reported its death; it is closed.

        Looked at again, because a descriptor may have a new meaning: the listener is told of fd 9;
        another thread sees that this slot has a new owner, closes 9, opens the new FIFO as 9.
        """
        with self._lock:
            for peer in tuple(self._by_mark.values()):
                if peer.fd == fd and not is_alive(self._directory, self._map, peer.mark):
                    self.forget(peer.mark)
                    return peer.mark, peer.number
        return None

    def keep_only(self, marks: set[int], version: int) -> None:
        """Watch nobody but these, and keep no more than a few other write ends; unless somebody
        was watched after that version, of whom *marks* may not know."""
        with self._lock:
            if self.version != version:
                return
            for peer in tuple(self._by_mark.values()):
                if peer.mark not in marks:
                    self._unregister(peer)
                    if len(self._by_mark) > KEPT:
                        self.forget(peer.mark)

    def forget(self, mark: int) -> None:
        """Close that write end."""
        with self._lock:
            peer = self._by_mark.pop(mark, None)
            if peer is not None:
                self._unregister(peer)
                os.close(peer.fd)

    def close(self) -> None:
        """Close all, without a word to anybody; whoever still wants to wake somebody does not."""
        with self._lock:
            self.closed = True
            for peer in self._by_mark.values():
                os.close(peer.fd)
            self._by_mark.clear()
            self.poll.close()

    def forked(self) -> None:
        """This is a fork's child: nobody will ever give back the lock, if somebody had it."""
        self._lock = recursive_lock()

    def _peer(self, mark: int) -> Peer | None:
        """The write end, opened if need be; None if that process is dead, or we are closed."""
        if self.closed:
            return None
        number = self._map.words[slot_at(mark) + S_FIFO]
        peer = self._by_mark.get(mark)
        if peer is not None:
            if peer.number == number:
                return peer
            self.forget(mark)
        fd = _open_write_end(self._directory, self._map, mark)
        if fd < 0:
            return None
        peer = self._by_mark[mark] = Peer(mark, number, fd)
        return peer


def _write_quietly(peer: Peer) -> None:
    """Write one byte; no SIGPIPE, even in a program that wants to die of it."""
    if getsignal(SIGPIPE) != SIG_DFL:
        posix.write(peer.fd, b"\0")
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [SIGPIPE])
    try:
        posix.write(peer.fd, b"\0")
    except BrokenPipeError:
        signal.sigtimedwait([SIGPIPE], 0)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
