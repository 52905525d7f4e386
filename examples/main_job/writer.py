"""A writer: fills blocks of the image with its pattern, under the lock.

writer.py FOLDER NAME loop ROUNDS PAUSE     takes the lock itself, through the library
writer.py FOLDER NAME once PAUSE            runs inside `holdfast run`, which took it
writer.py FOLDER NAME reckless ROUNDS PAUSE takes no lock: to see that the job notices
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

from image import Image, Journal, Stamp

from holdfast import Lockspace

DISK = "disk.raw"
RUN = 6
"""So many blocks in a row are written in one round."""


class Writer:
    """One writer of one image."""

    def __init__(self, folder: Path, name: str, pause: float) -> None:
        self.name = name
        self.pause = pause
        self.image = Image(folder / DISK)
        self.history = os.open(folder / "history", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.random = random.Random(f"{name} {os.getpid()}")

    def round(self, token: int) -> None:
        """Mend what a dead holder left, then write some blocks and read them back."""
        self.tell("granted", token)
        stamp = Stamp(self.name, token)
        left = self.image.journal()
        if not left.done:
            self.fill(left.blocks, stamp)
            self.tell("mended", token, left.writer)
        start = self.random.randrange(1, self.image.blocks - RUN + 1)
        self.fill(tuple(range(start, start + RUN)), stamp)

    def fill(self, blocks: tuple[int, ...], stamp: Stamp) -> None:
        """Write *blocks* and verify them. The journal is open meanwhile."""
        self.image.note(Journal(stamp.writer, stamp.token, blocks, done=False))
        for block in blocks:
            self.image.write(block, stamp, self.pause)
        for block in blocks:
            found = self.image.read(block)
            if found != stamp:
                raise ValueError(f"block {block}: wrote {stamp}, read {found}")
        self.tell("wrote", stamp.token, ",".join(map(str, blocks)))
        self.image.note(Journal(stamp.writer, stamp.token, blocks, done=True))

    def tell(self, what: str, token: int, *more: str) -> None:
        """One line of history; appended whole, also when others append at the same time."""
        line = " ".join([str(time.monotonic_ns()), what, self.name, str(token), *more])
        os.write(self.history, f"{line}\n".encode())


def loop(writer: Writer, url: str, rounds: int) -> None:
    """Through the library: one grant for each round."""
    with Lockspace(url, label=writer.name) as locks:
        for _ in range(rounds):
            with locks(DISK) as grant:
                writer.round(grant.token)


def main(folder: str, name: str, how: str, *numbers: str) -> None:
    """As the module says."""
    writer = Writer(Path(folder), name, pause=float(numbers[-1]))
    if how == "once":
        writer.round(int(os.environ["HOLDFAST_TOKEN"]))
    elif how == "loop":
        loop(writer, f"file://{folder}/locks", int(numbers[0]))
    else:
        for _ in range(int(numbers[0])):
            writer.round(time.monotonic_ns())


if __name__ == "__main__":
    main(*sys.argv[1:])
