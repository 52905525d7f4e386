"""``holdfast break``: a compare-and-set on the grant's id."""

from __future__ import annotations

import os
import signal

from tests.cli.tools import HoldfastRunner, child_of, finish, let_go, one_sentence, until


def test_a_broken_lock_goes_to_the_next(holdfast: HoldfastRunner):
    holder = holdfast.hold("vm-1", options=["--on-lost", "kill"])
    id = holdfast.held_by(holder.pid, "vm-1")["id"]
    waiter = holdfast.start("run", "vm-1", "--", "true")
    until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")
    ran = holdfast("break", "vm-1", "--id", id, "--why", "host lost power")
    assert (ran.returncode, ran.stdout) == (0, f"'vm-1' was taken from {id}.\n")
    assert finish(waiter)[0] == 0
    assert finish(holder)[0] == 76


def test_a_wrong_id_changes_nothing_and_names_the_present_holder(holdfast: HoldfastRunner):
    holder = holdfast.hold("vm-1", options=["--label", "backup"])
    id = holdfast.held_by(holder.pid, "vm-1")["id"]
    ran = holdfast("break", "vm-1", "--id", "0-0-0", "--why", "host lost power")
    assert ran.returncode == 1
    sentence = one_sentence(ran.stderr)
    assert all(each in sentence for each in ("nothing was changed", id, "backup"))
    assert holdfast.held_by(holder.pid, "vm-1")["id"] == id


def test_the_id_of_an_earlier_holder_breaks_nothing(holdfast: HoldfastRunner):
    first = holdfast.hold("vm-1")
    id = holdfast.held_by(first.pid, "vm-1")["id"]
    let_go(first)
    finish_quietly = first.wait(60)
    assert finish_quietly == 0
    second = holdfast.hold("vm-1")
    assert holdfast("break", "vm-1", "--id", id, "--why", "late").returncode == 1
    assert holdfast.held_by(second.pid, "vm-1")


def test_a_free_name_cannot_be_broken(holdfast: HoldfastRunner):
    ran = holdfast("break", "vm-1", "--id", "0-0-0", "--why", "host lost power")
    assert ran.returncode == 1
    assert "nobody holds 'vm-1'" in one_sentence(ran.stderr)


def test_a_waiters_id_breaks_nothing(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    waiter = holdfast.start("run", "vm-1", "--", "true")
    id = until(lambda: holdfast.awaited_by(waiter.pid, "vm-1"), "the waiter")["id"]
    assert holdfast("break", "vm-1", "--id", id, "--why", "impatience").returncode == 1
    assert holdfast.awaited_by(waiter.pid, "vm-1")


def test_why_is_asked_for(holdfast: HoldfastRunner):
    for why in ([], ["--why", ""], ["--why", "  "]):
        ran = holdfast("break", "vm-1", "--id", "0-0-0", *why)
        assert ran.returncode == 2
        assert "--why" in one_sentence(ran.stderr)


def test_one_of_several_sharers_can_be_broken(holdfast: HoldfastRunner):
    dead, alive = (holdfast.hold("image", options=["--shared"]) for _ in range(2))
    id = holdfast.held_by(dead.pid, "image")["id"]
    assert holdfast("break", "image", "--id", id, "--why", "the test").returncode == 0
    assert holdfast.held_by(alive.pid, "image")
    assert not holdfast.held_by(dead.pid, "image")


def test_the_lock_of_a_command_without_its_keeper_can_be_broken(holdfast: HoldfastRunner):
    """Its keeper is dead and it keeps the descriptor: here breaking is what an operator needs."""
    keeper = holdfast.start("run", "vm-1", "--", "sh", "-c", "trap '' TERM; echo; sleep 1000")
    keeper.stdout.readline()
    id = until(lambda: holdfast.held_by(keeper.pid, "vm-1"), "the holder")["id"]
    command = child_of(keeper.pid)
    keeper.kill()
    keeper.wait()
    assert holdfast("break", "vm-1", "--id", id, "--why", "its keeper is dead").returncode == 0
    assert holdfast.is_free("vm-1")
    os.kill(command, signal.SIGKILL)
