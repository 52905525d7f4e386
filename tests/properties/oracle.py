"""The rule once more, from DESIGN.md's sentences and nothing else: slow, naive, obviously right.

Nothing here is shared with ``holdfast.locks``: no queue per name, no seats, no short cut. There is
one list of asks in order of arrival; after every change the first ask that may go is let go, and
then one begins again at the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.locks.terms import Mode


@dataclass(eq=False)
class Ask:
    """One ask: the modes by name, and whether it is held by now."""

    modes: dict[str, Mode]
    held: bool = False


@dataclass
class World:
    """All asks that hold or wait, in order of arrival."""

    asks: list[Ask] = field(default_factory=list)

    def arrive(self, ask: Ask) -> None:
        self.asks.append(ask)
        self._serve()

    def depart(self, ask: Ask) -> None:
        self.asks.remove(ask)
        self._serve()

    def _serve(self) -> None:
        while (lucky := self._first_that_may_go()) is not None:
            lucky.held = True

    def _first_that_may_go(self) -> Ask | None:
        for ask in self.asks:
            if not ask.held and self.may_go(ask):
                return ask
        return None

    def may_go(self, ask: Ask) -> bool:
        """All or none: it may go if no name keeps it."""
        return not any(self.kept_by(ask, name) for name in ask.modes)

    def kept_by(self, ask: Ask, name: str) -> bool:
        """Whether *name* keeps *ask* waiting."""
        mine = ask.modes[name]
        ahead = [other for other in self.asks[: self.asks.index(ask)] if name in other.modes]
        if any(_never_together(mine, other.modes[name]) for other in ahead):
            return True  # conflicting asks are served in order of arrival
        if mine.kind != "slots":
            return False
        holders = [other for other in self.asks if other.held and name in other.modes]
        limits = [other.modes[name].limit for other in holders if other is not ask]
        if len(limits) >= min([mine.limit, *limits]):
            return True  # no room
        return any(self._wants_the_room(other, name) for other in ahead if not other.held)

    def _wants_the_room(self, other: Ask, name: str) -> bool:
        """*other* waits for room on *name*; one that another name keeps too reserves none here."""
        elsewhere = (each for each in other.modes if each != name)
        return self.kept_by(other, name) and not any(self.kept_by(other, n) for n in elsewhere)


def _never_together(one: Mode, other: Mode) -> bool:
    if one.kind == "shared" and other.kind == "shared":
        return one.group != other.group
    return not (one.kind == "slots" and other.kind == "slots")
