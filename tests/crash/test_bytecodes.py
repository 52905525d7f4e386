"""Death at every bytecode: a process is killed by SIGKILL at its k-th step inside acquire or
release, for every k (every n-th in a quick run). Those who wait must get in, those who come must
find everything as if it had never been there, and no record may be left.

Env HOLDFAST_STRIDE sets n; the soak takes 1.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from holdfast.drivers.file import FileDriver
from holdfast.locks.terms import slots
from tests.crash.kit import Ask, assert_empty, child, ended, killed, opened, until

SOAK = os.environ.get("HOLDFAST_SOAK") == "1"
STRIDE = int(os.environ.get("HOLDFAST_STRIDE", "1" if SOAK else "23"))
OURS = os.sep + os.path.join("holdfast", "")


class Steps:
    """Counts the bytecodes run in holdfast, and dies at the k-th."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        if OURS not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        return self.step

    def step(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "opcode":
            self.count += 1
            if self.count == self.fatal:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.step


Prepared = Callable[[], object]
"""What the victim does under trace, after it has prepared itself."""


def victim(
    path: Path, prepare: Callable[[FileDriver], Prepared], fatal: int, ready: int, go: int
) -> None:
    act = prepare(opened(path, "victim"))
    os.write(ready, b"r")
    # The listener's thread is not traced: what is killed at a step of this thread is the process.
    steps = Steps(fatal)
    os.read(go, 1)
    sys.settrace(steps)
    act()
    sys.settrace(None)
    os.write(ready, steps.count.to_bytes(4, "little"))


class Victim:
    """A process that waits for ``go``, then acts and perhaps dies."""

    def __init__(self, path: Path, prepare: Callable[[FileDriver], Prepared], fatal: int) -> None:
        here, there = os.pipe()
        start, self.start = os.pipe()
        self.report = here
        self.pid = child(partial(self._run, path, prepare, fatal, there, start, here))
        os.close(there)
        os.close(start)
        assert os.read(here, 1) == b"r"

    def _run(self, path, prepare, fatal, there, start, here) -> None:
        os.close(here)
        os.close(self.start)
        victim(path, prepare, fatal, there, start)

    def go(self) -> int:
        """Let it act; the steps that it took, 0 if it died."""
        os.write(self.start, b"g")
        counted = os.read(self.report, 4)
        os.close(self.start)
        os.close(self.report)
        status = ended(self.pid)
        assert status == (0 if counted else -signal.SIGKILL)
        return int.from_bytes(counted, "little")


def free_name(driver: FileDriver) -> Prepared:
    warm(driver)
    ask = Ask(driver, "vm-1")
    return lambda: (ask.submit(), ask.drop())


def hold(*names: str) -> Callable[[FileDriver], Prepared]:
    def prepare(driver: FileDriver) -> Prepared:
        ask = Ask(driver, *names)
        assert ask.submit()
        return ask.drop

    return prepare


def hold_slots(driver: FileDriver) -> Prepared:
    ask = Ask(driver, "vm-1", mode=slots(1))
    assert ask.submit()
    return ask.drop


def queue_and_give_up(driver: FileDriver) -> Prepared:
    warm(driver)
    ask = Ask(driver, "vm-1", "vm-2")
    return lambda: (ask.submit(), ask.drop())


def open_and_close(driver: FileDriver) -> Prepared:
    path = driver.path
    return lambda: opened(path).close()


def warm(driver: FileDriver) -> None:
    ask = Ask(driver, "warm")
    assert ask.submit()
    assert ask.drop()


def holder_of(path: Path, *names: str) -> int:
    """A process that holds these names, and sleeps."""
    here, there = os.pipe()

    def run() -> None:
        driver = opened(path, "dead soon")
        ask = Ask(driver, *names)
        assert ask.submit()
        os.write(there, b"h")
        signal.pause()

    pid = child(run)
    assert os.read(here, 1) == b"h"
    os.close(here)
    os.close(there)
    return pid


class Scene:
    """A directory with a survivor in this process."""

    def __init__(self, path: Path) -> None:
        self.path = path / "space"
        self.survivors = [opened(self.path, f"survivor {number}") for number in range(2)]

    def run(self, prepare, waits: list[tuple[str, ...]], fatal: int, mode=None) -> int:
        """One death. *waits*: the names that survivors wait for before the victim acts."""
        doomed = Victim(self.path, prepare, fatal)
        modes = {} if mode is None else {"mode": mode}
        asks = [
            Ask(survivor, *names, **modes)
            for survivor, names in zip(self.survivors, waits, strict=False)
        ]
        assert [ask.submit() for ask in asks] == [False] * len(asks)
        steps = doomed.go()
        for ask in asks:
            assert ask.held(), [str(each) for each in self.survivors[0].look("")]
            assert ask.drop()
        self.all_is_well()
        return steps

    def all_is_well(self) -> None:
        """Whoever comes gets in, and nothing is left once the dead were noticed."""
        come = Ask(self.survivors[0], "vm-1", "vm-2", "warm")
        come.submit()
        assert come.held(), self.survivors[0].look("")
        assert come.drop()
        fresh = opened(self.path, "fresh")
        assert_empty(fresh)
        fresh.close()
        assert len(self.survivors) + 1 == len(list(self.path.iterdir()))

    def close(self) -> None:
        for survivor in self.survivors:
            survivor.close()


def every_step(path: Path, prepare, waits=(), mode=None, stride: int = STRIDE) -> None:
    scene = Scene(path)
    steps = scene.run(prepare, waits, 0, mode)
    assert steps > 100
    fatal = range(1, steps + 1, stride)
    for number in fatal:
        scene.run(prepare, waits, number, mode)
    print(f"{len(fatal)} deaths in {steps} steps")
    scene.close()


pytestmark = [pytest.mark.timeout(1800 if STRIDE < 20 else 120)]


def test_acquire_and_release_of_a_free_name(memory_path: Path):
    every_step(memory_path, free_name, stride=max(1, STRIDE // 3))


def test_release_to_the_first_of_two(memory_path: Path):
    every_step(memory_path, hold("vm-1"), [("vm-1",), ("vm-1",)], stride=max(1, STRIDE // 2))


@pytest.mark.slow
def test_release_of_two_names_that_lets_two_in(memory_path: Path):
    every_step(memory_path, hold("vm-1", "vm-2"), [("vm-1",), ("vm-2",)])


@pytest.mark.slow
def test_release_of_a_slot(memory_path: Path):
    every_step(memory_path, hold_slots, [("vm-1",), ("vm-1",)], mode=slots(1))


@pytest.mark.slow
def test_opening_and_closing(memory_path: Path):
    every_step(memory_path, open_and_close, stride=STRIDE * 3)


@pytest.mark.slow
def test_waiting_for_two_names_and_giving_up(memory_path: Path):
    scene = Scene(memory_path)
    steps = number = 0
    while number <= steps:
        held = Ask(scene.survivors[0], "vm-1")
        assert held.submit()
        behind = Ask(scene.survivors[1], "vm-2")
        doomed = Victim(scene.path, queue_and_give_up, number)
        steps = max(steps, doomed.go())
        behind.submit()
        assert behind.held()
        assert behind.drop()
        assert held.drop()
        scene.all_is_well()
        number += STRIDE
    assert steps > 500
    scene.close()


@pytest.mark.slow
def test_burying_a_dead_holder(memory_path: Path):
    scene = Scene(memory_path)
    steps = number = 0
    while number <= steps:
        dead = holder_of(scene.path, "vm-1")
        doomed = Victim(scene.path, free_name, number)
        killed(dead)
        steps = max(steps, doomed.go())
        scene.all_is_well()
        number += STRIDE * 4
    assert steps > 500
    scene.close()


def test_a_killed_holder_lets_the_next_in(memory_path: Path):
    """The plain case, so that a failure above is not read as a failure of the harness."""
    scene = Scene(memory_path)
    pid = holder_of(scene.path, "vm-1", "vm-2")
    asks = [Ask(survivor, "vm-1") for survivor in scene.survivors]
    assert [ask.submit() for ask in asks] == [False] * len(asks)
    killed(pid)
    assert asks[0].held()
    assert not asks[1].held(0)
    assert asks[0].drop()
    assert asks[1].held()
    assert asks[1].drop()
    until(lambda: len(scene.survivors[0].look("")) == 0, "an empty lockspace")
    scene.all_is_well()
    scene.close()
