"""The law, applied to the records of a map: who is blocked, who is granted, who watches whom.

Used inside the mutex, or on a copy of the map. A board reads each queue that it needs once, and
lives for one operation.

**Guards.** A waiter has its process watch *one* other process: the owner of the newest record that
must go before it can be granted (its *guard*). A release then wakes one, and a death too. Only a
waiter for slots, whom any holder's leaving may serve, watches them all (the guard SOFT).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import time
from typing import Any

from holdfast.drivers.filespace.layout import (
    BUCKET_MASK,
    H_LAST,
    H_TANGLED,
    HELD,
    INDEX,
    R_FIRST,
    R_GUARD,
    R_HASH,
    R_KIND,
    R_MARK,
    R_NEXT,
    R_SINCE,
    R_STATE,
    R_TICKET,
    R_TOKEN,
    SOFT,
    TANGLED,
    WAIT,
    Map,
    bits_of,
)
from holdfast.locks.queue import blockers, token_of
from holdfast.locks.terms import Mode

__all__ = ["Board", "Key", "Spot", "key_of", "link", "unlink"]

Key = tuple[int, bytes]
"""A name, as the records know it: its hash and its bytes."""


class Spot:
    """A record in the queue of its name (see :class:`holdfast.locks.queue.Place`)."""

    __slots__ = ("at", "first", "held", "index", "line", "mode", "ticket", "token")

    def __init__(self, at: int, first: int, mode: Mode, held: bool, ticket: int) -> None:
        self.at = at
        self.first = first
        self.mode = mode
        self.held = held
        self.ticket = ticket
        self.token = 0
        self.index = 0
        self.line: list[Spot] = []


def key_of(map_: Map, at: int) -> Key:
    """The name of record *at*."""
    return map_.words[at + R_HASH], map_.name_at(at)


def link(words: Any, at: int) -> None:
    """Put record *at* at the end of its chain."""
    before = INDEX + (words[at + R_HASH] & BUCKET_MASK)
    while words[before]:
        before = words[before] + R_NEXT
    words[at + R_NEXT] = 0
    words[before] = at


def unlink(words: Any, at: int) -> None:
    """Take record *at* out of its chain; harmless if it is not there."""
    before = INDEX + (words[at + R_HASH] & BUCKET_MASK)
    other = words[before]
    while other and other != at:
        before = other + R_NEXT
        other = words[before]
    if other:
        words[before] = words[at + R_NEXT]


class Board:
    """The queues of some names. ``won``: who was granted; ``moved``: whose guard changed."""

    __slots__ = ("_lines", "_map", "_spots", "_words", "moved", "won")

    def __init__(self, map_: Map) -> None:
        self._map = map_
        self._words = map_.words
        self._lines: dict[Key, list[Spot]] = {}
        self._spots: dict[int, Spot] = {}
        self.won: list[int] = []
        self.moved: list[int] = []

    def line(self, key: Key) -> list[Spot]:
        """The queue of that name, in order of arrival."""
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = []
            for spot in self._read(key):
                spot.index = len(line)
                spot.line = line
                line.append(spot)
        return line

    def _front(self, key: Key) -> Iterator[Spot]:
        """The queue of that name up to the first who waits for it exclusively: that one bars all
        behind it, so nobody there holds or may be granted."""
        if key in self._lines:
            yield from self._lines[key]
            return
        line: list[Spot] = []
        for spot in self._read(key):
            spot.index = len(line)
            spot.line = line
            line.append(spot)
            if spot.mode.kind == "exclusive" and not spot.held:
                break
        yield from line

    def _read(self, key: Key) -> Iterator[Spot]:
        """Chains are in order of arrival: who comes is put at the end, or was alone."""
        words, map_ = self._words, self._map
        name_hash, name = key
        at = words[INDEX + (name_hash & BUCKET_MASK)]
        while at:
            if words[at + R_HASH] == name_hash and map_.name_at(at) == name:
                first = words[at + R_FIRST]
                held = words[first + R_STATE] == HELD
                spot = Spot(at, first, map_.mode_at(at), held, words[at + R_TICKET])
                spot.token = words[at + R_TOKEN]
                self._spots[at] = spot
                yield spot
            at = words[at + R_NEXT]

    def spot(self, at: int) -> Spot:
        """The place of record *at* in the queue of its name."""
        if at not in self._spots:
            self.line(key_of(self._map, at))
        return self._spots[at]

    def spots(self, first: int) -> list[Spot]:
        """The places of an ask, one for each of its names."""
        return [self.spot(at) for at in self._map.siblings(first)]

    def in_the_way(self, spot: Spot) -> Iterator[Spot]:
        """Those who block it on that name."""
        return blockers(spot.line, spot.index, self._is_stuck)

    def blockers(self, first: int) -> list[Spot]:
        """Those who block the ask, over all its names."""
        return [other for spot in self.spots(first) for other in self.in_the_way(spot)]

    def is_blocked(self, first: int) -> bool:
        """Whether anybody blocks the ask."""
        return any(True for spot in self.spots(first) for _ in self.in_the_way(spot))

    def _is_stuck(self, spot: Spot) -> bool:
        if spot.held:
            return False
        others = (each for each in self.spots(spot.first) if each is not spot)
        return any(True for other in others for _ in self.in_the_way(other))

    def grant(self, first: int) -> None:
        """Make the ask held: tokens first, then the one store that counts."""
        words = self._words
        spots = self.spots(first)
        for spot in spots:
            words[spot.at + R_TOKEN] = spot.token = token_of(spot.line, spot, self.fresh)
        if words[first + R_KIND] & TANGLED:
            words[H_TANGLED] -= 1
        now = bits_of(time())
        for spot in spots:
            words[spot.at + R_SINCE] = now
        words[first + R_STATE] = HELD
        for spot in spots:
            spot.held = True
        self.won.append(first)

    def fresh(self) -> int:
        """The next number of the lockspace."""
        self._words[H_LAST] = number = self._words[H_LAST] + 1
        return number

    def settle(self, keys: Iterable[Key], gone: Iterable[int] = ()) -> None:
        """Grant what may be granted now that the records *gone* left these names; then see to it
        that everybody who still waits there has a guard.

        As :meth:`holdfast.locks.table.Table.settle`: while an ask for slots of several names
        waits, each grant begins the pass over all names anew.
        """
        keys = list(keys)
        if not self._words[H_TANGLED]:
            for _ in self._grants(keys):
                pass
        else:
            keys = self._awaited()
            while next(self._grants(keys), 0):
                pass
        self.reguard(keys, set(gone))

    def _awaited(self) -> list[Key]:
        """All names that somebody waits for."""
        records = self._map.records(chunk for chunk, _ in self._map.owned())
        firsts = [at for at, state in records if state == WAIT]
        keys = (key_of(self._map, at) for first in firsts for at in self._map.siblings(first))
        return list(dict.fromkeys(keys))

    def _grants(self, keys: list[Key]) -> Iterator[int]:
        """Grant in order of arrival, as far as the caller goes on asking for the next one."""
        for first in self._hopeful(keys):
            if self._words[first + R_STATE] == WAIT and not self.is_blocked(first):
                self.grant(first)
                yield first

    def _hopeful(self, keys: list[Key]) -> Iterable[int]:
        """The waiters of these names in order of arrival; nobody behind a barred one if one."""
        if len(keys) == 1:
            return (spot.first for spot in self._front(keys[0]) if not spot.held)
        waiting = {spot.ticket: spot.first for key in keys for spot in self.line(key)}
        return [waiting[ticket] for ticket in sorted(waiting)]

    def reguard(self, keys: Iterable[Key], gone: set[int]) -> None:
        """Give a new guard to each waiter of these names whose guard is *gone*, soft or unset."""
        words = self._words
        for first in dict.fromkeys(first for key in keys for first in self._waiters(key[0])):
            guard = words[first + R_GUARD]
            if guard <= SOFT or guard in gone:
                words[first + R_GUARD] = self.guard(first)
                self.moved.append(first)

    def _waiters(self, name_hash: int) -> Iterator[int]:
        """Those who wait for a name with that hash; a stranger among them does no harm here."""
        words = self._words
        at = words[INDEX + (name_hash & BUCKET_MASK)]
        while at:
            if words[at + R_HASH] == name_hash:
                first = words[at + R_FIRST]
                if words[first + R_STATE] == WAIT:
                    yield first
            at = words[at + R_NEXT]

    def guard(self, first: int) -> int:
        """The newest record that must go before this waiter can be granted, or SOFT."""
        hard = [
            other.at
            for spot in self.spots(first)
            for other in self.in_the_way(spot)
            if spot.mode.kind != "slots" or other.mode.kind != "slots"
        ]
        return max(hard, key=self._ticket_at) if hard else SOFT

    def _ticket_at(self, at: int) -> int:
        ticket: int = self._words[at + R_TICKET]
        return ticket

    def watched(self, first: int) -> set[int]:
        """The marks of the processes that this waiter's process must watch."""
        words = self._words
        guard = words[first + R_GUARD]
        if guard > SOFT:
            return {words[guard + R_MARK]}
        return {words[other.at + R_MARK] for other in self.blockers(first)}
