"""What the dead leave behind: reaped by whoever notices, or everything made anew.

**The argument.** State changes inside the mutex only, so one process at most is in mid-change. If
it dies there, ``H_INSIDE`` stays set and the next to enter repairs first. Repair reads only slots,
the chunks' owners and the records of the living; none of those is half-written: the dead wrote its
own records, void by its death, or single words of others. The index, the count of tangled asks and
the guards are made anew from them.

The same if an exception (Ctrl-C) left the mutex with ``H_INSIDE`` set, by a process that lives.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from holdfast.drivers.filespace.board import Board, key_of, unlink
from holdfast.drivers.filespace.layout import (
    BROKEN,
    BUCKET_MASK,
    DIRECTORY,
    FREE,
    H_BOOT,
    H_CHUNKS,
    H_HINT,
    H_INSIDE,
    H_REPAIRS,
    H_SLOTS,
    H_TANGLED,
    INDEX,
    MEMBER,
    MORE,
    R_FIRST,
    R_GUARD,
    R_HASH,
    R_KIND,
    R_NEXT,
    R_STATE,
    R_TICKET,
    S_FIFO,
    S_JOINED,
    SLOT_WORDS,
    SLOTS,
    TANGLED,
    WAIT,
    entry_of,
    slot_at,
)
from holdfast.drivers.filespace.peers import fifo_name, is_alive

if TYPE_CHECKING:
    from holdfast.drivers.filespace.space import Space

__all__ = ["dead", "enter", "reap", "repair", "strays"]


def enter(space: Space, mark: int) -> None:
    """First thing inside the mutex: make good what others left, and say that we are inside."""
    words = space.words
    if words[H_BOOT] != space.boot[0] or words[H_BOOT + 1] != space.boot[1]:
        words[H_INSIDE] = mark
        _forget_last_boot(space)
    if words[H_INSIDE]:
        words[H_INSIDE] = mark
        repair(space)
    words[H_INSIDE] = mark


def _forget_last_boot(space: Space) -> None:
    """All who held are dead. The boot id is stored last, so who dies in here changes nothing."""
    words = space.words
    for number in range(words[H_SLOTS]):
        words[SLOTS + number * SLOT_WORDS + S_JOINED] = 0
    for number in range(words[H_CHUNKS]):
        words[DIRECTORY + number] = 0
    _clear_index(space)
    words[H_TANGLED] = words[H_HINT] = 0
    space.fresh_after_boot()
    words[H_BOOT], words[H_BOOT + 1] = space.boot
    words[H_INSIDE] = 0


def _clear_index(space: Space) -> None:
    space.raw[INDEX * 8 : SLOTS * 8] = bytes((SLOTS - INDEX) * 8)


def dead(space: Space) -> list[int]:
    """The marks of those slots whose process is dead."""
    return [
        mark
        for mark in space.slots()
        if mark != space.mark and not is_alive(space.directory, space, mark)
    ]


def strays(space: Space) -> None:
    """Note the FIFOs of nobody for removal: of a process killed between making it and joining."""
    known = {fifo_name(space.words[slot_at(mark) + S_FIFO]) for mark in space.slots()}
    for name in os.listdir(space.directory):
        if name.startswith("p.") and name not in known and not _is_read(space, name):
            space.strays.append(name)


def _is_read(space: Space, name: str) -> bool:
    """Whether somebody has that FIFO open: then it is about to join."""
    try:
        fd = os.open(
            name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC,
            dir_fd=space.directory,
        )  # fmt: skip
    except OSError:
        return False
    os.close(fd)
    return True


def reap(space: Space, mark: int) -> None:
    """Free all that the process of that slot held and awaited, its chunks and its slot."""
    words = space.words
    chunks = space.chunks_of(mark)
    live = [at for at, _ in space.records(chunks) if space.is_live(at)]
    firsts = [at for at in live if words[at + R_FIRST] == at]
    keys = dict.fromkeys(key_of(space, at) for at in live)
    for first in firsts:
        if words[first + R_STATE] == WAIT and words[first + R_KIND] & TANGLED:
            words[H_TANGLED] -= 1
        words[first + R_STATE] = FREE
    for at in live:
        unlink(words, at)
    _free_slot(space, mark, chunks)
    board = Board(space)
    board.settle(keys, live)
    space.publish(board)


def _free_slot(space: Space, mark: int, chunks: list[int]) -> None:
    words = space.words
    slot = slot_at(mark)
    for chunk in chunks:
        words[entry_of(chunk)] = 0
        words[H_HINT] = min(words[H_HINT], entry_of(chunk) - DIRECTORY)
    space.strays.append(fifo_name(words[slot + S_FIFO]))
    words[slot + S_JOINED] = 0


def repair(space: Space) -> None:
    """Make index, guards and grants anew from what the living wrote."""
    words = space.words
    words[H_REPAIRS] += 1
    _clear_index(space)
    for mark in dead(space):
        _free_slot(space, mark, space.chunks_of(mark))
    slots = set(space.slots())
    for chunk, mark in space.owned():
        if mark not in slots:
            words[entry_of(chunk)] = 0
    words[H_HINT] = 0
    _relink(space)
    _judge(space)
    strays(space)


def _relink(space: Space) -> None:
    """Link every record that stands for something, the oldest first; free the others."""
    words = space.words
    found = list(space.records(chunk for chunk, _ in space.owned()))
    live = [at for at, _ in found if space.is_live(at)]
    # Of a broken ask its owner does not know yet; it will free the records itself.
    broken = {at for each, state in found if state == BROKEN for at in space.siblings(each)}
    kept = broken.union(live)
    texts = {more for at in kept for more in space.more(at)}
    for at, state in found:
        if (state == MEMBER and at not in kept) or (state == MORE and at not in texts):
            words[at + R_STATE] = FREE
    # At the head of its chain, the newest first: the oldest comes to stand before all others.
    for at in sorted(live, key=lambda at: -words[at + R_TICKET]):
        bucket = INDEX + (words[at + R_HASH] & BUCKET_MASK)
        words[at + R_NEXT] = words[bucket]
        words[bucket] = at


def _judge(space: Space) -> None:
    """Grant what may be granted, and have every waiter look for itself."""
    words = space.words
    waiting = list(_waiting(space))
    words[H_TANGLED] = sum(1 for first in waiting if words[first + R_KIND] & TANGLED)
    for first in waiting:
        words[first + R_GUARD] = 0
    board = Board(space)
    names = [key_of(space, at) for first in waiting for at in space.siblings(first)]
    board.settle(dict.fromkeys(names))
    space.publish(board)
    # Whoever died or was interrupted may have granted without waking.
    space.wakes |= set(space.slots()) - {space.mark}
    space.moved = True


def _waiting(space: Space) -> Iterator[int]:
    records = space.records(chunk for chunk, _ in space.owned())
    return (at for at, state in records if state == WAIT)
