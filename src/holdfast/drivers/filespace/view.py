"""What one sees of the lockspace: holders and waiters, read from a copy of the map.

The copy is made inside the mutex, which takes well under a millisecond; reading it takes longer and
keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.drivers.filespace.board import Board, Key, Spot, key_of
from holdfast.drivers.filespace.layout import (
    DIRECTORY,
    H_CHUNKS,
    H_SLOTS,
    R_MARK,
    R_TICKET,
    Map,
    chunk_at,
    slot_at,
    text_of,
)
from holdfast.drivers.filespace.space import Space, owner_at
from holdfast.locks.terms import Holder, Owner, Waiter

__all__ = ["View", "copy_of", "id_at"]


def id_at(map_: Map, first: int) -> str:
    """The id of the ask whose first record that is: its ticket, which no other ask ever has."""
    return f"{map_.words[first + R_TICKET]:x}"


def copy_of(space: Space) -> Map:
    """A copy of all that is in use; to be made inside the mutex.

    What was not allocated must not even be read: on a full tmpfs that would be a SIGBUS.
    """
    words = space.words
    end = chunk_at(words[H_CHUNKS])
    copy = bytearray(end * 8)
    for start, stop in ((0, slot_at(words[H_SLOTS] + 1)), (DIRECTORY, end)):
        copy[start * 8 : stop * 8] = space.raw[start * 8 : stop * 8]
    return Map(copy)


class View:
    """Holders and waiters of a map."""

    def __init__(self, map_: Map, boot: str) -> None:
        self._map = map_
        self._boot = boot
        self._board = Board(map_)
        self._owners: dict[int, Owner] = {}

    def look(self, prefix: str) -> list[Holder | Waiter]:
        """See :meth:`Driver.look <holdfast.drivers.base.Driver.look>`."""
        found = []
        for _, key in sorted((text_of(name), (code, name)) for code, name in self._keys(prefix)):
            line = self._board.line(key)
            found += [self.seen(spot) for spot in sorted(line, key=lambda spot: not spot.held)]
        return found

    def marks(self) -> set[int]:
        """The processes that hold or await anything."""
        words = self._map.words
        return {words[at + R_MARK] for at in self._live()}

    def blockers(self, first: int) -> Iterator[tuple[Holder | Waiter, int]]:
        """Who blocks that ask, with the first record of theirs."""
        for spot in self._board.blockers(first):
            yield self.seen(spot), spot.first

    def seen(self, spot: Spot) -> Holder | Waiter:
        """A record as people see it."""
        map_ = self._map
        name = text_of(map_.name_at(spot.at))
        mark = map_.words[spot.at + R_MARK]
        owner = self._owners.get(mark)
        if owner is None:
            owner = self._owners[mark] = owner_at(map_, mark, self._boot)
        common = (name, spot.mode, owner, map_.since_at(spot.at), id_at(map_, spot.first))
        if spot.held:
            return Holder(*common, spot.token)
        others = {id_at(map_, each.first): None for each in self._board.blockers(spot.first)}
        return Waiter(*common, tuple(others))

    def _keys(self, prefix: str) -> set[Key]:
        start = prefix.encode()
        keys = (key_of(self._map, at) for at in self._live())
        return {key for key in keys if key[1].startswith(start)}

    def _live(self) -> Iterator[int]:
        map_ = self._map
        records = map_.records(chunk for chunk, _ in map_.owned())
        return (at for at, _ in records if map_.is_live(at))
