"""How a process comes to its claims: through the gate, into the mutex, and out again.

Three locks, always in this order: the *gate* (a lock of this process: its threads), the *mutex*
(of the file: its processes), and the peers' own, which is only taken outside the other two.
Nothing inside the mutex waits, sleeps or tells anybody: see :mod:`..claims`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from holdfast.drivers.filespace import repair
from holdfast.drivers.filespace.claims import Claims
from holdfast.drivers.filespace.ground import Access, saying
from holdfast.drivers.filespace.layout import (
    H_INSIDE,
    S_BROKEN,
    S_FIFO,
    slot_at,
)
from holdfast.drivers.filespace.listener import Dead, Listener, complain
from holdfast.drivers.filespace.mutex import Patience
from holdfast.drivers.filespace.peers import is_alive
from holdfast.drivers.filespace.space import Space
from holdfast.drivers.filespace.view import View, copy_of
from holdfast.drivers.owner import this_process
from holdfast.errors import Closed, DriverError, LockLost
from holdfast.locks.table import Claim
from holdfast.locks.terms import Owner
from holdfast.native import allocate_lock, get_ident

__all__ = ["Keeper"]

T = TypeVar("T")
CLOSING = 2.0
"""Seconds that ``close`` gives the listener to come to its end."""


def _tell(claim: Claim) -> None:
    """Tell its owner. If that raises, which it must not, the others are told all the same."""
    try:
        claim.tell()
    except Exception:
        complain()


class Keeper(Claims):
    """Gate, mutex and listener, for all of a claim's long way. The driver adds a short one."""

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
        super()._reset()
        self._gate: Any = allocate_lock()
        self._opening: Any = allocate_lock()
        self._inside = 0
        self._space: Space | None = None
        self._listener: Listener | None = None
        self._left: deque[Claim] = deque()
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

    def _leave_all(self, space: Space) -> None:
        self._lose_all()
        space.leave()
        self._space = None

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

    def _alone(self, act: Callable[[Space], T]) -> T:
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

    def _once(self, act: Callable[[Space], T]) -> tuple[T] | None:
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
            result = act(space)
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

    def _view(self) -> View:
        """All that is held and awaited, by the living."""
        boot = self._ready().owner.boot
        view = View(self._alone(copy_of), boot)
        dead = self._test(view.marks())
        if dead:
            # A holder that nobody waits for dies unnoticed: whoever looks next buries it.
            self._alone(partial(self._bury, dead))
            self._after()
            view = View(self._alone(copy_of), boot)
        return view

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
