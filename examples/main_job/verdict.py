"""What must be true of the image and of the history when all writers have gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from image import Image, Stamp


@dataclass(frozen=True)
class Line:
    """One line of history."""

    at: int
    what: str
    writer: str
    token: int
    more: str = ""


def read_history(folder: Path) -> list[Line]:
    """The lines so far, in the order in which they were appended: all of them under the lock."""
    path = folder / "history"
    if not path.exists():
        return []
    found = []
    for text in path.read_text().splitlines():
        at, what, writer, token, *more = text.split()
        found.append(Line(int(at), what, writer, int(token), *more))
    return found


def faults(image: Image, history: list[Line]) -> Iterator[str]:
    """Everything that is wrong, a sentence each; nothing if all is well."""
    newest = 0
    for line in history:
        if line.what == "granted":
            if line.token <= newest:
                yield f"token {line.token} of {line.writer} came after {newest}"
            newest = max(newest, line.token)
        elif line.token != newest:
            yield f"{line.writer} {line.what} under token {line.token}, when {newest} was granted"
    if not image.journal().done:
        yield f"what {image.journal().writer} left unfinished was never mended"
    last = last_writers(history)
    for block in range(1, image.blocks):
        yield from faults_of(image, block, last.get(block))


def last_writers(history: list[Line]) -> dict[int, Stamp]:
    """Who wrote each block last, by the history."""
    return {
        int(block): Stamp(line.writer, line.token)
        for line in history
        if line.what == "wrote"
        for block in line.more.split(",")
    }


def faults_of(image: Image, block: int, wanted: Stamp | None) -> Iterator[str]:
    """What is wrong with one block."""
    try:
        found = image.read(block)
    except ValueError as error:
        yield str(error)
        return
    if found != wanted:
        yield f"block {block} should be of {wanted}, and is of {found}"
