"""Every schedule of a few owners, by walking the graph of states; each state is visited once.

A state is what the law may depend on: who is there, in order of arrival, with which modes, and who
holds. Owners are alike, so they have no names; two asks that differ only in the names of groups, or
in which of the names is called first, are alike too, so of such states one stands for all. A state
is reached again, whenever it is needed, by folding the public verbs of its shortest path.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode, Want, group, slots
from tests.properties.histories import Story

Asked = tuple[Want, ...]
Step = tuple[str, object]
"""("ask", wants) or ("go", place in order of arrival)."""

MODES = (EXCLUSIVE, SHARED, group("a"), group("b"), slots(1), slots(2))
NAMES = ("x", "y")


def all_asks(names=NAMES, modes=MODES) -> list[Asked]:
    """Asks of one name or of all of them, in all modes."""
    single = [((name, mode),) for name in names for mode in modes]
    several = [
        tuple(zip(names, chosen, strict=True)) for chosen in product(modes, repeat=len(names))
    ]
    return single + (several if len(names) > 1 else [])


def replay(path: tuple[Step, ...]) -> Story:
    """The state at the end of *path*."""
    story = Story()
    for verb, what in path:
        if verb == "ask":
            story.ask(what)
        else:
            story.go(list(story.live)[what])
    return story


def key_of(story: Story) -> tuple:
    """One name for all states that are alike."""
    swaps = ({}, {"x": "y", "y": "x"})
    groups = ({}, {"a": "b", "b": "a"})
    return min(_plain(story, names, renamed) for names in swaps for renamed in groups)


def _plain(story: Story, names: dict[str, str], groups: dict[str, str]) -> tuple:
    return tuple(
        (claim.state, *sorted((names.get(n, n), *_mode(mode, groups)) for n, mode in claim.wants))
        for claim in story.live
    )


def _mode(mode: Mode, groups: dict[str, str]) -> tuple[str, str, int]:
    shown = groups.get(mode.group, mode.group) if mode.group else ""
    return mode.kind, shown, mode.limit


@dataclass
class Explorer:
    """Walks the whole graph; :meth:`walk` yields each new state, right after the step into it."""

    owners: int
    asks: list[Asked]
    steps: int = 0
    seen: set[tuple] = field(default_factory=set)

    def walk(self) -> Iterator[Story]:
        self.seen = {key_of(Story())}
        todo: deque[tuple[Step, ...]] = deque([()])
        while todo:
            path = todo.popleft()
            for step in self._next(len(replay(path).live)):
                self.steps += 1
                story = replay((*path, step))
                key = key_of(story)
                if key not in self.seen:
                    self.seen.add(key)
                    todo.append((*path, step))
                    yield story

    def _next(self, present: int) -> Iterator[Step]:
        """All that may happen: somebody crashes or leaves, or one more asks."""
        yield from (("go", place) for place in range(present))
        if present < self.owners:
            yield from (("ask", asked) for asked in self.asks)
