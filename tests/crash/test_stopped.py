"""A process stopped inside the mutex: others are told whom to wake or kill, and lose no release."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from holdfast.drivers.filespace import keeper, mutex
from holdfast.drivers.filespace.board import Board
from holdfast.errors import DriverError
from tests.crash.kit import Ask, assert_empty, child, killed, opened, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is 5 s; nothing about it changes if it is shorter."""
    monkeypatch.setattr(mutex, "STUCK_AFTER", 0.3)
    plain = mutex.Patience
    monkeypatch.setattr(keeper, "Patience", lambda: plain(0.3))


def stopped_inside(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """A process that has stopped itself inside the mutex, while it asked for ``held``."""

    def stop(self: Board, first: int) -> bool:
        os.kill(os.getpid(), signal.SIGSTOP)
        return True

    def run() -> None:
        driver = opened(path, "frozen")
        Board.is_blocked = stop  # type: ignore[method-assign]
        Ask(driver, "held").submit()
        signal.pause()

    pid = child(run)
    until(lambda: state(pid) == "T", "a stopped process")
    return pid


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_an_ask_names_who_sits_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    driver = opened(tmp_path / "s", "me")
    held = Ask(driver, "held")
    assert held.submit()
    pid = stopped_inside(tmp_path / "s", monkeypatch)
    with pytest.raises(DriverError, match=rf"pid {pid} .*kill -CONT.*kill -9"):
        Ask(driver, "other").submit()
    killed(pid)
    other = Ask(driver, "other")
    assert other.submit()
    assert other.drop()
    assert held.drop()
    driver.close()


def test_opening_names_who_sits_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    driver = opened(tmp_path / "s", "me")
    held = Ask(driver, "held")
    assert held.submit()
    pid = stopped_inside(tmp_path / "s", monkeypatch)
    with pytest.raises(DriverError, match=f"pid {pid} "):
        opened(tmp_path / "s", "late")
    killed(pid)
    opened(tmp_path / "s", "late").close()
    driver.close()


@pytest.mark.parametrize("fate", [signal.SIGCONT, signal.SIGKILL])
def test_a_release_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: int
):
    driver, other = opened(tmp_path / "s", "me"), opened(tmp_path / "s", "other")
    mine, waits = Ask(driver, "mine"), Ask(other, "mine")
    held = Ask(driver, "held")
    assert mine.submit()
    assert held.submit()
    assert not waits.submit()
    pid = stopped_inside(tmp_path / "s", monkeypatch)
    began = time.monotonic()
    assert mine.drop()  # says that it was held, and does not raise
    assert mine.claim.state == "gone"
    assert not mine.drop()
    assert time.monotonic() - began < 10
    assert not waits.held(0)
    os.kill(pid, fate)
    assert waits.held()
    if fate == signal.SIGCONT:
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert waits.drop()
    assert held.drop()
    other.close()
    driver.close()
    after = opened(tmp_path / "s", "after")
    assert_empty(after)
    after.close()


def test_a_stopped_holder_keeps_its_lock(tmp_path: Path):
    def run() -> None:
        driver = opened(tmp_path / "s", "holder")
        Ask(driver, "vm").submit()
        os.kill(os.getpid(), signal.SIGSTOP)

    pid = child(run)
    until(lambda: state(pid) == "T", "a stopped process")
    driver = opened(tmp_path / "s")
    assert not Ask(driver, "vm").attempt()
    ask = Ask(driver, "vm")
    assert not ask.submit()
    assert not ask.held(0.2)
    killed(pid)
    assert ask.held()
    driver.close()


def test_close_does_not_hang_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    driver = opened(tmp_path / "s", "me")
    held = Ask(driver, "held")
    assert held.submit()
    pid = stopped_inside(tmp_path / "s", monkeypatch)
    driver.close()
    assert held.claim.state == "lost"
    killed(pid)
    after = opened(tmp_path / "s", "after")
    assert Ask(after, "held").submit()
    after.close()
