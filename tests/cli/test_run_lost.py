"""A lock that is lost while the command runs: here, because somebody breaks it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.cli.tools import HoldfastRunner, child_of, finish, is_alive, let_go, read, until

IGNORES_TERM = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True)"
STAYS = [sys.executable, "-c", f"{IGNORES_TERM}; time.sleep(1000)"]


def break_lock(holdfast: HoldfastRunner, keeper: subprocess.Popen[str], name: str) -> None:
    held = until(lambda: holdfast.held_by(keeper.pid, name), "the holder")
    child_of(keeper.pid)
    ran = holdfast("break", name, "--id", held["id"], "--why", "the test says so")
    assert ran.returncode == 0, ran.stderr


def test_the_command_is_ended_with_sigterm_and_the_status_is_76(holdfast: HoldfastRunner):
    command = "trap 'echo told; exit 3' TERM; echo; while :; do sleep 0.05; done"
    keeper = holdfast.start("run", "vm-1", "--", "sh", "-c", command)
    keeper.stdout.readline()
    break_lock(holdfast, keeper, "vm-1")
    status, out, err = finish(keeper)
    assert (status, out) == (76, "told\n")
    assert err.startswith("holdfast: lost 'vm-1': ")
    assert "the test says so" in err


def test_one_that_ignores_sigterm_is_killed_after_the_grace(holdfast: HoldfastRunner):
    keeper = holdfast.start("run", "--grace", "0.2", "vm-1", "--", *STAYS)
    keeper.stdout.readline()
    command = child_of(keeper.pid)
    break_lock(holdfast, keeper, "vm-1")
    assert finish(keeper)[0] == 76
    assert not is_alive(command)


def test_kill_does_not_ask(holdfast: HoldfastRunner):
    keeper = holdfast.start("run", "--on-lost", "kill", "--grace", "1000", "vm-1", "--", *STAYS)
    keeper.stdout.readline()
    break_lock(holdfast, keeper, "vm-1")
    assert finish(keeper)[0] == 76


def test_ignore_lets_the_command_end_by_itself_and_still_tells(holdfast: HoldfastRunner):
    keeper = holdfast.start(
        "run", "--on-lost", "ignore", "vm-1", "--", "cat", stdin=subprocess.PIPE
    )
    break_lock(holdfast, keeper, "vm-1")
    holdfast("run", "--timeout", "30", "vm-1", "--", "true")
    out, err = keeper.communicate("still at work\n")
    assert (keeper.returncode, out) == (76, "still at work\n")
    assert "runs on without it" in err


@pytest.mark.parametrize("how", [["--on-lost", "kill"], ["--grace", "0.2"]])
def test_grandchildren_are_ended_too_even_orphans(holdfast: HoldfastRunner, how: list[str]):
    """The shell dies of SIGTERM at once; what it started must not work on without the lock."""
    script = f'"{sys.executable}" -c "{IGNORES_TERM}; time.sleep(1000)" & echo $! > pid; wait'
    keeper = holdfast.start("run", *how, "vm-1", "--", "sh", "-c", script)
    keeper.stdout.readline()
    grandchild = int(until(lambda: read(holdfast.folder / "pid"), "the grandchild"))
    break_lock(holdfast, keeper, "vm-1")
    assert finish(keeper)[0] == 76
    assert not is_alive(grandchild)


def test_the_next_gets_in_at_once_while_the_loser_is_ended(holdfast: HoldfastRunner):
    keeper = holdfast.start("run", "--grace", "1000", "vm-1", "--", *STAYS)
    keeper.stdout.readline()
    break_lock(holdfast, keeper, "vm-1")
    assert holdfast("run", "--timeout", "30", "vm-1", "--", "true").returncode == 0
    assert keeper.poll() is None
    keeper.send_signal(signal.SIGINT)  # passed on, as always
    assert finish(keeper)[0] == 76


def test_a_loss_of_one_name_is_the_loss_of_all(holdfast: HoldfastRunner):
    keeper = holdfast.start("run", "vm-1", "net-2", "--", "sleep", "1000")
    until(lambda: holdfast.held_by(keeper.pid, "vm-1"), "the holder")
    break_lock(holdfast, keeper, "net-2")
    assert finish(keeper)[0] == 76
    assert holdfast.is_free("vm-1")


def test_a_break_between_the_commands_end_and_the_release_is_told(holdfast: HoldfastRunner):
    """Whatever is seen first, the lock was not held to the end."""
    keeper = holdfast.start("run", "vm-1", "--", "cat", stdin=subprocess.PIPE)
    held = until(lambda: holdfast.held_by(keeper.pid, "vm-1"), "the holder")
    keeper.send_signal(signal.SIGSTOP)
    holdfast("break", "vm-1", "--id", held["id"], "--why", "the test says so")
    let_go(keeper)
    keeper.send_signal(signal.SIGCONT)
    status, _, err = finish(keeper)
    assert status == 76
    assert "vm-1" in err
