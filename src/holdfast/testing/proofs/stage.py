"""What all proofs stand on: the lockspace under test, fresh names, parties, book-keeping."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from holdfast.errors import Unsupported
from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode, group, slots
from holdfast.lockspace import Lockspace
from holdfast.testing.faults import wait_until
from holdfast.testing.parties import Door, Party, start
from holdfast.testing.peer import Peer
from holdfast.testing.promises import PROMISES

__all__ = ["EXAMPLES", "Stage", "family", "proves"]

T = TypeVar("T", bound=Callable[..., None])

EXAMPLES: dict[str, Mode] = {
    "exclusive": EXCLUSIVE,
    "shared": SHARED,
    "group": group("a"),
    "slots": slots(1),
}
"""A mode of each family."""


def family(mode: Mode) -> str:
    """What ``Guarantees.modes`` calls it."""
    return "group" if mode.group is not None else mode.kind


def proves(promise: str, *modes: str) -> Callable[[T], T]:
    """The test proves *promise*, with the help of *modes*.

    Of a driver that does not claim that, or that mode, it shows instead that it says so.
    """
    assert promise in PROMISES

    def decorate(test: T) -> T:
        @wraps(test)
        def run(self: Stage, *args: Any, **kwargs: Any) -> None:
            missing = self.unclaimed(promise, *modes, *_of_door(kwargs))
            if missing is None:
                self.note(promise, "tried")
                test(self, *args, **kwargs)
                self.note(promise, "proved")
            else:
                self.note(missing, "tried")
                self.check_refusal(missing)
                self.note(missing, "refused")

        run.promise = promise  # type: ignore[attr-defined]
        return run  # type: ignore[return-value]

    return decorate


def _of_door(arguments: Mapping[str, object]) -> tuple[str, ...]:
    return ("processes",) if arguments.get("door") == "process" else ()


class Stage:
    """The base of the suite; see :class:`holdfast.testing.suite.DriverSuite`."""

    url: str = ""
    options: ClassVar[Mapping[str, object]] = {}
    locks: Lockspace

    def new_url(self, folder: Path) -> str:
        """The URL for one test, in which *folder* is new and empty; ``url`` may say {folder}."""
        return self.url.replace("{folder}", str(folder))

    def open(self, **options: Any) -> Lockspace:
        """Open the lockspace once more. Override it for a driver that has no URL."""
        return Lockspace(self._url, **{**self.options, **options})

    @pytest.fixture(autouse=True)
    def _stage(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
        self._node = request.node
        self.folder = tmp_path
        self._url = self.new_url(tmp_path)
        self._opened: list[Lockspace] = []
        self._peers: list[Peer] = []
        self._parties: list[Party] = []
        self._prefix = uuid.uuid4().hex[:12]
        self.locks = self.opened()
        yield
        self._clear()

    def _clear(self) -> None:
        for peer in self._peers:
            peer.__exit__()
        for party in self._parties:
            party.go_on()
        for space in self._opened:
            space.close()

    def opened(self, **options: Any) -> Lockspace:
        """The lockspace once more, closed at the end of the test."""
        space = self.open(**options)
        self._opened.append(space)
        return space

    def name(self, text: str = "n") -> str:
        """A name that no other test uses."""
        return f"{self._prefix}/{text}"

    def party(
        self,
        door: Door,
        wants: Mapping[str, Mode] | str,
        *,
        timeout: float | None = None,
        locks: Lockspace | None = None,
    ) -> Any:
        """Somebody who asks for *wants*; for a bare name, exclusively."""
        modes = {wants: EXCLUSIVE} if isinstance(wants, str) else wants
        peer = self.peer() if door == "process" else None
        party = start(door, locks or self.locks, modes, timeout=timeout, peer=peer)
        if door != "process":
            self._parties.append(party)
        return party

    def next_in(self, waiters: Sequence[Party]) -> Party:
        """Whoever of *waiters* gets in first; it has left again."""
        wait_until(lambda: any(each.entered.is_set() for each in waiters), "the next to get in")
        lucky = next(each for each in waiters if each.entered.is_set())
        lucky.expect_in().leave()
        return lucky

    def peer(self) -> Peer:
        """Another process that uses the lockspace; always the same one."""
        return self._peers[0] if self._peers else self.new_peer()

    def new_peer(self) -> Peer:
        """One more process that uses the lockspace."""
        peer = Peer(self._url, self.options)
        self._peers.append(peer)
        return peer

    def residue(self) -> set[str]:
        """What lies about for the lockspace outside of memory. Override it for other places."""
        return set(map(str, self.folder.rglob("*")))

    def expect_nothing_left(self) -> None:
        """Nobody holds or awaits any of this test's names."""
        assert self.locks.snapshot(self._prefix) == []

    # What is claimed, and what is refused -------------------------------------------------------

    def unclaimed(self, *wanted: str) -> str | None:
        """The first of these promises and modes that the driver does not claim."""
        for each in wanted:
            if not PROMISES[each].claimed(self.locks.guarantees):
                return each
        return None

    def note(self, promise: str, how: str) -> None:
        """For the report."""
        self._node.user_properties.append(("holdfast", (promise, how)))

    def check_refusal(self, promise: str) -> None:
        """The driver does not claim *promise*: it says so, aloud if it is asked for it."""
        if promise in EXAMPLES:
            self.refuses({self.name(): EXAMPLES[promise]})
        elif promise == "several names":
            self.refuses({self.name("a"): EXCLUSIVE, self.name("b"): EXCLUSIVE})
        else:
            assert self.locks.guarantees.limits, (
                f"the driver does not promise {promise!r} ({PROMISES[promise].says}): "
                "it must say so in guarantees.limits, for users to read"
            )

    def refuses(self, wants: Mapping[str, Mode]) -> None:
        """Asking for *wants* raises Unsupported by every verb, and leaves nothing."""
        with pytest.raises(Unsupported):
            self.locks(dict(wants)).try_acquire()
        with pytest.raises(Unsupported):
            self.locks(dict(wants)).acquire(timeout=0)
        with pytest.raises(Unsupported), self.locks(dict(wants)):
            pass
        self.expect_nothing_left()
