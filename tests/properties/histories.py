"""Random histories: states come only from folding the table's public verbs over the empty one."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from holdfast.errors import LockLost
from holdfast.locks.queue import compatible
from holdfast.locks.table import Claim, Table
from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode, Want, group, slots
from tests.properties.oracle import Ask, World

MODES = (EXCLUSIVE, SHARED, group("a"), group("b"), slots(1), slots(2), slots(3))
SLOTS = (slots(1), slots(2), slots(3))

Op = tuple[str, object]


def wants(names="xyz", modes=MODES, most=3):
    """One to *most* names, in any order; few names, so that asks meet."""
    chosen = st.dictionaries(st.sampled_from(names), st.sampled_from(modes), min_size=1)
    return chosen.map(lambda d: tuple(list(d.items())[:most]))


def ops(names="xyz", modes=MODES, verbs=("ask", "ask", "ask", "try", "leave", "leave", "lose")):
    """One step: an ask, or somebody's leaving (of those who are there, counted round)."""
    return st.one_of(
        *(
            st.tuples(st.just(verb), wants(names, modes))
            if verb in ("ask", "try")
            else st.tuples(st.just(verb), st.integers(0, 7))
            for verb in verbs
        )
    )


def histories(names="xyz", modes=MODES, most=14, **more):
    """A list of steps."""
    return st.lists(ops(names, modes, **more), max_size=most)


@dataclass
class Story:
    """A table, the oracle's world beside it, and all that happened."""

    table: Table = field(default_factory=Table)
    world: World = field(default_factory=World)
    live: dict[Claim, Ask] = field(default_factory=dict)
    grants: list[tuple[Claim, frozenset[Claim]]] = field(default_factory=list)
    """Every grant, with those who held beside it at that time."""

    def fold(self, history: list[Op]) -> Story:
        for verb, what in history:
            self.step(verb, what)
        return self

    def step(self, verb: str, what: object) -> Claim | None:
        if verb in ("ask", "try"):
            return self.ask(what, stay=verb == "ask")
        if self.live:
            self.go(list(self.live)[what % len(self.live)], lost=verb == "lose")
        return None

    def ask(self, modes: tuple[Want, ...], *, stay: bool = True) -> Claim:
        claim = Claim(modes)
        before = self.holders()
        granted = self.table.enter(claim, stay)
        assert granted == (claim.state == "held")
        if granted or stay:
            self.live[claim] = ask = Ask(dict(modes))
            self.world.arrive(ask)
        self._note(before)
        return claim

    def go(self, claim: Claim, *, lost: bool = False) -> None:
        before = self.holders() - {claim}
        if lost:
            self.table.lose(claim, LockLost(claim.names, "somebody took it"))
        else:
            self.table.leave(claim)
        self.world.depart(self.live.pop(claim))
        self._note(before)

    def holders(self) -> frozenset[Claim]:
        return frozenset(claim for claim in self.live if claim.state == "held")

    def waiters(self) -> list[Claim]:
        return [claim for claim in self.live if claim.state == "waiting"]

    def shape(self) -> list[tuple[int, str]]:
        """Who is where: the place in order of arrival, and the state."""
        return [(at, claim.state) for at, claim in enumerate(self.live)]

    def _note(self, before: frozenset[Claim]) -> None:
        new = sorted(self.holders() - before, key=lambda claim: claim.ticket)
        self.grants += [(claim, self.holders()) for claim in new]


def mode_of(claim: Claim, name: str) -> Mode | None:
    """The mode in which *claim* asks for *name*."""
    return dict(claim.wants).get(name)


def conflict(one: Claim, other: Claim) -> bool:
    """Whether the two can never hold together, whatever room there is."""
    common = set(one.names) & set(other.names)
    return any(not compatible(mode_of(one, name), mode_of(other, name)) for name in common)


def asks_slots(claim: Claim) -> bool:
    """Whether *claim* asks for slots of any name."""
    return any(mode.kind == "slots" for _, mode in claim.wants)
