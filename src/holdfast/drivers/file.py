"""``file:///dir``, the lockspace of one host: no server, one mapped file, one FIFO per process.

The law decides over records in the file (:mod:`holdfast.drivers.filespace`). What is here is the
driver's face and its **short way**, for the uncontended case: a name that nobody else holds or
awaits is granted, and released, without asking the law, which could only say yes.

The short way is one run of loads and stores between ``take`` and ``give``, without a call: see
:mod:`holdfast.drivers.filespace.mutex` for why neither another thread, nor a signal, nor a waiting
for the GIL can come between. It stands here thrice, and not behind a call, because a call costs as
much as all it does, and would let them in.

Death may still come between any two stores. Taking and giving do not even say that they are inside,
so nobody repairs after them: one store puts a held record into its chain, or takes it out. Who dies
before it, or after it, leaves a held record that is not in a chain: nobody is in its way, and its
chunk is cleared with all others of its dead owner.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import time
from typing import TypeVar
from zlib import crc32

from holdfast.drivers.base import Options, Told
from holdfast.drivers.filespace.board import Board
from holdfast.drivers.filespace.claims import FileSeat, record_of
from holdfast.drivers.filespace.ground import read_url
from holdfast.drivers.filespace.keeper import Keeper
from holdfast.drivers.filespace.layout import (
    BUCKET_MASK,
    FILL,
    FILL_AT,
    FREE,
    H_INSIDE,
    H_LAST,
    HELD,
    INDEX,
    KINDS,
    R_HASH,
    R_KIND,
    R_MORE,
    R_NEXT,
    R_SIBLING,
    R_SINCE,
    R_STATE,
    R_TEXT,
    R_TICKET,
    R_TOKEN,
    TEXT_BYTES,
    WAIT,
    bits_of,
    text_of,
)
from holdfast.drivers.filespace.listener import Dead
from holdfast.drivers.filespace.probe import probe
from holdfast.drivers.filespace.promises import GUARANTEES
from holdfast.drivers.filespace.space import Space
from holdfast.drivers.filespace.view import View
from holdfast.errors import DriverError
from holdfast.locks.table import Claim
from holdfast.locks.terms import Holder, Mode, Waiter
from holdfast.native import get_ident

__all__ = ["FileDriver", "open_file", "probe"]

T = TypeVar("T")

EXCLUSIVE_KIND = KINDS["exclusive"]


class FileDriver(Keeper):
    """The driver. All methods may be called from any thread, and after a fork in the child."""

    guarantees = GUARANTEES

    def _reset(self) -> None:
        super()._reset()
        self._free: list[int] = []

    def _attach(self) -> Space:
        space = super()._attach()
        self._free = space.free
        return space

    def submit(self, claim: Claim, tell: Told | None) -> bool:
        """See :meth:`Driver.submit <holdfast.drivers.base.Driver.submit>`."""
        if self._inside == get_ident():
            raise DriverError(
                "cannot ask from a signal handler or finaliser that runs inside an ask"
            )
        try:
            if len(claim.wants) == 1 and self._take(claim):
                if tell is not None:
                    claim.tell = tell
                if self._left:
                    self._after()
                return True
            return self._submit(claim, tell)
        except DriverError:
            self._withdraw_now(claim)
            raise
        except BaseException:
            self._withdraw(claim)
            raise

    def drop(self, claim: Claim) -> bool:
        """See :meth:`Driver.drop <holdfast.drivers.base.Driver.drop>`."""
        if not claim.seats or claim.state in ("new", "gone", "lost"):
            return False
        if self._inside == get_ident():
            # A finaliser or handler interrupted us inside the mutex: the one interrupted does it.
            return self._drop_later(claim)
        try:
            if len(claim.seats) == 1 and self._give(claim):
                if self._left:
                    self._after()
                return True
            return self._drop(claim)
        except DriverError:
            self._call_for_help()
            return self._drop_later(claim)
        except BaseException:
            self._left.append(claim)
            self._call_for_help()
            raise

    def blockers(self, claim: Claim) -> list[tuple[Holder | Waiter, Claim | None]]:
        """See :meth:`Driver.blockers <holdfast.drivers.base.Driver.blockers>`."""
        return self._read(claim, self._blockers)

    def rivals(self, claim: Claim) -> list[tuple[str, Mode, Claim | None]]:
        """See :meth:`Driver.rivals <holdfast.drivers.base.Driver.rivals>`."""
        return self._read(claim, self._rivals)

    def look(self, prefix: str) -> list[Holder | Waiter]:
        """See :meth:`Driver.look <holdfast.drivers.base.Driver.look>`."""
        return self._view().look(prefix)

    def break_(self, name: str, id: str, why: str) -> bool:
        """See :meth:`Driver.break_ <holdfast.drivers.base.Driver.break_>`."""
        self._ready()
        broken = self._alone(partial(self._break, name, id, why))
        self._after()
        return broken

    def _read(self, claim: Claim, read: Callable[[Space, int], list[T]]) -> list[T]:
        """What *read* finds inside the mutex about a waiting claim."""
        if claim.state != "waiting":
            return []
        return self._alone(partial(self._read_inside, claim, read))

    def _read_inside(
        self, claim: Claim, read: Callable[[Space, int], list[T]], space: Space
    ) -> list[T]:
        return read(space, record_of(claim)) if claim.state == "waiting" else []

    def _blockers(self, space: Space, first: int) -> list[tuple[Holder | Waiter, Claim | None]]:
        view = View(space, space.owner.boot)
        return [(seen, self._claims.get(other)) for seen, other in view.blockers(first)]

    def _rivals(self, space: Space, first: int) -> list[tuple[str, Mode, Claim | None]]:
        return [
            (text_of(space.name_at(spot.at)), spot.mode, self._claims.get(spot.first))
            for spot in Board(space).blockers(first)
        ]

    # ------------------------------------------------------------------ the short way

    def _take(self, claim: Claim) -> bool:
        """Grant a single name that nobody holds or awaits. False: it takes the long way."""
        name, mode = claim.wants[0]
        raw = name.encode()
        if len(raw) > TEXT_BYTES or mode.group is not None:
            return False
        code = crc32(raw)
        kind = KINDS[mode.kind] | len(raw) << 8
        bucket = INDEX + (code & BUCKET_MASK)
        claim.since = now = time()
        me = get_ident()
        if self._inside == me:
            return False
        with self._gate:
            self._inside = me
            try:
                free, space = self._free, self._space
                if not free or space is None:
                    return False
                at = free[-1]
                words, mark, claims, mutex = space.words, space.mark, self._claims, space.mutex
                hint = words[bucket]
                if hint and words[hint + R_HASH] == code:
                    return False
                FILL.pack_into(
                    space.raw, at * 8 + FILL_AT,
                    code, at, kind, mode.limit, mark, 0, now, 0, 0, raw,
                )  # fmt: skip
                seat = FileSeat(name, mode, at)
                claim.seats = [seat]
                # The run `take`: it jumps back only where several names share a bucket.
                for busy in mutex.take:  # noqa: B007
                    break
                if busy:
                    return False
                try:
                    other = words[bucket]
                    while other and words[other + R_HASH] != code:
                        other = words[other + R_NEXT]
                    ticket = words[H_LAST] + 1
                    if other or words[H_INSIDE] or ticket >= space.ceiling:
                        return False
                    claims[at] = claim
                    del free[-1]
                    claim.ticket = seat.token = ticket
                    words[H_LAST] = ticket
                    words[at + R_TICKET] = ticket
                    words[at + R_TOKEN] = ticket
                    words[at + R_NEXT] = words[bucket]
                    words[at + R_STATE] = HELD
                    words[bucket] = at
                    claim.id = f"{ticket:x}"
                    claim.state = "held"
                    return True
                finally:
                    for _ in mutex.give:
                        break
            finally:
                self._inside = 0

    def _give(self, claim: Claim) -> bool:
        """Release a single name that nobody else awaits or shares. False: it takes the long way."""
        at = record_of(claim)
        me = get_ident()
        with self._gate:
            self._inside = me
            try:
                space, claims, free = self._space, self._claims, self._free
                if space is None or claims.get(at) is not claim:
                    return False
                words, mutex = space.words, space.mutex
                code = words[at + R_HASH]
                hint = words[at + R_NEXT]
                if hint and words[hint + R_HASH] == code:
                    return False
                # The run `give`.
                for busy in mutex.take:  # noqa: B007
                    break
                if busy:
                    return False
                try:
                    found = 0
                    before = INDEX + (code & BUCKET_MASK)
                    other = words[before]
                    while other and (other == at or words[other + R_HASH] != code):
                        if other == at:
                            found = before
                        before = other + R_NEXT
                        other = words[before]
                    if (
                        other
                        or not found
                        or words[H_INSIDE]
                        or words[at + R_STATE] != HELD
                        or words[at + R_MORE]
                    ):
                        return False
                    words[found] = words[at + R_NEXT]
                    words[at + R_STATE] = FREE
                    del claims[at]
                    claim.state = "gone"
                finally:
                    for _ in mutex.give:
                        break
                free.append(at)
                return True
            finally:
                self._inside = 0

    def _pass_on(self, claim: Claim) -> bool:
        """Release a single name to the next in line, both exclusive. False: it takes the long way.

        The law could only say yes: whoever waits exclusively behind the only holder is not blocked
        once that one has left, and bars all behind itself, who keep their guards.
        """
        at = record_of(claim)
        now = bits_of(time())
        me = get_ident()
        with self._gate:
            self._inside = me
            try:
                space, claims = self._space, self._claims
                if space is None or claims.get(at) is not claim:
                    return False
                words, raw, mutex, free = space.words, space.raw, space.mutex, self._free
                # The run `pass on`.
                for busy in mutex.take:  # noqa: B007
                    break
                if busy:
                    return False
                try:
                    before = INDEX + (words[at + R_HASH] & BUCKET_MASK)
                    while words[before] and words[before] != at:
                        before = words[before] + R_NEXT
                    heir = words[at + R_NEXT]
                    mine, other = (at + R_TEXT) * 8, (heir + R_TEXT) * 8
                    number = words[H_LAST] + 1
                    if (
                        not heir
                        or words[H_INSIDE]
                        or words[at + R_STATE] != HELD
                        or words[heir + R_STATE] != WAIT
                        or words[at + R_KIND] & 0xFF != EXCLUSIVE_KIND
                        or words[at + R_KIND] != words[heir + R_KIND]
                        or words[heir + R_SIBLING]
                        or words[at + R_MORE]
                        or words[before] != at
                        or words[at + R_HASH] != words[heir + R_HASH]
                        or raw[mine : mine + TEXT_BYTES] != raw[other : other + TEXT_BYTES]
                        or number >= space.ceiling
                    ):
                        return False
                    words[H_INSIDE] = space.mark
                    words[H_LAST] = number
                    words[heir + R_TOKEN] = number
                    words[heir + R_SINCE] = now
                    words[at + R_STATE] = FREE
                    words[before] = heir
                    words[heir + R_STATE] = HELD
                    del claims[at]
                    claim.state = "gone"
                    words[H_INSIDE] = 0
                finally:
                    for _ in mutex.give:
                        break
                space.inherits(heir)
                free.append(at)
                self._collect(space)
                return True
            finally:
                self._inside = 0

    # ------------------------------------------------------------------ the long way

    def _submit(self, claim: Claim, tell: Told | None) -> bool:
        self._ready()
        if self._listener is not None:
            self._listener.start()  # a holder, too, must hear if somebody breaks its lock
        dead = self._enter_and_watch(claim, tell)
        while dead and claim.state in ("waiting", "new"):
            self._alone(partial(self._bury, dead))
            if claim.state == "new":
                dead = self._enter_and_watch(claim, tell)
            else:
                dead = self._watch(self._alone(partial(self._marks, claim)))
        self._after()
        return claim.state == "held"

    def _enter_and_watch(self, claim: Claim, tell: Told | None) -> Dead:
        """Ask; if somebody is in the way see whether they live, or are long dead."""
        marks = self._alone(partial(self._enter, claim, tell))
        return self._watch(marks) if tell is not None else self._test(marks)

    def _drop(self, claim: Claim) -> bool:
        if self._space is None:
            return False
        held = len(claim.seats) == 1 and self._pass_on(claim)
        held = held or self._alone(partial(self._leave, claim))
        self._after()
        return held

    def _drop_later(self, claim: Claim) -> bool:
        held = claim.state == "held"
        self._left.append(claim)
        claim.state = "gone"
        return held

    def _withdraw(self, claim: Claim) -> None:
        """An exception ended ``submit``: the claim is to leave no trace."""
        if claim.seats and self._claims.get(record_of(claim)) is claim:
            self._drop_later(claim)
            self._call_for_help()

    def _withdraw_now(self, claim: Claim) -> None:
        """As :meth:`_withdraw`, by ourselves if we can."""
        self._withdraw(claim)
        try:
            self._after()
        except DriverError:
            pass  # the mutex is stuck; the listener goes on trying


def open_file(url: str, options: Options) -> FileDriver:
    """The lockspace of this host in the directory that *url* names.

    Raises Unsupported for what it does not know, DriverError if the directory is not fit.
    """
    path, access = read_url(url, options)
    return FileDriver(path, access, options.label)
