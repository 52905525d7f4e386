"""The claims of this process, and everything that is done to them inside the mutex.

Three locks, always in this order: the *gate* (a lock of this process: its threads), the *mutex*
(of the file: its processes), and the peers' own, which is only taken outside the other two.
Nothing inside the mutex waits, sleeps or tells anybody; who is to be told is noted, and told after.

    C1 waits; P2 releases, grants C1, leaves the mutex, writes one byte into P1's FIFO;
    P1's listener reads it, sees STATE == HELD, marks C1 as held and calls ``C1.tell()``.
    If P2 dies before it writes: P1 watched P2, whose record was C1's guard, and looks all the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import time
from typing import Any, TypeVar
from zlib import crc32

from holdfast.drivers.base import Told
from holdfast.drivers.filespace import repair
from holdfast.drivers.filespace.board import Board, key_of, unlink
from holdfast.drivers.filespace.ground import Access, saying
from holdfast.drivers.filespace.layout import (
    BROKEN,
    H_INSIDE,
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
from holdfast.drivers.filespace.listener import Dead, Listener, complain
from holdfast.drivers.filespace.mutex import Patience
from holdfast.drivers.filespace.peers import is_alive
from holdfast.drivers.filespace.space import Space
from holdfast.drivers.owner import this_process
from holdfast.errors import Closed, DriverError, LockLost
from holdfast.locks.table import Claim, Seat
from holdfast.locks.terms import Mode, Owner
from holdfast.native import allocate_lock, get_ident

__all__ = ["FileSeat", "Keeper", "record_of"]

T = TypeVar("T")
CLOSING = 2.0
"""Seconds that ``close`` gives the listener to come to its end."""


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


def _tell(claim: Claim) -> None:
    """Tell its owner. If that raises, which it must not, the others are told all the same."""
    try:
        claim.tell()
    except Exception:
        complain()


class Keeper:
    """The slow way: every step inside the mutex, by the law. The driver adds a short way."""

    def __init__(self, path: str, access: Access, label: str) -> None:
        self.path = path
        self._access = access
        self._label = label
        self._closed = False
        self._reset()
        self._attach()

    # ------------------------------------------------------------------ opening, fork, close

    def _reset(self) -> None:
        """As if nothing had been opened."""
        self._gate: Any = allocate_lock()
        self._opening: Any = allocate_lock()
        self._inside = 0
        self._space: Space | None = None
        self._listener: Listener | None = None
        self._claims: dict[int, Claim] = {}
        self._waiting: dict[int, Claim] = {}
        self._left: deque[Claim] = deque()
        self._news: deque[Claim] = deque()
        self._hurt = False
        self._broken = 0

    def _attach(self) -> Space:
        """Open the directory and take a slot."""
        with self._opening:
            if self._space is None:
                space = Space(self.path, self._access, this_process(self._label))
                self._listener = Listener(space.fifo, space.peers, self._attend)
                self._space = space
            return self._space

    def _ready(self) -> Space:
        """The space, opened again if this is a fork's child."""
        if self._closed:
            raise Closed("this lockspace is closed")
        return self._space or self._attach()

    def forked(self) -> None:
        """See :meth:`Driver.forked <holdfast.drivers.base.Driver.forked>`."""
        space, claims = self._space, self._claims
        self._reset()
        for claim in claims.values():
            claim.state = "gone"
        if space is not None:
            space.peers.forked()
            space.close()

    def close(self) -> None:
        """See :meth:`Driver.close <holdfast.drivers.base.Driver.close>`."""
        self._closed = True
        space, listener = self._space, self._listener
        if space is None or listener is None:
            return
        try:
            self._alone(self._leave_all)
        except DriverError:
            # The mutex is stuck. Our death as a process of this lockspace frees what we held.
            self._space = None
            self._lose_all()
        space.spread()
        self._tell_news()
        if listener.stop(CLOSING):
            space.close()

    def _leave_all(self) -> None:
        space = self._space
        if space is not None:
            self._lose_all()
            space.leave()
            self._space = None

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

    @property
    def owner(self) -> Owner:
        """See :meth:`Driver.owner <holdfast.drivers.base.Driver.owner>`."""
        space = self._space
        return space.owner if space is not None else this_process(self._label)

    def liveness(self) -> int:
        """A descriptor that shows that this process lives: as long as anybody has it open.

        A child that inherits it (``pass_fds``) and keeps it over ``exec`` keeps this process's
        locks: they last until keeper *and* child are gone.
        """
        return self._ready().fifo.read

    # ------------------------------------------------------------------ inside the mutex

    def _alone(self, act: Callable[[], T]) -> T:
        """*act*, inside the mutex; what it brings about for others is spread after.

        No call stands between taking the gate and noting who is inside, so no signal handler can
        find it taken by its own thread and not see that.
        """
        me = get_ident()
        if self._inside == me:
            raise DriverError("a signal handler or finaliser that runs inside an ask cannot ask")
        patience = None
        while True:
            with self._gate:
                self._inside = me
                try:
                    done = self._once(act)
                finally:
                    self._inside = 0
            if done:
                return done[0]
            patience = patience or Patience()
            if not patience.pause():
                self._ready().refuse_stuck()
                patience = None

    def _once(self, act: Callable[[], T]) -> tuple[T] | None:
        """One attempt. After an exception ``H_INSIDE`` stays set, so the next to enter repairs;
        except after a DriverError, which says that nothing was changed."""
        space = self._space
        if space is None:
            raise Closed("this lockspace is closed")
        try:
            for busy in space.mutex.take:
                if busy:
                    return None
                break
            repair.enter(space, space.mark)
            if not space.is_ours():
                self._was_buried(space)
            if self._hurt:
                self._heal(space)
            result = act()
            self._collect(space)
            space.words[H_INSIDE] = 0
            return (result,)
        except DriverError:
            space.words[H_INSIDE] = 0
            raise
        except BaseException:
            self._hurt = True
            raise
        finally:
            for _ in space.mutex.give:
                break

    def _was_buried(self, space: Space) -> None:
        """Somebody took us for dead (our FIFO was removed by hand): hold nothing, and say so."""
        why = f"another process took this one for dead; was a FIFO removed from {self.path}?"
        for claim in self._claims.values():
            claim.error = LockLost(claim.names, why)
            claim.state = "lost"
            self._news.append(claim)
        self._claims.clear()
        self._waiting.clear()
        self._space = None
        raise DriverError(f"{space.path}: {why}")

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

    def _enter(self, claim: Claim, tell: Told | None) -> set[int]:
        """Put the claim into its queues. If it must wait: who is to be watched."""
        space = self._ready()
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

    def _forget(self, space: Space, first: int) -> list[int]:
        """Free the records of a claim; those that stood for its names."""
        made = space.dequeue(first)
        del self._claims[first]
        self._waiting.pop(first, None)
        return made

    def _leave(self, claim: Claim) -> bool:
        """Neither hold nor wait any more. Whether it was held until now."""
        space = self._space
        first = record_of(claim)
        if space is None or self._claims.get(first) is not claim:
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

    def _lose(self, space: Space, claim: Claim, first: int) -> None:
        """Somebody broke it; its record says why, and is free from now on."""
        size = min(space.words[first + R_KIND] >> 48, TEXT_BYTES)
        start = (first + R_TEXT) * 8
        why = text_of(bytes(space.raw[start : start + size])) or "nobody said why"
        claim.error = LockLost(claim.names, f"it was broken: {why}")
        self._forget(space, first)
        claim.state = "lost"
        self._news.append(claim)

    def _marks(self, claim: Claim) -> set[int]:
        """Who is to be watched for one waiter; inside the mutex."""
        if claim.state != "waiting":
            return set()
        return Board(self._ready()).watched(claim.seats[0].at)  # type: ignore[attr-defined]

    def _break(self, name: str, id_: str, why: str) -> bool:
        space = self._ready()
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

    # ------------------------------------------------------------------ outside the mutex

    def _after(self) -> None:
        """Spread what the last operation brought about: others are woken, ours are told."""
        space = self._space
        if space is not None:
            spread = not (space.wakes or space.strays) or space.spread()
            if not spread:
                self._call_for_help()
            if space.moved and self._waiting and self._listener is not None:
                space.moved = False
                self._listener.poke()
        self._tell_news()
        while self._left:
            self._work_off()

    def _tell_news(self) -> None:
        """Twice is harmless, never is not: so each is taken from the list when it was told."""
        news = self._news
        while news:
            try:
                claim = news[0]
                _tell(claim)
                news.remove(claim)
            except (IndexError, ValueError):
                pass  # another thread told it at the same time

    def _work_off(self) -> None:
        """Drop what a finaliser or a signal handler could not, because it interrupted us."""
        try:
            claim = self._left[0]
            self._alone(partial(self._leave, claim))
            self._left.remove(claim)
        except (IndexError, ValueError):
            pass  # another thread did it at the same time

    def _call_for_help(self) -> None:
        """An exception struck: the listener finishes what it left."""
        self._hurt = True
        if self._listener is not None and self._space is not None:
            self._listener.start()
            self._listener.poke()

    def _watch(self, marks: set[int]) -> Dead:
        """Have the listener told of the death of these; those who are dead already."""
        space = self._ready()
        dead = []
        for mark in marks - {space.mark}:
            number = space.words[slot_at(mark) + S_FIFO]
            with saying("watch a process that uses", self.path):
                if not space.peers.watch(mark):
                    dead.append((mark, number))
        return dead

    def _test(self, marks: set[int]) -> Dead:
        """Those who are dead already, without watching the others."""
        space = self._ready()
        numbers = {mark: space.words[slot_at(mark) + S_FIFO] for mark in marks - {space.mark}}
        return [(m, n) for m, n in numbers.items() if not is_alive(space.directory, space, m)]

    def _bury(self, dead: Dead) -> None:
        """Free what the dead held; inside the mutex. Their slots may have new owners by now."""
        space = self._ready()
        words = space.words
        for mark, number in dead:
            slot = slot_at(mark)
            if words[slot + S_JOINED] and words[slot + S_FIFO] == number:
                repair.reap(space, mark)

    def _review(self) -> set[int]:
        """Who is to be watched for our waiters; inside the mutex.

        First see who of them does not wait any more: another process buried the dead before us,
        and granted; the guard that is left in such a record would be found dead for ever.
        """
        space = self._ready()
        self._notice(space)
        board = Board(space)
        marks: set[int] = set()
        for first in self._waiting:
            marks |= board.watched(first)
        return marks

    def _notice(self, space: Space) -> None:
        """See which of our claims others have granted or broken.

        Read without the mutex: STATE is stored last, tokens before it, and whoever stores it wakes
        us afterwards. So what we see too early we see again.
        """
        words = space.words
        for first, claim in tuple(self._waiting.items()):
            if words[first + R_STATE] == HELD:
                self._have(space, claim, first)

    def _lose_broken(self) -> None:
        """Inside the mutex: those of our claims that somebody broke."""
        space = self._ready()
        for first, claim in tuple(self._claims.items()):
            if space.words[first + R_STATE] == BROKEN:
                self._lose(space, claim, first)

    def _attend(self, dead: Dead) -> bool:
        """The listener's work after each event. True: something is left, try again soon."""
        space = self._space
        if space is None:
            return False
        me = get_ident()
        with self._gate:
            self._inside = me
            self._notice(space)
            self._inside = 0
        self._tell_news()
        if dead or self._hurt:
            self._alone(partial(self._bury, dead))
        broken = space.words[slot_at(space.mark) + S_BROKEN]
        if broken != self._broken:
            self._alone(self._lose_broken)
            self._broken = broken
        self._after()
        self._follow(space)
        self._after()
        return bool(self._left or space.wakes)

    def _follow(self, space: Space) -> None:
        """Watch those who are in the way of our waiters, and bury those found dead."""
        while self._waiting:
            version = space.peers.version
            marks = self._alone(self._review)
            dead = self._watch(marks)
            if not dead:
                space.peers.keep_only(marks, version)
                return
            self._alone(partial(self._bury, dead))
            self._after()
