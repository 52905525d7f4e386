"""The claims of this process, and everything that is done to them inside the mutex.

Nothing here waits, sleeps or tells anybody; who is to be told is noted, and told after:

    C1 waits; P2 releases, grants C1, leaves the mutex, writes one byte into P1's FIFO;
    P1's listener reads it, sees STATE == HELD, marks C1 as held and calls ``C1.tell()``.
    If P2 dies before it writes: P1 watched P2, whose record was C1's guard, and looks all the same.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from time import time
from zlib import crc32

from holdfast.drivers.base import Told
from holdfast.drivers.filespace import repair
from holdfast.drivers.filespace.board import Board, key_of, unlink
from holdfast.drivers.filespace.layout import (
    BROKEN,
    H_TANGLED,
    HELD,
    R_GUARD,
    R_KIND,
    R_MARK,
    R_STATE,
    R_TEXT,
    R_TICKET,
    R_TOKEN,
    S_BROKEN,
    S_FIFO,
    S_JOINED,
    TEXT_BYTES,
    WAIT,
    slot_at,
    text_of,
)
from holdfast.drivers.filespace.listener import Dead
from holdfast.drivers.filespace.peers import is_alive
from holdfast.drivers.filespace.space import Space
from holdfast.errors import Closed, LockLost
from holdfast.locks.table import Claim, Seat
from holdfast.locks.terms import Mode

__all__ = ["Claims", "FileSeat", "record_of"]


class FileSeat(Seat):
    """A seat that knows its record. Its ``claim`` stays unset: a circle would be garbage."""

    __slots__ = ("at",)

    def __init__(self, name: str, mode: Mode, at: int) -> None:
        self.name = name
        self.mode = mode
        self.token = 0
        self.at = at


def record_of(claim: Claim) -> int:
    """The first record of a claim that was submitted."""
    at: int = claim.seats[0].at  # type: ignore[attr-defined]
    return at


class Claims:
    """The slow way: every step by the law. Each method runs inside the mutex of *space*."""

    def _reset(self) -> None:
        """As if nobody had asked for anything."""
        self._claims: dict[int, Claim] = {}
        self._waiting: dict[int, Claim] = {}
        self._news: deque[Claim] = deque()
        self._hurt = False

    def _enter(self, claim: Claim, tell: Told | None, space: Space) -> set[int]:
        """Put the claim into its queues. If it must wait: who is to be watched."""
        claim.since = time()
        made = space.lay(claim.wants, claim.since)
        first = made[0]
        claim.seats = [FileSeat(*want, at) for want, at in zip(claim.wants, made, strict=True)]
        claim.ticket = space.words[first + R_TICKET]
        claim.id = f"{claim.ticket:x}"
        claim.state = "waiting"
        self._claims[first] = self._waiting[first] = claim
        space.enqueue(made)
        return self._judge(space, claim, tell)

    def _judge(self, space: Space, claim: Claim, tell: Told | None) -> set[int]:
        words = space.words
        first = record_of(claim)
        board = Board(space)
        if not board.is_blocked(first):
            board.grant(first)
            if words[H_TANGLED] or any(mode.kind == "slots" for _, mode in claim.wants):
                board.settle([key_of(space, at) for at in space.siblings(first)])
        else:
            words[first + R_GUARD] = board.guard(first)
        space.publish(board)
        self._collect(space)
        if tell is not None:
            claim.tell = tell
        if claim.state == "held":
            with suppress(ValueError):
                self._news.remove(claim)  # who asked learns it from the answer
            return set()
        marks = board.watched(first)
        if tell is None:
            self._forget(space, first)
            claim.state = "new"
        return marks

    def _marks(self, claim: Claim, space: Space) -> set[int]:
        """Who is to be watched for one waiter; see :meth:`_review`."""
        self._notice(space)
        return Board(space).watched(record_of(claim)) if claim.state == "waiting" else set()

    def _leave(self, claim: Claim, space: Space) -> bool:
        """Neither hold nor wait any more. Whether it was held until now."""
        first = record_of(claim)
        if self._claims.get(first) is not claim:
            return False
        state = space.words[first + R_STATE]
        if state == BROKEN:
            self._lose(space, claim, first)
            return False
        keys = [key_of(space, at) for at in space.siblings(first)]
        made = self._forget(space, first)
        claim.state = "gone"
        board = Board(space)
        board.settle(keys, made)
        space.publish(board)
        return bool(state == HELD)

    def _forget(self, space: Space, first: int) -> list[int]:
        """Free the records of a claim; those that stood for its names."""
        made = space.dequeue(first)
        del self._claims[first]
        self._waiting.pop(first, None)
        return made

    def _collect(self, space: Space) -> None:
        """Note those of our claims that were granted."""
        while space.won:
            claim = self._waiting.get(space.won[-1])
            if claim is not None:
                self._have(space, claim, space.won[-1])
            space.won.pop()

    def _have(self, space: Space, claim: Claim, first: int) -> None:
        """Note that it was granted. It is taken from those who wait last: what an exception ends
        half-way is done again, and telling twice is harmless."""
        if claim.state == "waiting":
            for seat in claim.seats:
                seat.token = space.words[seat.at + R_TOKEN]  # type: ignore[attr-defined]
            claim.since = space.since_at(first)
            claim.state = "held"
        if claim.state == "held":
            self._news.append(claim)
        # Else a finaliser or handler gave it up; it is about to be released.
        self._waiting.pop(first, None)

    def _notice(self, space: Space) -> None:
        """See which of our claims others have granted or broken.

        Read without the mutex: STATE is stored last, tokens before it, and whoever stores it wakes
        us afterwards. So what we see too early we see again.
        """
        words = space.words
        for first, claim in tuple(self._waiting.items()):
            if words[first + R_STATE] == HELD:
                self._have(space, claim, first)

    def _review(self, space: Space) -> set[int]:
        """Who is to be watched for our waiters; inside the mutex.

        First see who of them does not wait any more: another process buried the dead before us,
        and granted; the guard that is left in such a record would be found dead for ever.
        """
        self._notice(space)
        board = Board(space)
        marks: set[int] = set()
        for first, claim in tuple(self._waiting.items()):
            if self._claims.get(first) is claim:
                marks |= board.watched(first)
            else:
                # It timed out just when another process had granted it, and left by the short way,
                # which knows only holders: its record is free, or somebody else's by now.
                self._waiting.pop(first, None)
        return marks

    def _bury(self, dead: Dead, space: Space) -> None:
        """Free what the dead held; inside the mutex, where what was seen outside is seen again.

        T1 reads the number of a slot's FIFO, while P2, about to join, has stored it but not yet
        JOINED: so T1 takes the slot for left. P2 joins. T1 comes here, and the number fits.
        """
        words = space.words
        for mark, number in dead:
            slot = slot_at(mark)
            same = words[slot + S_JOINED] and words[slot + S_FIFO] == number
            if same and not is_alive(space.directory, space, mark):
                repair.reap(space, mark)

    def _break(self, name: str, id_: str, why: str, space: Space) -> bool:
        words = space.words
        raw = name.encode()
        board = Board(space)
        for spot in board.line((crc32(raw), raw)):
            if spot.held and f"{words[spot.first + R_TICKET]:x}" == id_:
                self._strike(space, spot.first, why)
                return True
        return False

    def _strike(self, space: Space, first: int, why: str) -> None:
        """Take it from its holder: STATE first, then why, in place of the name it stood for."""
        words = space.words
        made = list(space.siblings(first))
        keys = [key_of(space, at) for at in made]
        words[first + R_STATE] = BROKEN
        for at in made:
            unlink(words, at)
        text = why.encode()[:TEXT_BYTES]
        start = (first + R_TEXT) * 8
        space.raw[start : start + len(text)] = text
        words[first + R_KIND] = len(text) << 48
        mark = words[first + R_MARK]
        words[slot_at(mark) + S_BROKEN] += 1
        board = Board(space)
        board.settle(keys, made)
        space.publish(board)
        if mark != space.mark:
            space.wakes.add(mark)
        elif first in self._claims:
            self._lose(space, self._claims[first], first)

    def _lose(self, space: Space, claim: Claim, first: int) -> None:
        """Somebody broke it; its record says why, and is free from now on."""
        size = min(space.words[first + R_KIND] >> 48, TEXT_BYTES)
        start = (first + R_TEXT) * 8
        why = text_of(bytes(space.raw[start : start + size])) or "nobody said why"
        claim.error = LockLost(claim.names, f"it was broken: {why}")
        self._forget(space, first)
        claim.state = "lost"
        self._news.append(claim)

    def _lose_broken(self, space: Space) -> None:
        """Inside the mutex: those of our claims that somebody broke."""
        for first, claim in tuple(self._claims.items()):
            if space.words[first + R_STATE] == BROKEN:
                self._lose(space, claim, first)

    def _lose_all(self) -> None:
        for claim in self._claims.values():
            if claim.state == "held":
                claim.error = LockLost(claim.names, "its lockspace was closed")
            else:
                claim.error = Closed(
                    f"the lockspace was closed while this ask waited for {claim.names[0]!r}"
                )
            claim.state = "lost"
            self._news.append(claim)
        self._claims.clear()
        self._waiting.clear()

    def _heal(self, space: Space) -> None:
        """After an exception in this process: forget claims that have no record, count the free."""
        words = space.words
        for first, claim in tuple(self._claims.items()):
            if words[first + R_STATE] not in (WAIT, HELD, BROKEN):
                del self._claims[first]
                self._waiting.pop(first, None)
                claim.state = "gone"
        space.count_free()
        self._hurt = False
