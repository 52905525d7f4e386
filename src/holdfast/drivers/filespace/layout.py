"""The mapped file ``space``: 8-byte words of the machine, one store for each word.

    header      512 words: format, who is inside, the last number, the durable ceiling, boot id ...
    index       65,536 words: hash -> first record of a chain          DERIVED, repair rebuilds it
    slots       4,096 of 512 bytes: one for each process that has the lockspace open
    directory   one word for each chunk: whose it is
    chunks      32 records of 256 bytes each; a process makes records in its own chunks only

An ask of k names is k records with one ``STATE`` word, that of the first; the others say MEMBER and
point to it. So a grant is one aligned store, all or none. A record is named by the offset of its
first word. Text that does not fit goes on in MORE records.

The file is as long as it may ever get, and sparse: what was not allocated is never touched, so it
grows without anybody mapping it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any

from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode

__all__ = ["Map", "bits_of", "chunk_at", "code_of", "entry_of", "slot_at", "text_of"]

MAGIC = int.from_bytes(b"holdfst", "little")
VERSION = 1
FORMAT = MAGIC | VERSION << 56

# Words of the header.
H_FORMAT, H_INSIDE, H_LAST, H_CEILING, H_CHUNKS, H_SLOTS, H_TANGLED, H_REPAIRS = range(8)
H_BOOT = 8  # two words
H_HINT = 10  # where the search for a free chunk begins

INDEX = 512
BUCKETS = 1 << 16
BUCKET_MASK = BUCKETS - 1

SLOTS = INDEX + BUCKETS
MAX_SLOTS = 4096
SLOT_WORDS = 64
# Words of a slot. JOINED is stored last and cleared first: 0 is a free slot.
S_JOINED, S_FIFO, S_PID, S_START, S_SPACE, S_BROKEN, S_LENGTHS = range(7)
SLOT_TEXT = 8
SLOT_TEXT_BYTES = (SLOT_WORDS - SLOT_TEXT) * 8

DIRECTORY = SLOTS + MAX_SLOTS * SLOT_WORDS
MAX_CHUNKS = 1 << 15
CHUNKS = DIRECTORY + MAX_CHUNKS
RECORD_WORDS = 32
CHUNK_RECORDS = 32
CHUNK_WORDS = RECORD_WORDS * CHUNK_RECORDS
TOTAL_BYTES = 8 * (CHUNKS + MAX_CHUNKS * CHUNK_WORDS)

# Words of a record.
R_STATE, R_NEXT, R_TICKET, R_TOKEN, R_HASH, R_FIRST, R_KIND, R_LIMIT = range(8)
R_MARK, R_GUARD, R_SINCE, R_SIBLING, R_MORE, R_TEXT = range(8, 14)
TEXT_BYTES = (RECORD_WORDS - R_TEXT) * 8
FILL = Struct(f"=QQQQQQdQQ{TEXT_BYTES}s")  # from R_HASH on
FILL_AT = R_HASH * 8
SINCE, BITS = Struct("=d"), Struct("=Q")

FREE, WAIT, HELD, BROKEN, MEMBER, MORE = range(6)
SOFT = 1  # a guard: not one record, but all holders of slots

# The word KIND: kind | bytes of the name << 8 | bytes of the group << 24 | tangled << 40.
KINDS = {"exclusive": 0, "shared": 1, "slots": 3}
GROUP = 2
TANGLED = 1 << 40


def code_of(mode: Mode, name_bytes: int) -> tuple[int, bytes]:
    """The word KIND of a record for a name of that length, and the bytes of the group."""
    if mode.group is None:
        return KINDS[mode.kind] | name_bytes << 8, b""
    group = mode.group.encode()
    return GROUP | name_bytes << 8 | len(group) << 24, group


def bits_of(since: float) -> int:
    """The word SINCE for that time."""
    bits: int = BITS.unpack(SINCE.pack(since))[0]
    return bits


def text_of(raw: bytes) -> str:
    """Text of the file, whatever a foreign hand wrote there."""
    return raw.decode(errors="replace")


class Map:
    """The words of the file, or of a copy of it, and how to read them."""

    __slots__ = ("raw", "words")

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.words: memoryview[int] = memoryview(raw).cast("Q")

    def name_at(self, at: int) -> bytes:
        """The name that record *at* is for."""
        size = self.words[at + R_KIND] >> 8 & 0xFFFF
        if size <= TEXT_BYTES:
            start = (at + R_TEXT) * 8
            return bytes(self.raw[start : start + size])
        return self.text_at(at)[:size]

    def text_at(self, at: int) -> bytes:
        """Name and group of record *at*, joined from all its pieces."""
        kind = self.words[at + R_KIND]
        pieces = [self._piece(at), *map(self._piece, self.more(at))]
        return b"".join(pieces)[: (kind >> 8 & 0xFFFF) + (kind >> 24 & 0xFFFF)]

    def more(self, at: int) -> Iterator[int]:
        """The records in which the text of record *at* goes on."""
        at = self.words[at + R_MORE]
        while at:
            yield at
            at = self.words[at + R_MORE]

    def _piece(self, at: int) -> bytes:
        return bytes(self.raw[(at + R_TEXT) * 8 : (at + RECORD_WORDS) * 8])

    def mode_at(self, at: int) -> Mode:
        """The mode that record *at* asks for."""
        kind = self.words[at + R_KIND]
        code = kind & 0xFF
        if code == 0:
            return EXCLUSIVE
        if code == 1:
            return SHARED
        if code == GROUP:
            return Mode("shared", group=text_of(self.text_at(at)[kind >> 8 & 0xFFFF :]))
        return Mode("slots", limit=self.words[at + R_LIMIT])

    def since_at(self, at: int) -> float:
        """When the ask of record *at* was made, or granted: seconds since the epoch."""
        since: float = SINCE.unpack(BITS.pack(self.words[at + R_SINCE]))[0]
        return since

    def siblings(self, first: int) -> Iterator[int]:
        """All records of the ask whose first record this is, itself included."""
        at = first
        while at:
            yield at
            at = self.words[at + R_SIBLING]

    def is_live(self, at: int) -> bool:
        """Whether record *at* stands for a name that is held or awaited."""
        words = self.words
        state = words[at + R_STATE]
        if state == MEMBER:
            first = words[at + R_FIRST]
            same = words[first + R_TICKET] == words[at + R_TICKET]
            state = words[first + R_STATE] if same else FREE
        return state in (WAIT, HELD)

    def chain(self, bucket: int) -> Iterator[int]:
        """The records of a bucket."""
        words = self.words
        at = words[bucket]
        while at:
            yield at
            at = words[at + R_NEXT]

    def slots(self) -> Iterator[int]:
        """The marks of the slots in use. A mark is the slot's number and 1."""
        words = self.words
        joined = words[SLOTS : SLOTS + words[H_SLOTS] * SLOT_WORDS : SLOT_WORDS].tolist()
        return (number + 1 for number, each in enumerate(joined) if each)

    def owned(self) -> Iterator[tuple[int, int]]:
        """(chunk, mark of its owner) of all chunks that have one."""
        words = self.words
        marks = words[DIRECTORY : DIRECTORY + words[H_CHUNKS]].tolist()
        return ((chunk_at(number), mark) for number, mark in enumerate(marks) if mark)

    def chunks_of(self, mark: int) -> list[int]:
        """The chunks of one process."""
        return [chunk for chunk, owner in self.owned() if owner == mark]

    def records(self, chunks: Iterable[int]) -> Iterator[tuple[int, int]]:
        """(record, state) of every record in *chunks* that is not free."""
        words = self.words
        for chunk in chunks:
            states = words[chunk : chunk + CHUNK_WORDS : RECORD_WORDS].tolist()
            for number, state in enumerate(states):
                if state:
                    yield chunk + number * RECORD_WORDS, state

    def free_in(self, chunk: int) -> list[int]:
        """The free records of a chunk, the last first."""
        states = self.words[chunk : chunk + CHUNK_WORDS : RECORD_WORDS].tolist()
        free = [chunk + each * RECORD_WORDS for each, state in enumerate(states) if not state]
        return free[::-1]


def chunk_at(number: int) -> int:
    """The offset of the first word of that chunk."""
    return CHUNKS + number * CHUNK_WORDS


def entry_of(chunk: int) -> int:
    """The word of the directory that says whose chunk this is."""
    return DIRECTORY + (chunk - CHUNKS) // CHUNK_WORDS


def slot_at(mark: int) -> int:
    """The offset of the first word of the slot with that mark."""
    return SLOTS + (mark - 1) * SLOT_WORDS
