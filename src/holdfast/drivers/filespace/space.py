"""This process's place in the mapped file: its slot, its FIFO, its chunks, its free records.

What the methods change in the map they change inside the mutex; :mod:`holdfast.drivers.file` takes
and leaves it. Outcomes for other processes wait in ``wakes`` and ``strays`` until it has been left.
"""

from __future__ import annotations

import mmap
import os
import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import time_ns
from typing import Any
from zlib import crc32

from holdfast.drivers.filespace import repair
from holdfast.drivers.filespace.board import Board, link, unlink
from holdfast.drivers.filespace.files import open_space, sync
from holdfast.drivers.filespace.ground import Access, open_directory, saying
from holdfast.drivers.filespace.layout import (
    CHUNK_RECORDS,
    CHUNK_WORDS,
    DIRECTORY,
    FILL,
    FILL_AT,
    FREE,
    H_CEILING,
    H_CHUNKS,
    H_HINT,
    H_INSIDE,
    H_LAST,
    H_SLOTS,
    H_TANGLED,
    MAX_CHUNKS,
    MAX_SLOTS,
    MEMBER,
    MORE,
    R_KIND,
    R_MARK,
    R_SIBLING,
    R_STATE,
    R_TICKET,
    RECORD_WORDS,
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
    TANGLED,
    TEXT_BYTES,
    WAIT,
    Map,
    chunk_at,
    code_of,
    entry_of,
    slot_at,
    text_of,
)
from holdfast.drivers.filespace.mutex import Mutex, Patience, stuck
from holdfast.drivers.filespace.peers import Fifo, Peers, fifo_name, pid_space
from holdfast.errors import DriverError
from holdfast.locks.terms import Owner, Want

__all__ = ["Space", "owner_at"]

CEILING_STEP = 1 << 24
"""Numbers given out between two writes to the disk that keep tokens growing over a power loss."""
JOINER = 1 << 32  # H_INSIDE of a process that has no slot yet: this and its pid
SLOT_STEP = 128


class Space(Map):
    """The lockspace as one process has it open."""

    def __init__(self, path: str, access: Access, owner: Owner) -> None:
        self.path = path
        self.access = access
        self.owner = owner
        self.boot = _words_of(owner.boot)
        self.directory = open_directory(path, access)
        self.free: list[int] = []
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
        self.fifo = Fifo(self.directory, self.path, self.access)
        try:
            self.peers = Peers(self.directory, self)
            try:
                self.peers.poll.register(self.fifo.read, select.EPOLLIN)
                with self.entered(JOINER | self.owner.pid):
                    self._take_place()
            except BaseException:
                self.peers.close()
                raise
        except BaseException:
            self.fifo.close()
            os.unlink(fifo_name(self.fifo.number), dir_fd=self.directory)
            raise
        self.spread()

    def _take_place(self) -> None:
        """Take a slot, and clear away what the dead left."""
        self._take_slot()
        for mark in repair.dead(self):
            repair.reap(self, mark)
        repair.strays(self)
        self.ceiling: int = self.words[H_CEILING]

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
        inside = self.words[H_INSIDE]
        if inside & JOINER:
            return f"pid {inside & ~JOINER}"
        if inside and self.words[slot_at(inside) + S_JOINED]:
            return str(self.owner_of(inside))
        return "a process that does not say its name"

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
        self._allocate(SLOTS + number * SLOT_WORDS, SLOT_STEP * SLOT_WORDS)
        self.words[H_SLOTS] = number + SLOT_STEP

    def _allocate(self, word: int, count: int) -> None:
        """Have the file system keep room for these words, or a store there would be a SIGBUS."""
        with saying("enlarge", f"{self.path}/space"):
            os.posix_fallocate(self.mutex.fd, word * 8, count * 8)

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

    # ------------------------------------------------------------------ numbers and records

    def number(self) -> int:
        """The next number of the lockspace; the ceiling is on the disk before it is reached."""
        words = self.words
        number: int = words[H_LAST] + 1
        if number >= words[H_CEILING]:
            words[H_CEILING] = number + CEILING_STEP
            with saying("write", f"{self.path}/space"):
                sync(self.raw)
        words[H_LAST] = number
        self.ceiling = words[H_CEILING]
        return number

    def fresh_after_boot(self) -> None:
        """Begin above every number that was given out before, and above the clock."""
        words = self.words
        words[H_LAST] = max(words[H_LAST], words[H_CEILING], time_ns() >> 8)
        self.number()

    def take_chunk(self) -> None:
        """Make one more chunk ours, and its records free."""
        words = self.words
        total, hint = words[H_CHUNKS], words[H_HINT]
        marks = words[DIRECTORY + hint : DIRECTORY + total].tolist()
        number = hint + marks.index(0) if 0 in marks else total
        if number == total:
            self._more_chunks(total)
        chunk = chunk_at(number)
        for at in range(chunk, chunk + CHUNK_WORDS, RECORD_WORDS):
            words[at + R_STATE] = FREE
        words[H_HINT] = number + 1
        words[entry_of(chunk)] = self.mark
        self.free[:0] = self.free_in(chunk)

    def _more_chunks(self, total: int) -> None:
        if total >= MAX_CHUNKS:
            raise DriverError(
                f"{MAX_CHUNKS * CHUNK_RECORDS} records are in use in {self.path}, and no more fit;"
                " release names"
            )
        step = min(max(16, total // 2), 1024, MAX_CHUNKS - total)
        self._allocate(chunk_at(total), step * CHUNK_WORDS)
        self.words[H_CHUNKS] = total + step

    def lay(self, wants: Sequence[Want], since: float) -> list[int]:
        """Write the records of an ask, not yet linked and not yet waiting; all its names' records,
        the first first. Raises DriverError, and nothing was changed, if there is no room."""
        texts = [_text(*want) for want in wants]
        need = sum(1 + _extra(text) for _, text in texts)
        while len(self.free) < need:
            self.take_chunk()
        made = [self.free.pop() for _ in wants]
        ticket = self.number()
        siblings = [*made[1:], 0]
        for at, sibling, (kind, text), (name, mode) in zip(
            made, siblings, texts, wants, strict=True
        ):
            more = self._lay_more(text[TEXT_BYTES:], made[0])
            self._fill(at, crc32(name.encode()), made[0], kind, mode.limit, since, more, text)
            words = self.words
            words[at + R_SIBLING] = sibling
            words[at + R_TICKET] = ticket
            words[at + R_STATE] = MEMBER if at != made[0] else FREE
        if sum(mode.kind == "slots" for _, mode in wants) > 1:
            self.words[made[0] + R_KIND] |= TANGLED
        return made

    def _lay_more(self, text: bytes, first: int) -> int:
        """Records for the rest of a text, from its end; the offset of the first of them, or 0."""
        more = 0
        for start in reversed(range(0, len(text), TEXT_BYTES)):
            at = self.free.pop()
            self._fill(at, 0, first, 0, 0, 0.0, more, text[start:])
            self.words[at + R_STATE] = MORE
            more = at
        return more

    def _fill(
        self, at: int, code: int, first: int, kind: int, limit: int, since: float, more: int,
        text: bytes,
    ) -> None:  # fmt: skip
        FILL.pack_into(
            self.raw, at * 8 + FILL_AT,
            code, first, kind, limit, self.mark, 0, since, 0, more, text[:TEXT_BYTES],
        )  # fmt: skip

    def enqueue(self, made: Sequence[int]) -> None:
        """Put the records that :meth:`lay` made into their queues; they wait from now on."""
        words = self.words
        if words[made[0] + R_KIND] & TANGLED:
            words[H_TANGLED] += 1
        words[made[0] + R_STATE] = WAIT
        for at in made:
            link(words, at)

    def dequeue(self, first: int) -> list[int]:
        """Free all records of an ask; those that stood for its names. STATE is cleared first."""
        words = self.words
        made = list(self.siblings(first))
        extra = [each for at in made for each in self.more(at)]
        if words[first + R_STATE] == WAIT and words[first + R_KIND] & TANGLED:
            words[H_TANGLED] -= 1
        words[first + R_STATE] = FREE
        for at in made:
            unlink(words, at)
            words[at + R_STATE] = FREE
        for at in extra:
            words[at + R_STATE] = FREE
        if words[first + R_MARK] == self.mark:
            self.free += made + extra
        return made

    def count_free(self) -> None:
        """Find our free records anew, after an exception inside the mutex."""
        self.free[:] = [at for chunk in self.chunks_of(self.mark) for at in self.free_in(chunk)]

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


def _text(name: str, mode: Any) -> tuple[int, bytes]:
    raw = name.encode()
    kind, group = code_of(mode, len(raw))
    return kind, raw + group


def _extra(text: bytes) -> int:
    """How many more records a text needs."""
    return max(0, -(-(len(text) - TEXT_BYTES) // TEXT_BYTES))


def _words_of(boot: str) -> tuple[int, int]:
    """A boot id, as the header knows it."""
    raw = bytes.fromhex(boot.replace("-", "")).ljust(16, b"\0")
    return int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")
