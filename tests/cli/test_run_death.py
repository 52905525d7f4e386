"""Deaths: on one host a lock lasts until keeper and command are both gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.tools import HoldfastRunner, child_of, finish, is_alive, read, state_of, until

# Notes each SIGTERM; the lock must stay for as long as this process does, and "work" is its proof.
STUBBORN = """
import fcntl, os, signal, sys, time
work = open("work", "w")
fcntl.flock(work, fcntl.LOCK_EX)
signal.signal(signal.SIGTERM, lambda *_: open(sys.argv[2], "a").write("told "))
open(sys.argv[1], "w").write(str(os.getpid()))
while True: time.sleep(60)
"""


@pytest.fixture
def stubborn(holdfast: HoldfastRunner) -> list[str]:
    return [sys.executable, "-c", STUBBORN, "pid", "told"]


def started(folder: Path) -> int:
    return int(until(lambda: read(folder / "pid"), "the command at work"))


def test_kill_9_of_the_keeper_the_command_is_told_and_the_lock_stays(
    holdfast: HoldfastRunner, stubborn: list[str]
):
    keeper = holdfast.start("run", "vm-1", "--", *stubborn)
    command = started(holdfast.folder)
    keeper.kill()
    keeper.wait()
    try:
        until(lambda: read(holdfast.folder / "told"), "SIGTERM at the command")
        assert is_alive(command)
        assert not holdfast.is_free("vm-1")
        assert holdfast("run", "--timeout", "0", "vm-1", "--", "true").returncode == 75
    finally:
        os.kill(command, signal.SIGKILL)
    assert holdfast("run", "--timeout", "30", "vm-1", "--", "true").returncode == 0
    # Once for each thread of the keeper, as they die; the kernel merges what comes close together.
    assert set(read(holdfast.folder / "told").split()) == {"told"}


def test_kill_9_of_the_keeper_a_waiter_gets_in_when_the_command_has_gone(
    holdfast: HoldfastRunner, stubborn: list[str]
):
    keeper = holdfast.start("run", "vm-1", "--", *stubborn)
    command = started(holdfast.folder)
    waiter = holdfast.start("run", "vm-1", "--", "flock", "-n", "work", "echo", "gone")
    until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
    keeper.kill()
    until(lambda: read(holdfast.folder / "told"), "SIGTERM at the command")
    assert holdfast.awaited_by(waiter.pid, "vm-1")
    os.kill(command, signal.SIGKILL)
    assert finish(waiter)[:2] == (0, "gone\n")


def test_kill_9_of_the_keeper_ends_a_command_that_does_not_mind(holdfast: HoldfastRunner):
    keeper = holdfast.start("run", "vm-1", "--", "sleep", "1000")
    until(lambda: holdfast.held_by(keeper.pid, "vm-1"), "the holder")
    command = child_of(keeper.pid)
    keeper.kill()
    until(lambda: not is_alive(command), "the end of the command")
    until(lambda: holdfast.is_free("vm-1"), "the name free")


def test_kill_9_of_a_stopped_keeper_is_the_same(holdfast: HoldfastRunner):
    keeper = holdfast.start("run", "vm-1", "--", "sleep", "1000")
    until(lambda: holdfast.held_by(keeper.pid, "vm-1"), "the holder")
    command = child_of(keeper.pid)
    os.kill(keeper.pid, signal.SIGSTOP)
    until(lambda: state_of(keeper.pid) == "T", "the keeper stopped")
    keeper.kill()
    until(lambda: not is_alive(command), "the end of the command")
    until(lambda: holdfast.is_free("vm-1"), "the name free")


def test_kill_9_of_the_command_frees_the_lock(holdfast: HoldfastRunner):
    keeper = holdfast.start("run", "vm-1", "--", "sleep", "1000")
    until(lambda: holdfast.held_by(keeper.pid, "vm-1"), "the holder")
    os.kill(child_of(keeper.pid), signal.SIGKILL)
    assert finish(keeper)[0] == 137
    assert holdfast.is_free("vm-1")


def test_kill_9_of_both_frees_the_lock(holdfast: HoldfastRunner):
    keeper = holdfast.start("run", "vm-1", "--", "sleep", "1000")
    until(lambda: holdfast.held_by(keeper.pid, "vm-1"), "the holder")
    waiter = holdfast.start("run", "vm-1", "--", "true")
    until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
    os.killpg(keeper.pid, signal.SIGKILL)
    assert finish(waiter)[0] == 0


def test_a_grandchild_keeps_the_lock_of_a_keeper_that_was_killed(holdfast: HoldfastRunner):
    """It inherited the descriptor, and nobody told it: PR_SET_PDEATHSIG reaches the child only."""
    keeper = holdfast.start("run", "vm-1", "--", "sh", "-c", "sleep 1000 & echo $! > pid; wait")
    grandchild, shell = started(holdfast.folder), child_of(keeper.pid)
    keeper.kill()
    keeper.wait()
    until(lambda: not is_alive(shell), "the end of the command")
    assert is_alive(grandchild)
    assert not holdfast.is_free("vm-1")
    os.kill(grandchild, signal.SIGKILL)
    until(lambda: holdfast.is_free("vm-1"), "the name free")


def test_a_grandchild_does_not_keep_the_lock_of_a_keeper_that_ended(holdfast: HoldfastRunner):
    ran = holdfast("run", "vm-1", "--", "sh", "-c", "sleep 1000 > /dev/null 2>&1 & echo $!")
    try:
        assert holdfast.is_free("vm-1")
    finally:
        os.kill(int(ran.stdout), signal.SIGKILL)


@pytest.mark.slow
def test_keepers_killed_at_any_moment_leave_nothing(holdfast: HoldfastRunner):
    """From its first instruction to its last: no lock, no command and no waiter stays behind."""
    for delay in range(0, 200, 5):
        keeper = holdfast.start("run", "vm-1", "--", "true")
        with suppress(subprocess.TimeoutExpired):
            keeper.wait(delay / 1000)
        keeper.kill()
        keeper.wait()
    assert holdfast("run", "--timeout", "30", "vm-1", "--", "true").returncode == 0
    until(lambda: holdfast.entries() == [], "an empty lockspace")
