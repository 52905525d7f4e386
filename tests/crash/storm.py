"""A storm over one directory, and its checker. Run by test_storm.py in a process of its own.

    python -m tests.crash.storm DIRECTORY SECONDS [sabotage]

Six processes ask for one to three of three names in random modes, with time-outs; the parent kills
them at random and starts others. Each holder proves its right in a *ledger* that knows nothing of
holdfast: POSIX locks on ranges of another file, which the kernel frees at exit. The ledger's
descriptor is opened before the lockspace, so at exit it is closed first.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from holdfast.drivers.filespace.board import Board
from holdfast.locks.table import Claim
from holdfast.locks.terms import EXCLUSIVE, SHARED, Mode, group, slots
from tests.crash.kit import opened, repairs

NAMES = ("a", "b", "c" * 300)
PROCESSES = 6
MODES = (EXCLUSIVE, EXCLUSIVE, EXCLUSIVE, SHARED, SHARED, group("g"), slots(1), slots(3), slots(3))
SPAN = 100
WEDGED = 15.0
GROUPS = {None: 0, "g": 1}
GROUP_BYTES, SLOTS_AT = 2, 10


class Ledger:
    """Who holds what, in POSIX locks and two marks for each name."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path / "ledger", os.O_RDWR | os.O_CREAT)
        os.ftruncate(self.fd, 4096)
        self.marks = memoryview(mmap.mmap(self.fd, 4096)).cast("Q")
        self.report = os.open(path / "report", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(self, what: str, **facts: object) -> None:
        os.write(self.report, (json.dumps({"what": what, **facts}) + "\n").encode())

    def _lock(self, kind: int, start: int, size: int) -> bool:
        try:
            fcntl.lockf(self.fd, kind | fcntl.LOCK_NB, size, start)
        except OSError:
            return False
        return True

    def _prove(self, name: int, mode: Mode) -> bool:
        base = 4096 + name * SPAN
        if mode.kind == "exclusive":
            return self._lock(fcntl.LOCK_EX, base, SPAN)
        if mode.kind == "slots":
            shared = self._lock(fcntl.LOCK_SH, base, GROUP_BYTES + 1)  # nobody exclusive
            places = range(base + SLOTS_AT, base + SLOTS_AT + mode.limit)
            return shared and any(self._lock(fcntl.LOCK_EX, place, 1) for place in places)
        mine = GROUPS[mode.group]
        # A sharer locks its own group's byte for reading, and tries the others' for writing.
        if not self._lock(fcntl.LOCK_SH, base + mine, 1):
            return False
        other = base + 1 - mine
        free = self._lock(fcntl.LOCK_EX, other, 1) or self._only_ours(other)
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, other)
        return free and self._lock(fcntl.LOCK_SH, base + SPAN - 1, 1)

    def _only_ours(self, _place: int) -> bool:
        # Two sharers of one group try the other group's byte at one time: the second is refused by
        # the first's trial, not by a holder. So look again for a while.
        for _ in range(2000):
            if self._lock(fcntl.LOCK_EX, _place, 1):
                return True
            time.sleep(0.0001)
        return False

    def enter(self, claim: Claim) -> None:
        for seat in claim.seats:
            name = NAMES.index(seat.name)
            if not self._prove(name, seat.mode):
                self.say("overlap", name=seat.name, mode=str(seat.mode), id=claim.id)
            self._count(name, seat.mode, seat.token, claim)

    def _count(self, name: int, mode: Mode, token: int, claim: Claim) -> None:
        marks, at = self.marks, name * 4
        if mode.kind == "exclusive":
            if token <= max(marks[at], marks[at + 1]):
                self.say("token", name=NAMES[name], token=token, last=marks[at])
            if claim.ticket <= marks[at + 2]:
                self.say("fifo", name=NAMES[name], ticket=claim.ticket, last=marks[at + 2])
            marks[at] = token
            marks[at + 2] = claim.ticket
        elif mode.kind == "shared":
            if token <= marks[at]:
                self.say("token", name=NAMES[name], token=token, last=marks[at])
            marks[at + 1] = max(marks[at + 1], token)

    def leave(self) -> None:
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 0, 4096)


def worker(path: Path, seed: int, sabotaged: bool) -> None:
    ledger = Ledger(path)
    rnd = random.Random(seed)
    if sabotaged:
        sabotage(rnd)
    driver = opened(path / "space", f"w{seed}")
    done = waits = 0
    while True:
        names = rnd.sample(NAMES, rnd.choice((1, 1, 2, 3)))
        claim = Claim(tuple((name, rnd.choice(MODES)) for name in names))
        told = threading.Event()
        if not driver.submit(claim, told.set):
            waits += 1
            patience = rnd.choice((0.0, 0.0005, 0.005, WEDGED, WEDGED, WEDGED))
            told.wait(patience)
            if claim.state == "waiting" and patience == WEDGED:
                ledger.say("wedge", seen=[str(each) for each in driver.look("")])
        if claim.state == "held":
            ledger.enter(claim)
            if rnd.random() < 0.3:
                time.sleep(rnd.random() * 0.001)
            ledger.leave()
            done += 1
            if not done % 10:
                ledger.say("done", done=10, waits=waits)
                waits = 0
        driver.drop(claim)


def sabotage(rnd: random.Random) -> None:
    """A law that says yes to one ask in fifty, whoever is in the way."""
    lawful = Board.is_blocked
    Board.is_blocked = lambda self, first: rnd.random() > 0.02 and lawful(self, first)


def main(path: Path, seconds: float, sabotaged: bool) -> None:
    rnd = random.Random(os.environ.get("HOLDFAST_SEED", time.time()))
    ledger = Ledger(path)
    # Kept open, so that there is always one who may notice, and a space to look at afterwards.
    keeper = opened(path / "space", "keeper")
    pids: list[int] = []
    kills = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        while len(pids) < PROCESSES:
            pids.append(start(path, rnd.getrandbits(32), sabotaged))
        time.sleep(rnd.random() * 0.1)
        victim = pids.pop(rnd.randrange(len(pids)))
        os.kill(victim, signal.SIGKILL)
        os.waitpid(victim, 0)
        kills += 1
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    keeper.close()
    after = opened(path / "space", "after")
    left = [str(each) for each in after.look("")]
    ledger.say("end", kills=kills, repairs=repairs(after), left=left)
    after.close()
    ledger.say("files", files=sorted(os.listdir(path / "space")))


def start(path: Path, seed: int, sabotaged: bool) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        worker(path, seed, sabotaged)
    except BaseException as error:
        Ledger(path).say("error", error=repr(error))
        raise
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), "sabotage" in sys.argv[3:])
