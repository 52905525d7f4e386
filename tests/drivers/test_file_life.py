"""A process with the driver: waiting, waking, forking, losing, closing, and doing nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from holdfast.drivers.file import FileDriver
from holdfast.drivers.filespace.layout import S_FIFO, slot_at
from holdfast.drivers.filespace.peers import fifo_name
from holdfast.errors import Closed, DriverError, LockLost
from holdfast.locks.terms import EXCLUSIVE, SHARED, group, slots
from tests.crash.kit import (
    Ask,
    assert_empty,
    child,
    ended,
    killed,
    opened,
    repairs,
    submitted,
    until,
    used_records,
)


@pytest.fixture
def driver(tmp_path: Path):
    driver = opened(tmp_path / "s", "me")
    yield driver
    driver.close()


@pytest.fixture
def other(tmp_path: Path, driver: FileDriver):
    """A second lockspace on the same directory, in the same process: a process of its own to us."""
    other = opened(tmp_path / "s", "other")
    yield other
    other.close()


def test_two_lockspaces_of_one_process_exclude_each_other(driver: FileDriver, other: FileDriver):
    held, waits = Ask(driver, "vm"), Ask(other, "vm")
    assert held.submit()
    assert not Ask(other, "vm").attempt()
    assert not waits.submit()
    assert held.drop()
    assert waits.held()
    assert not held.drop()
    assert waits.drop()
    assert_empty(driver)


def test_a_waiter_here_is_told_by_the_one_who_releases(driver: FileDriver):
    """No pipe, no other thread: when ``drop`` returns the next has been told."""
    held, waits = Ask(driver, "vm"), Ask(driver, "vm")
    assert held.submit()
    assert not waits.submit()
    assert held.drop()
    assert waits.claim.state == "held"
    assert waits.told.is_set()
    assert waits.drop()


def test_modes_between_processes(driver: FileDriver, other: FileDriver):
    readers = [Ask(driver, "disk", mode=SHARED), Ask(other, "disk", mode=SHARED)]
    assert [each.submit() for each in readers] == [True, True]
    assert len({each.claim.tokens["disk"] for each in readers}) == 1
    writer, late = Ask(driver, "disk"), Ask(other, "disk", mode=SHARED)
    assert not writer.submit()
    assert not late.submit()  # nobody overtakes, a reader not even a waiting writer
    cluster = Ask(other, "disk", mode=group("a"))
    assert not cluster.attempt()
    for each in readers:
        assert each.drop()
    assert writer.held()
    assert writer.claim.tokens["disk"] > readers[0].claim.tokens["disk"]
    assert not late.held(0)
    assert writer.drop()
    assert late.held()
    assert late.drop()
    assert_empty(driver)


def test_slots_between_processes(driver: FileDriver, other: FileDriver):
    asks = [Ask(each, "pool", mode=slots(2)) for each in (driver, other, driver, other)]
    assert [ask.submit() for ask in asks] == [True, True, False, False]
    assert asks[1].drop()
    assert asks[2].held()
    assert not asks[3].held(0)
    assert asks[0].drop()
    assert asks[3].held()
    assert asks[2].drop()
    assert asks[3].drop()
    assert_empty(driver)


def test_a_stuck_ask_for_slots_reserves_none(driver: FileDriver, other: FileDriver):
    """Asks for slots of several names: a grant may make one stuck, which frees its room."""
    held = Ask(driver, "volume")
    pool = Ask(driver, "pool", mode=slots(2))
    assert held.submit()
    assert pool.submit()
    stuck = Ask(other, volume=EXCLUSIVE, pool=slots(1))
    passes = Ask(driver, "pool", mode=slots(2))
    assert not stuck.submit()
    assert passes.submit()
    for each in (passes, pool, held):
        assert each.drop()
    assert stuck.held()
    assert stuck.drop()
    assert_empty(driver)


def test_all_or_none(driver: FileDriver, other: FileDriver):
    one = Ask(driver, "b")
    both, behind = Ask(other, "a", "b"), Ask(driver, "a")
    assert one.submit()
    assert not both.submit()
    assert not behind.submit()
    assert both.drop() is False
    assert behind.held()
    assert one.drop()
    assert behind.drop()
    assert_empty(driver)


def test_who_is_in_the_way(driver: FileDriver, other: FileDriver):
    held, first, second = Ask(driver, "vm"), Ask(other, "vm"), Ask(driver, "vm")
    held.submit()
    first.submit()
    second.submit()
    seen = driver.blockers(second.claim)
    assert [(each.owner.label, claim is held.claim) for each, claim in seen] == [
        ("me", True),
        ("other", False),
    ]
    assert [claim for _, _, claim in driver.rivals(second.claim)] == [held.claim, None]
    holder, *waiters = driver.look("")
    assert holder.owner.pid == os.getpid()
    assert holder.owner.start == driver.owner.start
    assert holder.owner.command
    assert [each.waiting_for for each in waiters] == [
        (held.claim.id,),
        (held.claim.id, first.claim.id),
    ]
    for each in (second, first, held):
        each.drop()


def test_a_broken_lock_is_told_to_its_holder(driver: FileDriver, other: FileDriver):
    held, waits = Ask(driver, "vm", "net", "n" * 900), Ask(other, "net")
    assert held.submit()
    assert not waits.submit()
    assert not other.break_("vm", "beef", "no such id")
    assert not other.break_("nothing", held.claim.id, "not that name")
    why = "host lost power " + "ö" * 200
    assert other.break_("vm", held.claim.id, why)
    assert waits.held()
    until(held.told.is_set, "the news of the loss")
    assert held.claim.state == "lost"
    assert isinstance(held.claim.error, LockLost)
    assert "host lost power" in str(held.claim.error)
    assert not held.drop()
    assert not other.break_("vm", held.claim.id, "twice")
    assert waits.drop()
    until(lambda: used_records(driver) == 0, "no record")
    assert_empty(driver)


def test_a_waiter_cannot_be_broken(driver: FileDriver, other: FileDriver):
    held, waits = Ask(driver, "vm"), Ask(driver, "vm")
    held.submit()
    waits.submit()
    assert not other.break_("vm", waits.claim.id, "not a holder")
    assert other.break_("vm", held.claim.id, "a holder")
    assert waits.held()
    waits.drop()


def test_one_breaks_ones_own(driver: FileDriver):
    held = Ask(driver, "vm")
    held.submit()
    assert driver.break_("vm", held.claim.id, "myself")
    assert held.claim.state == "lost"
    assert not held.drop()
    assert_empty(driver)


def test_close_releases_all_and_tells_waiters(tmp_path: Path, other: FileDriver):
    driver = opened(tmp_path / "s")
    held, waits, theirs = Ask(driver, "vm"), Ask(driver, "net"), Ask(other, "vm")
    blocks = Ask(other, "net")
    assert held.submit()
    assert blocks.submit()
    assert not waits.submit()
    assert not theirs.submit()
    driver.close()
    driver.close()
    assert theirs.held()
    assert isinstance(waits.claim.error, Closed)
    assert waits.claim.state == held.claim.state == "lost"
    assert waits.told.is_set()
    assert isinstance(held.claim.error, LockLost)
    assert not held.drop()
    with pytest.raises(Closed):
        Ask(driver, "vm").submit()
    with pytest.raises(Closed):
        driver.look("")
    assert driver.break_ is not None
    theirs.drop()
    blocks.drop()
    assert_empty(other)


def test_a_child_holds_nothing_and_disturbs_nothing(driver: FileDriver, tmp_path: Path):
    held = Ask(driver, "vm")
    assert held.submit()

    def run() -> None:
        driver.forked()
        assert held.claim.state == "gone"
        assert not held.drop()
        assert not Ask(driver, "vm").attempt()  # the parent's, seen from a slot of our own
        assert driver.owner.pid == os.getpid()
        mine = Ask(driver, "child's")
        assert mine.submit()
        assert len(driver.look("")) == 2
        os.kill(os.getpid(), signal.SIGKILL)

    assert ended(child(run)) == -signal.SIGKILL
    assert [each.name for each in driver.look("vm")] == ["vm"]
    come = Ask(driver, "child's")
    come.submit()
    assert come.held()
    come.drop()
    assert held.drop()
    assert repairs(driver) == 0


def test_a_fork_while_others_are_inside(driver: FileDriver):
    """The gate may be taken at the fork; the child has a new one."""
    ending = threading.Event()

    def work() -> None:
        while not ending.is_set():
            ask = Ask(driver, "busy", "busier")
            ask.submit()
            ask.held()
            ask.drop()

    thread = threading.Thread(target=work)
    thread.start()

    def run() -> None:
        driver.forked()
        ask = Ask(driver, "mine")
        assert ask.submit()
        assert ask.drop()

    try:
        assert [ended(child(run)) for _ in range(30)] == [0] * 30
    finally:
        ending.set()
        thread.join()


def test_a_child_that_inherits_the_liveness_keeps_the_lock(driver: FileDriver, tmp_path: Path):
    here, there = os.pipe()

    def keeper() -> None:
        own = opened(tmp_path / "s", "keeper")
        assert Ask(own, "vm").submit()
        process = subprocess.Popen(["sleep", "100"], pass_fds=[own.liveness()])
        os.write(there, str(process.pid).encode())
        signal.pause()

    pid = child(keeper)
    sleeper = int(os.read(here, 20))
    waits = Ask(driver, "vm")
    assert not waits.submit()
    killed(pid)
    assert not waits.held(0.3)
    assert [each.owner.label for each in driver.look("vm")] == ["keeper", "me"]
    os.kill(sleeper, signal.SIGKILL)
    assert waits.held()
    waits.drop()


def ticks(pid: int = 0) -> int:
    fields = Path(f"/proc/{pid or 'self'}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_waiting_costs_nothing(driver: FileDriver, tmp_path: Path):
    held = Ask(driver, "vm")
    assert held.submit()
    here, there = os.pipe()

    def run() -> None:
        own = opened(tmp_path / "s")
        asks = [Ask(own, "vm") for _ in range(20)]
        for ask in asks:
            ask.submit()
        time.sleep(0.3)
        before = ticks()
        switches = switched()
        os.write(there, b"r")
        time.sleep(2)
        assert ticks() - before <= 1, ticks() - before
        assert switched() - switches <= 4

    pid = child(run)
    os.read(here, 1)
    assert ended(pid) == 0
    held.drop()


def switched() -> int:
    """Voluntary context switches of all threads of this process."""
    total = 0
    for task in Path("/proc/self/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def test_many_waiters_of_one_process_are_served_in_order(driver: FileDriver, other: FileDriver):
    held = Ask(other, "vm")
    assert held.submit()
    asks = [Ask(driver, "vm") for _ in range(300)]
    assert submitted(asks) == {False}
    before = threading.active_count()
    assert held.drop()
    for number, ask in enumerate(asks):
        assert ask.held()
        assert [each.claim.state for each in asks[number + 1 :]].count("held") == 0
        assert ask.drop()
    assert threading.active_count() == before
    assert_empty(driver)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_no_descriptor_is_left(tmp_path: Path):
    opened(tmp_path / "s").close()
    before = descriptors()
    for _ in range(10):
        drivers = [opened(tmp_path / "s") for _ in range(3)]
        held, waits = Ask(drivers[0], "vm"), Ask(drivers[1], "vm")
        held.submit()
        waits.submit()
        held.drop()
        assert waits.held()
        for driver in drivers:
            driver.close()
    until(lambda: descriptors() == before, "the old number of descriptors")
    assert [each.name for each in (tmp_path / "s").iterdir()] == ["space"]


def test_write_ends_to_others_do_not_pile_up(driver: FileDriver, tmp_path: Path):
    """Each of 100 processes held once what we wait for."""
    before = descriptors()
    for _ in range(100):
        peer = opened(tmp_path / "s")
        held, waits = Ask(peer, "vm"), Ask(driver, "vm")
        assert held.submit()
        assert not waits.submit()
        held.drop()
        assert waits.held()
        waits.drop()
        peer.close()
    assert descriptors() - before < 80


def test_a_fifo_removed_by_hand(driver: FileDriver, other: FileDriver, tmp_path: Path):
    """Its owner lives, and its pid says so: nobody takes it for dead."""
    held = Ask(driver, "vm")
    assert held.submit()
    space = driver._ready()
    (tmp_path / "s" / fifo_name(space.words[slot_at(space.mark) + S_FIFO])).unlink()
    assert not Ask(other, "vm").attempt()
    with pytest.raises(DriverError, match="cannot watch"):
        Ask(other, "vm").submit()
    assert held.drop()
    assert Ask(other, "vm").attempt()


def test_one_taken_for_dead_is_told(driver: FileDriver, other: FileDriver):
    from holdfast.drivers.filespace import repair

    held = Ask(driver, "vm")
    held.submit()
    mark = driver._ready().mark
    other._alone(lambda space: repair.reap(space, mark))
    with pytest.raises(DriverError, match="took this one for dead"):
        driver.look("")
    assert held.claim.state == "lost"
    assert isinstance(held.claim.error, LockLost)
    assert Ask(driver, "vm").submit()  # it has joined anew


PROGRAM = """
import sys, threading
from pathlib import Path
from tests.crash.kit import Ask, opened
driver = opened(sys.argv[1])
held, waits = Ask(driver, "a"), Ask(driver, "a")
held.submit(); waits.submit()
if sys.argv[2] == "close":
    driver.close()
if sys.argv[2] == "thread":
    threading.Thread(target=lambda: Ask(driver, "b").submit()).start()
print("end")
"""


@pytest.mark.parametrize("how", ["nothing", "close", "thread"])
def test_the_end_of_the_interpreter_is_quiet(tmp_path: Path, root: Path, how: str):
    for _ in range(3):
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "s"), how],
            capture_output=True,
            text=True,
            timeout=30,
            cwd=root,
            check=False,
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "end\n", "")
    after = opened(tmp_path / "s")
    assert_empty(after)
    assert repairs(after) == 0
    after.close()
    assert [each.name for each in (tmp_path / "s").iterdir()] == ["space"]


GREEN = """
import sys
{patch}
from tests.crash.kit import opened
from holdfast.locks.table import Claim
from holdfast.locks.terms import EXCLUSIVE
import _thread, time
driver, other = opened(sys.argv[1]), opened(sys.argv[1])
held, waits = (Claim((("vm", EXCLUSIVE),)) for _ in range(2))
told = []
assert driver.submit(held, lambda: None)
assert not other.submit(waits, lambda: told.append(1))
driver.drop(held)
end = time.monotonic() + 20
while waits.state != "held" and time.monotonic() < end:
    time.sleep(0.01)
print(waits.state)
driver.close(); other.close()
"""


@pytest.mark.parametrize(
    "patch",
    [
        "import eventlet; eventlet.monkey_patch()",
        "import eventlet; eventlet.monkey_patch(os=True, thread=True)",
        "import gevent.monkey; gevent.monkey.patch_all()",
        "import holdfast.drivers.file, gevent.monkey; gevent.monkey.patch_all()",
        "import holdfast.drivers.file, eventlet; eventlet.monkey_patch()",
    ],
)
def test_the_listener_is_native_under_greenlets(tmp_path: Path, root: Path, patch: str):
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", GREEN.format(patch=patch), str(tmp_path / "s")],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=root,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "held\n"), ran.stderr


def test_a_program_that_dies_of_sigpipe_does_not_die_of_us(driver: FileDriver, tmp_path: Path):
    def run() -> None:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        own = opened(tmp_path / "s")
        space, peer = own._ready(), opened(tmp_path / "s")
        mark = peer._ready().mark
        assert space.peers.watch(mark)
        os.close(peer._ready().fifo.read)  # as if it died between our look and our write
        space.peers.wake(mark)

    assert ended(child(run)) == 0


def test_the_living_are_not_buried_for_a_glance_at_an_empty_slot(
    driver: FileDriver, other: FileDriver
):
    """Seen outside the mutex: a FIFO's number is stored before JOINED. Found by the storm."""
    held = Ask(other, "vm")
    assert held.submit()
    space = other._ready()
    number = space.words[slot_at(space.mark) + S_FIFO]
    driver._alone(partial(driver._bury, [(space.mark, number)]))
    assert space.is_ours()
    assert not Ask(driver, "vm").attempt()
    assert held.drop()


def test_a_stale_event_does_not_bury_the_living(driver: FileDriver, other: FileDriver):
    """The listener is told of a descriptor that another thread has closed and opened anew."""
    held, waits = Ask(other, "vm"), Ask(driver, "vm")
    assert held.submit()
    assert not waits.submit()
    peers = driver._ready().peers
    (peer,) = peers._by_mark.values()
    assert peers.died(peer.fd) is None
    assert peers._by_mark
    assert held.drop()
    assert waits.held()
    assert waits.drop()
