"""Ctrl-C at any moment: signals that raise in the main thread while it acquires and releases."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from holdfast.drivers.filespace.board import Board
from tests.crash.kit import Ask, assert_empty, child, ended, opened, repairs, used_records

SOAK = os.environ.get("HOLDFAST_SOAK") == "1"
SECONDS = 60 if SOAK else 3


class Struck(KeyboardInterrupt):
    """What the signal raises."""


def strike(number: int, frame: object) -> None:
    raise Struck


def storm_of_signals(path: Path, seconds: float) -> None:
    """Acquire, perhaps wait, release, while a timer strikes; a thread of ours competes."""
    driver = opened(path, "struck")
    rnd = random.Random(5)
    ending = threading.Event()
    rival = threading.Thread(target=compete, args=(path, ending))
    rival.start()
    signal.signal(signal.SIGALRM, strike)
    end = time.monotonic() + seconds
    strikes = done = 0
    while time.monotonic() < end:
        names = rnd.sample(("a", "b"), rnd.choice((1, 1, 2)))
        ask = Ask(driver, *names)
        ask.told.set = lambda: None  # an Event does not survive Ctrl-C
        try:
            signal.setitimer(signal.ITIMER_REAL, rnd.random() * 0.0004 + 0.00001)
            ask.submit()
            while ask.claim.state == "waiting":
                time.sleep(0.0005)
            ask.drop()
            done += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
        except Struck:
            # The timer strikes once; as the doors do, give it up in any case.
            strikes += 1
            ask.drop()
    ending.set()
    rival.join()
    print(f"{strikes} strikes, {done} rounds, {repairs(driver)} repairs", file=sys.stderr)
    assert strikes > 100
    until_empty(driver)
    driver.close()


def compete(path: Path, ending: threading.Event) -> None:
    driver = opened(path, "rival")
    while not ending.is_set():
        ask = Ask(driver, "a", "b")
        ask.submit()
        assert ask.held(), driver.look("")
        ask.drop()
        time.sleep(0.0002)
    driver.close()


def until_empty(driver) -> None:
    end = time.monotonic() + 10
    while used_records(driver) and time.monotonic() < end:
        time.sleep(0.01)
    assert_empty(driver)


@pytest.mark.timeout(SECONDS + 100)
def test_ctrl_c_anywhere_leaves_nothing_and_stops_nobody(tmp_path: Path):
    pid = child(lambda: storm_of_signals(tmp_path / "s", SECONDS))
    assert ended(pid) == 0


def test_a_handler_that_releases_inside_an_acquire(tmp_path: Path):
    """A signal handler may drop at any moment, also one that interrupts this very driver."""

    def run() -> None:
        driver = opened(tmp_path / "s")
        kept: list[Ask] = []
        inside = []

        def handler(number: int, frame: object) -> None:
            if kept:
                inside.append(driver._inside != 0)
                assert kept.pop().drop()

        signal.signal(signal.SIGALRM, handler)
        end = time.monotonic() + SECONDS / 2
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        rounds = 0
        while time.monotonic() < end:
            one, two = Ask(driver, "one"), Ask(driver, "two", "three")
            one.submit()
            two.submit()
            if one.claim.state == "held":
                kept.append(one)
            two.drop()
            while one.claim.state == "held":
                pass
            rounds += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(f"{rounds} rounds, {sum(inside)} of {len(inside)} inside", file=sys.stderr)
        assert any(inside)
        until_empty(driver)
        driver.close()

    assert ended(child(run)) == 0


def test_a_finaliser_that_releases_inside_an_acquire(tmp_path: Path):
    """The cycle collector may run a finaliser in any allocation, also inside the mutex."""

    def run() -> None:
        gc.disable()
        gc.freeze()  # what is there already need not be looked at each time
        driver = opened(tmp_path / "s")
        inside = []

        class Hold:
            def __init__(self, *names: str) -> None:
                self.ask = Ask(driver, *names)
                self.me = self
                assert self.ask.submit()

            def __del__(self) -> None:
                inside.append(driver._inside != 0)
                assert self.ask.drop()

        lawful = Board.is_blocked
        Board.is_blocked = lambda self, first: (gc.collect(), lawful(self, first))[1]
        for number in range(200):
            Hold(f"name-{number}")
            Hold("in the way", "of others")
            ask = Ask(driver, "in the way", f"name-{number}")
            ask.submit()
            assert ask.held()
            assert ask.drop()
        until_empty(driver)
        assert sum(inside) >= 200
        driver.close()

    assert ended(child(run)) == 0
