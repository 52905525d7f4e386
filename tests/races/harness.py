"""What the races share: a storm of threads on a few names that counts who meets whom inside."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from holdfast.testing.faults import GENEROUS, wait_until

__all__ = ["GENEROUS", "SOAK", "Report", "crowd", "often", "storm", "switching", "wait_until"]

SOAK = os.environ.get("HOLDFAST_SOAK") == "1"

Section = Callable[[str], AbstractContextManager[Any]]
"""What is to exclude: ``with section(name):``."""


def often(soak: int, test: int) -> int:
    """How often: *soak* times in `make soak`, *test* times otherwise."""
    return soak if SOAK else test


@contextmanager
def switching(interval: float = 1e-6) -> Iterator[None]:
    """Inside, CPython changes threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(interval)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def crowd(*bodies: Callable[[], None]) -> list[threading.Thread]:
    """A started thread for each of *bodies*; daemons, so that a hang ends with the test."""
    threads = [threading.Thread(target=body, daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    return threads


@dataclass
class Report:
    """What a storm saw."""

    entries: int = 0
    overlaps: int = 0
    errors: list[BaseException] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether the algorithm let two in, or raised."""
        return bool(self.overlaps or self.errors)


def storm(section: Section, entries: int, *, threads: int = 8, names: int = 2) -> Report:
    """*entries* entries into *names* names by *threads* threads, each of which notes who is inside.

    A thread that finds somebody, or finds its note overwritten when it leaves, was not alone.
    """
    inside: dict[str, object] = {}
    reports = [Report() for _ in range(threads)]

    def visit(me: Report, name: str) -> None:
        with section(name):
            alone = inside.setdefault(name, me) is me
            _stay()
            me.overlaps += not alone or inside.get(name) is not me
            inside.pop(name, None)
            me.entries += 1

    def run(number: int) -> None:
        me = reports[number]
        for turn in range(entries // threads):
            try:
                visit(me, f"vm-{(turn + number) % names}")
            except Exception as error:
                me.errors.append(error)

    with switching():
        for thread in crowd(*(lambda number=number: run(number) for number in range(threads))):
            thread.join()
    return Report(
        sum(each.entries for each in reports),
        sum(each.overlaps for each in reports),
        [error for each in reports for error in each.errors],
    )


def _stay() -> None:
    """Some points where CPython may change threads."""
    for _ in range(100):
        pass
