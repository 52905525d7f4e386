"""A checker of recorded holds: did two that exclude each other ever hold at one time?

Record the time when an ask *returned* and the time when its release was *called*: so an interval
lies inside the true hold, and an overlap that is found is a real one. All times come from one
clock, ``time.monotonic_ns`` (one for all processes of a host).

    record = Recorder()
    with locks("vm-1") as grant, record.hold({"vm-1": EXCLUSIVE}, grant.tokens):
        ...
    assert check(record.holds) == []

Three rules, for each name by itself:

* **overlap**: holds whose modes exclude each other do not overlap.
* **limit**: of slots, there are never more holders than the smallest limit among them.
* **token**: a token is larger than that of every incompatible hold that had ended before, and
  equal to that of those whom it shares the name with. Slots do not fence among themselves.
"""

from __future__ import annotations

import heapq
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from holdfast.locks.queue import compatible
from holdfast.locks.terms import Mode

__all__ = ["Hold", "Recorder", "Violation", "check"]

FOREVER = 2**63


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold of one name, from *start* to *end* (nanoseconds; the end is not part of it).

    ``end`` is FOREVER for one that was never released; ``token`` is None if the driver gives none.
    """

    name: str
    mode: Mode
    start: int
    end: int = FOREVER
    token: int | None = None
    who: str = ""

    def __str__(self) -> str:
        end = "for ever" if self.end == FOREVER else str(self.end)
        return f"{self.who or 'somebody'} ({self.mode}, token {self.token}) [{self.start}, {end})"

    def dump(self) -> str:
        """One line of JSON, to be sent to another process."""
        row = (self.name, str(self.mode), self.start, self.end, self.token, self.who)
        return json.dumps(row)

    @classmethod
    def load(cls, line: str) -> Hold:
        """What :meth:`dump` wrote."""
        name, mode, start, end, token, who = json.loads(line)
        return cls(name, Mode.read(mode), start, end, token, who)


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that *hold* broke, with one other hold that shows it."""

    rule: Literal["overlap", "limit", "token"]
    hold: Hold
    other: Hold

    def __str__(self) -> str:
        says = {
            "overlap": "was granted while there was",
            "limit": "was one too many beside",
            "token": "has a token that does not fit to",
        }
        return f"{self.hold.name!r}: {self.hold} {says[self.rule]} {self.other}"


@dataclass
class Recorder:
    """Collects holds, from any number of threads and tasks."""

    holds: list[Hold] = field(default_factory=list)

    @contextmanager
    def hold(
        self, wants: Mapping[str, Mode], tokens: Mapping[str, int], who: str = ""
    ) -> Iterator[None]:
        """Around the body; it must be the innermost context, so that it ends before the release."""
        start = time.monotonic_ns()
        try:
            yield
        finally:
            end = time.monotonic_ns()
            for name, mode in wants.items():
                self.holds.append(Hold(name, mode, start, end, tokens.get(name), who))


def check(holds: Iterable[Hold]) -> list[Violation]:
    """All holds that break a rule; each at most once a rule."""
    names: dict[str, list[Hold]] = defaultdict(list)
    for hold in holds:
        if hold.end < hold.start:
            raise ValueError(f"this hold ends before it starts: {hold}")
        names[hold.name].append(hold)
    return [found for name in sorted(names) for found in _check_name(names[name])]


def _check_name(holds: list[Hold]) -> Iterator[Violation]:
    live: list[tuple[int, int, Hold]] = []
    ended = _Ended()
    # Of holds that start at one instant an empty one goes first: it ends there too.
    for serial, hold in enumerate(sorted(holds, key=lambda h: (h.start, h.end != h.start))):
        while live and live[0][0] <= hold.start:
            ended.add(heapq.heappop(live)[2])
        beside = [other for _, _, other in live]
        yield from _check_beside(hold, beside)
        other = ended.refutes(hold)
        if other is not None:
            yield Violation("token", hold, other)
        heapq.heappush(live, (hold.end, serial, hold))


def _check_beside(hold: Hold, beside: list[Hold]) -> Iterator[Violation]:
    for other in beside:
        if not compatible(hold.mode, other.mode):
            yield Violation("overlap", hold, other)
            return
    limits = [other.mode.limit for other in beside]
    if hold.mode.kind == "slots" and beside and len(beside) >= min(hold.mode.limit, *limits):
        yield Violation("limit", hold, beside[0])
    for other in beside:
        if None not in (hold.token, other.token) and hold.token != other.token:
            yield Violation("token", hold, other)
            return


class _Ended:
    """Of the holds that have ended: the one with the largest token, for each kind of mode."""

    def __init__(self) -> None:
        self._top: dict[tuple[str, str | None], Hold] = {}

    def add(self, hold: Hold) -> None:
        """*hold* has ended."""
        kind = (hold.mode.kind, hold.mode.group)
        top = self._top.get(kind)
        if hold.token is not None and (top is None or hold.token > (top.token or 0)):
            self._top[kind] = hold

    def refutes(self, hold: Hold) -> Hold | None:
        """An incompatible hold whose token is not smaller than that of *hold*."""
        if hold.token is None:
            return None
        for top in self._top.values():
            if not compatible(hold.mode, top.mode) and (top.token or 0) >= hold.token:
                return top
        return None
