"""Numbers and records: what a process makes of its own chunks of the mapped file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from time import time_ns
from typing import Any
from zlib import crc32

from holdfast.drivers.filespace.board import link, unlink
from holdfast.drivers.filespace.files import sync
from holdfast.drivers.filespace.ground import saying
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
    H_LAST,
    H_TANGLED,
    MAX_CHUNKS,
    MEMBER,
    MORE,
    R_KIND,
    R_MARK,
    R_SIBLING,
    R_STATE,
    R_TICKET,
    RECORD_WORDS,
    TANGLED,
    TEXT_BYTES,
    WAIT,
    Map,
    chunk_at,
    code_of,
    entry_of,
)
from holdfast.drivers.filespace.mutex import Mutex
from holdfast.errors import DriverError
from holdfast.locks.terms import Want

__all__ = ["Records"]

CEILING_STEP = 1 << 24
"""Numbers given out between two writes to the disk that keep tokens growing over a power loss."""


class Records(Map):
    """The map, as one process makes numbers and records in it; all inside the mutex."""

    path: str
    mutex: Mutex
    mark: int
    """Our slot's number and 1."""
    free: list[int]
    """Our free records."""
    ceiling: int

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
        self.allocate(chunk_at(total), step * CHUNK_WORDS)
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

    def allocate(self, word: int, count: int) -> None:
        """Have the file system keep room for these words, or a store there would be a SIGBUS."""
        with saying("enlarge", f"{self.path}/space"):
            os.posix_fallocate(self.mutex.fd, word * 8, count * 8)


def _text(name: str, mode: Any) -> tuple[int, bytes]:
    raw = name.encode()
    kind, group = code_of(mode, len(raw))
    return kind, raw + group


def _extra(text: bytes) -> int:
    """How many more records a text needs."""
    return max(0, -(-(len(text) - TEXT_BYTES) // TEXT_BYTES))
