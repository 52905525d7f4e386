"""While ``holdfast run`` waits: time-outs, interruptions, deaths."""

from __future__ import annotations

import os
import signal
import time

import pytest

from holdfast import Lockspace
from tests.cli.tools import HoldfastRunner, child_of, finish, is_alive, let_go, one_sentence, until


def test_a_timeout_gives_75_and_names_the_holder(holdfast: HoldfastRunner):
    holder = holdfast.hold("vm-1", options=["--label", "backup"])
    ran = holdfast("run", "--timeout", "0.2", "vm-1", "--", "true")
    assert ran.returncode == 75
    sentence = one_sentence(ran.stderr)
    assert all(each in sentence for each in ("'vm-1'", "backup", f"pid {holder.pid}", " s"))


def test_a_timeout_of_0_does_not_wait(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    assert holdfast("run", "--timeout", "0", "vm-1", "--", "true").returncode == 75
    assert holdfast("run", "--timeout", "0", "vm-2", "--", "true").returncode == 0


def test_all_names_are_had_or_none(holdfast: HoldfastRunner):
    holder = holdfast.hold("net-2")
    waiter = holdfast.start("run", "vm-1", "net-2", "--", "true")
    until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
    assert not [each for each in holdfast.entries("vm-1") if each["state"] == "held"]
    let_go(holder)
    assert finish(waiter)[0] == 0


def test_shared_holders_are_together_and_shut_a_writer_out(holdfast: HoldfastRunner):
    holdfast.hold("image", options=["--shared"])
    assert holdfast("run", "--shared", "--timeout", "5", "image", "--", "true").returncode == 0
    assert holdfast("run", "--timeout", "0", "image", "--", "true").returncode == 75


def test_a_group_is_together_and_shuts_sharers_out(holdfast: HoldfastRunner):
    holdfast.hold("disk", options=["--group", "a"])
    assert holdfast("run", "--group", "a", "--timeout", "5", "disk", "--", "true").returncode == 0
    assert holdfast("run", "--group", "b", "--timeout", "0", "disk", "--", "true").returncode == 75
    assert holdfast("run", "--shared", "--timeout", "0", "disk", "--", "true").returncode == 75


def test_slots_admit_so_many(holdfast: HoldfastRunner):
    first = holdfast.hold("uploads", options=["--slots", "2"])
    holdfast.hold("uploads", options=["--slots", "2"])
    ask = ["run", "--slots", "2", "--timeout"]
    assert holdfast(*ask, "0", "uploads", "--", "true").returncode == 75
    let_go(first)
    assert holdfast(*ask, "30", "uploads", "--", "true").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_ends_the_wait_with_128_and_its_number(
    holdfast: HoldfastRunner, number: signal.Signals
):
    holder = holdfast.hold("vm-1")
    waiter = holdfast.start("run", "vm-1", "--", "touch", "ran")
    until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
    before = child_of(waiter.pid)
    waiter.send_signal(number)
    assert finish(waiter) == (128 + number, "", "")
    assert [each["owner"]["pid"] for each in holdfast.entries()] == [holder.pid]
    assert not is_alive(before)
    assert not (holdfast.folder / "ran").exists()


def test_ctrl_c_at_a_terminal_while_waiting_is_quiet(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    waiter = holdfast.start("run", "vm-1", "--", "true")
    until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
    os.killpg(waiter.pid, signal.SIGINT)  # the future command hears it too
    assert finish(waiter) == (130, "", "")


@pytest.mark.parametrize("number", [signal.SIGWINCH, signal.SIGCONT, signal.SIGCHLD])
def test_a_signal_that_ends_nothing_does_not_end_the_wait(
    holdfast: HoldfastRunner, number: signal.Signals
):
    holder = holdfast.hold("vm-1")
    waiter = holdfast.start("run", "vm-1", "--", "true")
    until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
    waiter.send_signal(number)
    let_go(holder)
    assert finish(waiter)[0] == 0


def test_who_gives_up_lets_those_behind_move(holdfast: HoldfastRunner):
    holdfast.hold("image", options=["--shared"])
    writer = holdfast.start("run", "image", "--", "true")
    until(lambda: holdfast.awaited_by(writer.pid, "image"), "the writer")
    reader = holdfast.start("run", "--shared", "image", "--", "echo", "read")
    until(lambda: holdfast.awaited_by(reader.pid, "image"), "the reader behind it")
    writer.send_signal(signal.SIGTERM)
    assert finish(reader)[:2] == (0, "read\n")


def test_kill_9_of_a_waiter_lets_those_behind_move_and_leaves_no_process(
    holdfast: HoldfastRunner,
):
    holder = holdfast.hold("vm-1")
    dying = holdfast.start("run", "vm-1", "--", "touch", "ran")
    until(lambda: holdfast.awaited_by(dying.pid, "vm-1"), "the first waiter")
    behind = holdfast.start("run", "vm-1", "--", "echo", "next")
    until(lambda: holdfast.awaited_by(behind.pid, "vm-1"), "the second waiter")
    future = child_of(dying.pid)
    dying.kill()
    until(lambda: not is_alive(future), "the end of what would have been the command")
    let_go(holder)
    assert finish(behind)[:2] == (0, "next\n")
    assert not (holdfast.folder / "ran").exists()


def test_kill_9_of_what_would_be_the_command_ends_the_wait(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    waiter = holdfast.start("run", "vm-1", "--", "true")
    until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
    os.kill(child_of(waiter.pid), signal.SIGKILL)
    assert finish(waiter)[0] == 137


def test_a_stopped_waiter_goes_on_where_it_was(holdfast: HoldfastRunner):
    holder = holdfast.hold("vm-1")
    waiter = holdfast.start("run", "vm-1", "--", "true")
    until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
    os.killpg(waiter.pid, signal.SIGSTOP)
    let_go(holder)
    until(lambda: holdfast.held_by(waiter.pid, "vm-1"), "the grant to the one that is stopped")
    os.killpg(waiter.pid, signal.SIGCONT)
    assert finish(waiter)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_around_the_grant_gives_one_status_or_the_other_and_leaves_nothing(
    holdfast: HoldfastRunner, number: signal.Signals
):
    """It meets the wait, the grant, the command or the release: never a traceback, never a rest."""
    seen = set()
    for delay in range(40):
        with Lockspace(holdfast.space) as locks:
            holder = locks("vm-1").acquire()
            waiter = holdfast.start("run", "vm-1", "--", "true")
            until(lambda waiter=waiter: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
            holder.release()
            time.sleep(delay / 2000)
            waiter.send_signal(number)
            status, _, err = finish(waiter)
            seen.add((status, err))
    assert seen <= {(0, ""), (128 + number, "")}
    assert holdfast.entries() == []
