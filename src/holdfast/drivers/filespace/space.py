"""This process's place in the mapped file: its slot, its FIFO, its chunks, its free records.

What the methods change in the map they change inside the mutex; :mod:`holdfast.drivers.file` takes
and leaves it. Outcomes for other processes wait in ``wakes`` and ``strays`` until it has been left.
"""

from __future__ import annotations

import mmap
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.drivers.filespace import repair
from holdfast.drivers.filespace.board import Board
from holdfast.drivers.filespace.files import open_space
from holdfast.drivers.filespace.ground import Access, open_directory, saying
from holdfast.drivers.filespace.layout import (
    H_CEILING,
    H_INSIDE,
    H_SLOTS,
    MAX_SLOTS,
    R_MARK,
    S_BROKEN,
    S_FIFO,
    S_JOINED,
    S_LENGTHS,
    S_PID,
    S_SPACE,
    S_START,
    SLOT_TEXT,
    SLOT_TEXT_BYTES,
    SLOT_WORDS,
    SLOTS,
    Map,
    slot_at,
    text_of,
)
from holdfast.drivers.filespace.mutex import Mutex, Patience, stuck
from holdfast.drivers.filespace.peers import Fifo, Peers, fifo_name, pid_space
from holdfast.drivers.filespace.records import Records
from holdfast.errors import DriverError
from holdfast.locks.terms import Owner

__all__ = ["Space", "owner_at"]

JOINER = 1 << 32  # H_INSIDE of a process that has no slot yet: this and its pid
SLOT_STEP = 128


class Space(Records):
    """The lockspace as one process has it open."""

    def __init__(self, path: str, access: Access, owner: Owner) -> None:
        self.path = path
        self.access = access
        self.owner = owner
        self.boot = _words_of(owner.boot)
        self.directory = open_directory(path, access)
        self.free = []
        self.wakes: set[int] = set()
        self.strays: list[str] = []
        self.won: list[int] = []
        self.moved = False
        self.mark = 0
        try:
            with saying("open the lockspace", path):
                self._open()
        except BaseException:
            os.close(self.directory)
            raise

    def _open(self) -> None:
        fd = open_space(self.directory, self.path, self.access)
        try:
            with saying("map", self.path):
                super().__init__(mmap.mmap(fd, 0))
            self.mutex = Mutex(fd)
            try:
                self._join()
            except BaseException:
                self.unmap()
                raise
        except BaseException:
            os.close(fd)
            raise

    # ------------------------------------------------------------------ to come and go

    def _join(self) -> None:
        # The FIFO is made inside the mutex, too. T1 makes one; before T1 reads it T2 joins, finds a
        # FIFO of nobody and removes it; T1 would hold locks with a death that nobody is told of.
        with self.entered(JOINER | self.owner.pid):
            self.fifo = Fifo(self.directory, self.path, self.access)
            try:
                self._take_place()
            except BaseException:
                self.fifo.close()
                os.unlink(fifo_name(self.fifo.number), dir_fd=self.directory)
                raise
        self.spread()

    def _take_place(self) -> None:
        """Take a slot, and clear away what the dead left."""
        self.peers = Peers(self.directory, self)
        try:
            self.peers.poll.register(self.fifo.read, select.EPOLLIN)
            self._take_slot()
            for mark in repair.dead(self):
                repair.reap(self, mark)
            repair.strays(self)
            self.ceiling = self.words[H_CEILING]
        except BaseException:
            self.peers.close()
            raise

    @contextmanager
    def entered(self, mark: int) -> Iterator[None]:
        """Inside the mutex, for who opens and closes; the driver has ways of its own."""
        patience = Patience()
        for busy in self.mutex.take:
            if not busy:
                break
            if not patience.pause():
                self.refuse_stuck()
        try:
            repair.enter(self, mark)
            yield
            self.words[H_INSIDE] = 0
        finally:
            for _ in self.mutex.give:
                break

    def refuse_stuck(self) -> None:
        """Raise DriverError if somebody is inside the mutex and does not come out."""
        why = self.mutex.why_not()
        if why:
            raise stuck(self.path, self.who_is_inside(), why)

    def who_is_inside(self) -> str:
        """The process that is inside the mutex, for people."""
        pid, inside = self.mutex.holder(), self.words[H_INSIDE]
        for mark in self.slots():
            owner = self.owner_of(mark)
            if mark == inside or (pid and owner.pid == pid):
                return str(owner)
        pid = pid or (inside & JOINER and inside & ~JOINER)
        return f"pid {pid}" if pid else "a process that cannot be seen from here"

    def _take_slot(self) -> None:
        """Take a free slot and say who we are; JOINED is stored last."""
        words = self.words
        taken = set(self.slots())
        self.mark = mark = next(m for m in range(1, MAX_SLOTS + 2) if m not in taken)
        if mark > words[H_SLOTS]:
            self._more_slots()
        slot = slot_at(mark)
        host, label, command = (
            text.encode()[:size]
            for text, size in (
                (self.owner.host, 64),
                (self.owner.label, 128),
                (self.owner.command, SLOT_TEXT_BYTES - 192),
            )
        )
        text = host + label + command
        start = (slot + SLOT_TEXT) * 8
        self.raw[start : start + len(text)] = text
        words[slot + S_FIFO] = self.fifo.number
        words[slot + S_PID] = self.owner.pid
        words[slot + S_START] = self.owner.start
        words[slot + S_SPACE] = pid_space()
        words[slot + S_BROKEN] = 0
        words[slot + S_LENGTHS] = len(host) | len(label) << 16 | len(command) << 32
        words[slot + S_JOINED] = self.number()

    def is_ours(self) -> bool:
        """Whether our slot is still ours."""
        slot = slot_at(self.mark)
        words = self.words
        return words[slot + S_FIFO] == self.fifo.number and words[slot + S_JOINED] != 0

    def owner_of(self, mark: int) -> Owner:
        """Who the process of that slot is."""
        return owner_at(self, mark, self.owner.boot)

    def _more_slots(self) -> None:
        number = self.words[H_SLOTS]
        if number >= MAX_SLOTS:
            raise DriverError(
                f"{MAX_SLOTS} processes have {self.path} open, and no more fit; end some of them"
            )
        self.allocate(SLOTS + number * SLOT_WORDS, SLOT_STEP * SLOT_WORDS)
        self.words[H_SLOTS] = number + SLOT_STEP

    def leave(self) -> None:
        """Give back slot and chunks, and all that is held; inside the mutex."""
        repair.reap(self, self.mark)
        self.free.clear()

    def close(self) -> None:
        """Close all descriptors. In a fork's child the parent goes on undisturbed."""
        self.peers.close()
        self.fifo.close()
        self.unmap()
        os.close(self.mutex.fd)
        os.close(self.directory)

    def unmap(self) -> None:
        """Give back the map, and the descriptor that Python keeps with it."""
        self.words.release()
        try:
            self.raw.close()
        except BufferError:
            pass  # somebody reads it just now; it ends with the last reader

    # ------------------------------------------------------------------ what others are to know

    def publish(self, board: Board) -> None:
        """Note who is to be woken for what the board changed."""
        words = self.words
        for first in board.moved:
            if words[first + R_MARK] == self.mark:
                self.moved = True
            else:
                self.wakes.add(words[first + R_MARK])
        for first in board.won:
            self.inherits(first)

    def inherits(self, first: int) -> None:
        """Note that this one was granted."""
        if self.words[first + R_MARK] == self.mark:
            self.won.append(first)
        else:
            self.wakes.add(self.words[first + R_MARK])

    def spread(self) -> bool:
        """Wake whom the last operation concerned and remove FIFOs of the dead; outside the mutex.

        Each is taken from the list when it is done, so an exception loses none. False: somebody
        could not be woken for want of a descriptor; try again.
        """
        for mark in tuple(self.wakes):
            try:
                self.peers.wake(mark)
            except OSError:
                continue
            self.wakes.discard(mark)
        while self.strays:
            self._remove(self.strays[-1])
        return not self.wakes

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self.directory)
        except OSError:
            pass  # another process was faster, or may and we may not
        try:
            self.strays.remove(name)
        except ValueError:
            pass  # another thread did the same


def owner_at(map_: Map, mark: int, boot: str) -> Owner:
    """Who the process of that slot is, as it wrote itself."""
    words = map_.words
    slot = slot_at(mark)
    lengths = words[slot + S_LENGTHS]
    start = (slot + SLOT_TEXT) * 8
    texts = []
    for shift in (0, 16, 32):
        size = lengths >> shift & 0xFFFF
        texts.append(text_of(bytes(map_.raw[start : start + size])))
        start += size
    host, label, command = texts
    return Owner(host, boot, words[slot + S_PID], words[slot + S_START], label, command)


def _words_of(boot: str) -> tuple[int, int]:
    """A boot id, as the header knows it."""
    raw = bytes.fromhex(boot.replace("-", "")).ljust(16, b"\0")
    return int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")
