"""Signals: each reaches the command, and reaches it once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal, descendants
from tests.cli.tools import (
    SCRIPT,
    HoldfastRunner,
    child_of,
    finish,
    let_go,
    one_sentence,
    state_of,
    stopped,
    until,
)

# Says "ready", then the name of each signal that reaches it; ends after SIGTERM.
LISTENER = """
import signal, sys
queue = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD})
queue = [each for each in queue if isinstance(each, signal.Signals)]
signal.pthread_sigmask(signal.SIG_BLOCK, queue)
print("ready", flush=True)
while True:
    heard = signal.Signals(signal.sigwait(queue))
    print(heard.name, flush=True)
    if heard == signal.SIGTERM:
        sys.exit(42)
"""
LISTEN = [sys.executable, "-u", "-c", LISTENER]
PASSED = ["INT", "HUP", "QUIT", "USR1", "USR2", "ALRM", "WINCH", "CONT", "URG", "PWR", "VTALRM"]


@pytest.fixture
def bash(holdfast: HoldfastRunner) -> Iterator[Terminal]:
    """An interactive bash, with `holdfast` in its PATH."""
    folder = os.path.dirname(SCRIPT)
    environment = {**holdfast.environment, "PATH": f"{folder}:{os.environ['PATH']}"}
    (holdfast.folder / "listen.py").write_text(LISTENER)
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], holdfast.folder, environment)
    terminal.type("PS1='next> '; bind 'set enable-bracketed-paste off'\n")
    terminal.sees("next> ")
    terminal.sees("next> ")
    yield terminal
    terminal.close()


LISTEN_HERE = f"{sys.executable} -u listen.py"


@pytest.mark.parametrize("name", PASSED)
def test_what_is_sent_to_the_keeper_reaches_the_command(holdfast: HoldfastRunner, name: str):
    keeper = holdfast.start("run", "vm-1", "--", *LISTEN)
    assert keeper.stdout.readline() == "ready\n"
    keeper.send_signal(signal.Signals[f"SIG{name}"])
    assert keeper.stdout.readline() == f"SIG{name}\n"
    keeper.send_signal(signal.SIGTERM)
    assert finish(keeper) == (42, "SIGTERM\n", "")


def test_ctrl_c_reaches_the_command_once(bash: Terminal):
    bash.type(f"holdfast run vm-1 -- {LISTEN_HERE}; echo status $?\n")
    bash.sees("ready")
    for _ in range(3):
        bash.type("\x03")
        bash.sees("SIGINT")
    bash.type("\x1c")
    assert "SIGINT" not in bash.sees("SIGQUIT")
    terminate_job(bash)
    assert "SIG" not in bash.sees("SIGTERM")
    bash.sees("status 42")


def terminate_job(bash: Terminal) -> None:
    """SIGTERM to the command of the keeper that runs in the foreground."""
    keeper = until(lambda: _keepers(bash), "the keeper")
    os.kill(child_of(keeper), signal.SIGTERM)


def _keepers(bash: Terminal) -> int | None:
    for pid in descendants(bash.process.pid):
        if b"holdfast" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


def test_ctrl_c_while_waiting_gives_the_prompt_back(holdfast: HoldfastRunner, bash: Terminal):
    holdfast.hold("vm-1")
    bash.type("holdfast run vm-1 -- true; echo status $?\n")
    until(lambda: [each for each in holdfast.entries() if each["state"] == "waiting"], "the waiter")
    bash.type("\x03")
    bash.sees("status 130")


def test_ctrl_z_and_fg(holdfast: HoldfastRunner, bash: Terminal):
    bash.type("holdfast run vm-1 -- sh -c 'echo at work; read line; echo got $line'\n")
    bash.sees("at work\r\n")
    bash.type("\x1a")
    bash.sees("Stopped")
    bash.sees("next> ")
    assert not holdfast.is_free("vm-1")
    bash.type("fg\n")
    bash.sees("holdfast run")
    bash.type("this\n")
    bash.sees("got this")
    bash.sees("next> ")
    assert holdfast.is_free("vm-1")


def test_ctrl_z_while_waiting_and_fg(holdfast: HoldfastRunner, bash: Terminal):
    holder = holdfast.hold("vm-1")
    bash.type("holdfast run vm-1 -- echo had it\n")
    until(lambda: [each for each in holdfast.entries() if each["state"] == "waiting"], "the waiter")
    bash.type("\x1a")
    bash.sees("Stopped")
    let_go(holder)
    bash.type("fg\n")
    bash.sees("had it\r\nnext> ")


def test_a_command_that_stops_only_itself_gives_the_prompt_back(bash: Terminal):
    """As an editor does that reads Ctrl-Z as a key."""
    bash.type("holdfast run vm-1 -- sh -c 'kill -STOP $$; echo woken'\n")
    bash.sees("Stopped")
    bash.sees("next> ")
    bash.type("fg\n")
    bash.sees("woken\r\nnext> ")


def test_a_pipeline_is_one_job(bash: Terminal):
    bash.type("holdfast run vm-1 -- sh -c 'echo to the pipe; sleep 1000' | cat\n")
    bash.sees("to the pipe\r\n")
    bash.type("\x03")
    bash.sees("next> ")


def test_a_command_in_the_background_that_reads_the_terminal_stops(bash: Terminal):
    bash.type("holdfast run vm-1 -- sh -c 'read line; echo got $line' &\n")
    bash.sees("next> ")
    bash.type("\n")
    until(lambda: (bash.type("\n"), bash.look(), "Stopped" in bash.seen)[2], "the job stopped")
    bash.type("fg\n")
    bash.sees("holdfast run")
    bash.type("that\n")
    bash.sees("got that")


def test_tstp_sent_to_the_keeper_stops_both_and_cont_wakes_both(holdfast: HoldfastRunner):
    keeper = holdfast.start("run", "vm-1", "--", "cat", stdin=-1)
    until(lambda: holdfast.held_by(keeper.pid, "vm-1"), "the holder")
    command = child_of(keeper.pid)
    until(lambda: is_cat(command), "cat")
    keeper.send_signal(signal.SIGTSTP)
    until(lambda: state_of(command) == state_of(keeper.pid) == "T", "both stopped")
    keeper.send_signal(signal.SIGCONT)
    until(lambda: "T" not in (state_of(command), state_of(keeper.pid)), "both awake")
    assert keeper.communicate("on\n")[0] == "on\n"


def is_cat(pid: int) -> bool:
    with open(f"/proc/{pid}/comm") as name:
        return name.read() == "cat\n"


def test_a_command_stopped_by_an_operator_does_not_stop_its_keeper(holdfast: HoldfastRunner):
    """Nobody would wake the keeper, and the lock would outlive the command."""
    keeper = holdfast.start("run", "vm-1", "--", "sleep", "1000")
    until(lambda: holdfast.held_by(keeper.pid, "vm-1"), "the holder")
    command = child_of(keeper.pid)
    with stopped(command):
        os.kill(command, signal.SIGKILL)
        assert finish(keeper)[0] == 137


def test_a_command_that_signals_its_own_group_is_not_told_twice(holdfast: HoldfastRunner):
    script = LISTENER.replace("while True", "import os; os.kill(0, signal.SIGUSR1)\nwhile True")
    keeper = holdfast.start("run", "vm-1", "--", sys.executable, "-c", script)
    assert keeper.stdout.readline() == "ready\n"
    assert keeper.stdout.readline() == "SIGUSR1\n"
    keeper.send_signal(signal.SIGUSR2)
    assert keeper.stdout.readline() == "SIGUSR2\n"
    keeper.send_signal(signal.SIGTERM)
    assert finish(keeper)[:2] == (42, "SIGTERM\n")


def test_nohup_is_respected(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    ran = holdfast.start("run", "--timeout", "1", "vm-1", "--", "true", preexec_fn=_ignore_hangup)
    until(lambda: holdfast.awaited_by(ran.pid, "vm-1"), "the waiter")
    ran.send_signal(signal.SIGHUP)
    status, _, err = finish(ran)
    assert status == 75
    assert "gave up" in one_sentence(err)


def _ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
