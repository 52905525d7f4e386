"""A raw disk image in blocks, and a journal in its first block: what the writers share.

Every byte of a block follows from who wrote it, under which token. So a block that two have
written, or that one has not finished, is recognised: it matches nobody's pattern.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

BLOCK = 1 << 20
JOURNAL = 4096
PIECES = 16
"""A block is written in so many pieces, with a pause between: time to be interrupted in."""
HEADER = 64
MAGIC = "holdfast"


class StaleTokenError(Exception):
    """The image has seen a larger token: whoever writes now must not."""


@dataclass(frozen=True)
class Stamp:
    """Who wrote a block, under which token."""

    writer: str
    token: int


@dataclass(frozen=True)
class Journal:
    """What the last holder was about to write, and whether it came to the end of that."""

    writer: str = ""
    token: int = 0
    blocks: tuple[int, ...] = ()
    done: bool = True


def pattern(stamp: Stamp, block: int) -> bytes:
    """All bytes of *block* as *stamp* writes them."""
    line = f"{MAGIC} {stamp.writer} {stamp.token} {block}".encode().ljust(HEADER)
    return (line + hashlib.sha512(line).digest()) * (BLOCK // 128)


class Image:
    """A disk image, opened. Block 0 is the journal; the others hold patterns."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDWR)
        self.blocks = os.fstat(self.file).st_size // BLOCK

    def journal(self) -> Journal:
        """What block 0 says; of a new image, that nobody was here."""
        text = os.pread(self.file, JOURNAL, 0).rstrip(b"\0")
        if not text:
            return Journal()
        fields = json.loads(text)
        return Journal(**{**fields, "blocks": tuple(fields["blocks"])})

    def note(self, journal: Journal) -> None:
        """Write block 0. Raises StaleTokenError if it has seen a larger token: the fence."""
        newest = self.journal().token
        if journal.token < newest:
            raise StaleTokenError(f"token {journal.token}, but {newest} has been here")
        os.pwrite(self.file, json.dumps(asdict(journal)).encode().ljust(JOURNAL, b"\0"), 0)

    def write(self, block: int, stamp: Stamp, pause: float) -> None:
        """Write one block, piece by piece."""
        data = memoryview(pattern(stamp, block))
        size = BLOCK // PIECES
        for start in range(0, BLOCK, size):
            os.pwrite(self.file, data[start : start + size], block * BLOCK + start)
            time.sleep(pause / PIECES)

    def read(self, block: int) -> Stamp | None:
        """Whose block it is; None if nobody's. Raises ValueError if it is not one writer's."""
        data = os.pread(self.file, BLOCK, block * BLOCK)
        if not any(data):
            return None
        magic, writer, token, number = data[:HEADER].decode(errors="replace").split()[:4]
        stamp = Stamp(writer, int(token))
        if magic != MAGIC or int(number) != block or data != pattern(stamp, block):
            raise ValueError(f"block {block} is not the work of one writer; it begins as {stamp}")
        return stamp
