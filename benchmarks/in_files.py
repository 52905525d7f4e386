"""The rows of one host: what a free lock costs, and how it goes from process to process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import pairwise, repeat
from pathlib import Path
from statistics import median
from time import monotonic_ns, sleep

from benchmarks.machine import folder
from benchmarks.measure import (
    WALL,
    Loop,
    Samples,
    Spread,
    alternate,
    medians,
    percentile,
    ratio,
    turns,
)
from benchmarks.peers import FILE_PEERS, HOLDFAST, open_file_space
from benchmarks.results import Figure, Panel, Result, Unavailable, row
from benchmarks.scale import Scale
from benchmarks.workers import Worker, crowd, first_to_tell, hold_for_ever, start, take_turns

WAITERS = 8
KILL_TURNS = 4
BODY = 0.001
"""Seconds for which each holds while hand-over is measured: long enough for all to fall asleep."""


@row("file-free", "`file:` free, acquire and release")
def free(scale: Scale, result: Result) -> None:
    with folder() as path:
        samples = alternate(_loops(path), scale)
    for peer, goal in (("fasteners", 0.35), ("filelock", 0.08)):
        if peer in samples:
            found = ratio(samples, HOLDFAST, peer)
            result.figures.append(Figure(f"÷ {peer}", found, "x", goal))
    for peer in ("portalocker", "oslo external", "raw flock"):
        if peer in samples:
            result.figures.append(Figure(f"÷ {peer}", ratio(samples, HOLDFAST, peer), "x"))
    result.panels.append(_microseconds("file, free", samples))


@row("file-busy", "`file:` beside a CPU-busy thread in the same process")
def busy(scale: Scale, result: Result) -> None:
    # A turn sees many of the interpreter's switch intervals of 5 ms.
    turn = replace(scale, slot=scale.slot * 10, rounds=max(2, scale.rounds // 6))
    alone: Samples = {}
    beside: Samples = {}
    with folder() as path:
        loops = _loops(path)
        for _ in range(turn.rounds):
            once = replace(turn, rounds=1)
            for seen, company in ((alone, nullcontext), (beside, _busy_thread)):
                for who, took in alternate(loops, once, WALL, company).items():
                    seen.setdefault(who, []).extend(took)
    ratios = {who: _over(beside[who], alone[who]) for who in loops}
    result.figures.append(Figure("÷ the same without that thread", ratios[HOLDFAST], "x", goal=3))
    if "fasteners" in loops:
        against = ratio(beside, HOLDFAST, "fasteners")
        result.figures.append(Figure("÷ fasteners beside one too", against, "x"))
    result.panels.append(_microseconds("file, beside a busy thread", beside))
    result.notes.append(
        "wall time beside a busy thread ÷ without it: "
        + ", ".join(f"{who} {each.median:.3g}" for who, each in ratios.items())
    )


@row("hand-over", f"`file:` hand-over between processes, {WAITERS} waiters")
def hand_over(scale: Scale, result: Result) -> None:
    seen: dict[str, list[list[float]]] = {}
    for order in turns(_openable(result), scale.hand_overs):
        for who in order:
            with _tolerated(result, who):
                seen.setdefault(who, []).append(_hand_overs(who, scale.hand_over))
    ours = seen.get(HOLDFAST, [])
    if not ours:
        raise Unavailable("nothing was handed over")
    for part, goal in ((0.5, 200), (0.99, 1000)):
        spread = Spread.of([percentile(each, part) for each in ours])
        result.figures.append(Figure(f"p{part * 100:g}", spread.times(1e-3), "µs", goal))
    for part in (0.5, 0.99):
        values = {who: median(percentile(each, part) for each in all_of) / 1e3
                  for who, all_of in seen.items()}  # fmt: skip
        result.panels.append(Panel(f"hand-over, p{part * 100:g}", "µs", values))
    count = sum(map(len, ours))
    result.notes.append(f"{count:,} hand-overs of holdfast, each body {BODY * 1e3:g} ms")


@row("kill", "`file:` kill -9 of the holder to the next body")
def kill(scale: Scale, result: Result) -> None:
    seen: dict[str, list[float]] = {}
    for order in turns(_openable(result), KILL_TURNS):
        for who in order:
            count = max(1, scale.kills // KILL_TURNS // (1 if who == HOLDFAST else 2))
            with _tolerated(result, who):
                seen.setdefault(who, []).extend(_kills(who, count))
    if HOLDFAST not in seen:
        raise Unavailable("nobody inherited the lock of a killed holder")
    spread = Spread.of(seen[HOLDFAST]).times(1e-6)
    result.figures.append(Figure("p50", spread, "ms", 2))
    worst = max(seen[HOLDFAST]) * 1e-6
    result.figures.append(Figure("longest", Spread(worst, worst, worst), "ms"))
    values = {who: median(each) * 1e-6 for who, each in seen.items()}
    result.panels.append(Panel("kill -9 to the next body, p50", "ms", values))


@row("idle", f"`file:` {WAITERS} waiters asleep")
def idle(scale: Scale, result: Result) -> None:
    ticks, switches = {}, {}
    for who in _openable(result):
        with _tolerated(result, who):
            ticks[who], switches[who] = _idle(who, scale.idle)
    if HOLDFAST not in ticks:
        raise Unavailable("the waiters did not come to rest")
    spent = ticks[HOLDFAST] / os.sysconf("SC_CLK_TCK") / scale.idle * 100
    result.figures.append(Figure("CPU", Spread(spent, spent, spent), "%", goal=0))
    woken = switches[HOLDFAST] / scale.idle
    result.figures.append(Figure("context switches", Spread(woken, woken, woken), "/s"))
    rates = {who: each / scale.idle for who, each in switches.items()}
    result.panels.append(Panel("8 sleeping waiters, context switches", "/s", rates))
    result.notes.append(f"CPU ticks in {scale.idle:g} s: "
                        + ", ".join(f"{who} {each}" for who, each in ticks.items()))  # fmt: skip


@row("repair", "`file:` the first ask after a process died inside the mutex")
def repair(scale: Scale, result: Result) -> None:
    try:
        from holdfast.drivers.filespace.layout import H_INSIDE, H_REPAIRS
    except ImportError as error:
        raise Unavailable(f"nothing is known of repairs: {error}") from error
    took: list[float] = []
    with folder() as path:
        locks = open_file_space(os.path.join(path, "space"))
        grants = [locks(f"held-{each}").acquire() for each in range(scale.held_files)]
        space = locks._driver._space
        for _ in range(max(2, scale.rounds // 4)):
            repairs = space.words[H_REPAIRS]
            space.words[H_INSIDE] = space.mark  # what a process that dies there leaves
            start = WALL()
            with locks("vm-1"):
                took.append((WALL() - start) / 1e6)
            if space.words[H_REPAIRS] != repairs + 1:
                raise Unavailable("the file was not repaired where it should have been")
        for grant in grants:
            grant.release()
        locks.close()
    what = f"with {scale.held_files:,} names held"
    result.figures.append(Figure(what, Spread.of(took), "ms"))


@row("growth-file", "`file:` one more name when many are held")
def growth(scale: Scale, result: Result) -> None:
    few, many = "10 held", f"{scale.held_files:,} held"
    with folder() as path:
        spaces = {label: open_file_space(os.path.join(path, str(each)))
                  for each, label in enumerate((few, many))}  # fmt: skip
        grants = [
            spaces[label](f"held-{each}").acquire()
            for label, count in ((few, 10), (many, scale.held_files))
            for each in range(count)
        ]
        loops = {label: _named(space) for label, space in spaces.items()}
        samples = alternate(loops, scale)
        for grant in grants:
            grant.release()
        for space in spaces.values():
            space.close()
    result.figures.append(Figure(f"{many} ÷ {few}", ratio(samples, many, few), "x", goal=1.2))
    result.panels.append(_microseconds("one more name, file", samples))


# Free -------------------------------------------------------------------------------------------


def _loops(path: str) -> dict[str, Loop]:
    """The loop of each that is installed; Unavailable if ours is not."""
    loops: dict[str, Loop] = {}
    for who, opener in FILE_PEERS.items():
        with suppress(ImportError):
            mine = os.path.join(path, who.replace(" ", "-"))
            os.makedirs(mine)
            loops[who] = _loop(opener(mine))
    return loops


def _loop(hold: Callable[[], object]) -> Loop:
    def loop(count: int) -> None:
        for _ in repeat(None, count):
            with hold():
                pass

    return loop


def _named(locks: Callable[[str], object]) -> Loop:
    names = [f"vm-{each}" for each in range(1000)]

    def loop(count: int) -> None:
        for at in range(count):
            with locks(names[at % 1000]):
                pass

    return loop


@contextmanager
def _busy_thread() -> Iterator[None]:
    """Another thread of this process computes meanwhile."""
    over = False

    def compute() -> None:
        while not over:
            sum(range(100))

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        over = True
        thread.join()


def _over(values: list[float], others: list[float]) -> Spread:
    return Spread.of([a / b for a, b in zip(values, others, strict=True)])


def _microseconds(title: str, samples: Samples) -> Panel:
    return Panel(title, "µs", {who: each / 1e3 for who, each in medians(samples).items()})


# Between processes ------------------------------------------------------------------------------


def _openable(result: Result) -> list[str]:
    """Those that open here. Raises Unavailable if ours does not."""
    found = []
    for who, opener in FILE_PEERS.items():
        with folder() as path:
            try:
                opener(path)
            except ImportError:
                result.notes.append(f"{who} is not installed")
            else:
                found.append(who)
    return found


@contextmanager
def _tolerated(result: Result, who: str) -> Iterator[None]:
    """A peer that fails is noted; we are not to be forgiven so easily."""
    try:
        yield
    except (Unavailable, EOFError, OSError) as error:
        if who == HOLDFAST:
            raise Unavailable(f"{type(error).__name__}: {error}") from error
        result.notes.append(f"{who}: {type(error).__name__} {error}")


def _hand_overs(who: str, seconds: float) -> list[float]:
    """Nanoseconds from each release to the next body, where the next was waiting already."""
    with folder() as path, crowd() as workers:
        workers += [start(take_turns, who, path, seconds, BODY) for _ in range(WAITERS + 1)]
        for each in workers:
            assert each.line.recv() == "ready"
        for each in workers:
            each.line.send("go")
        seen = sorted((turn for each in workers for turn in each.line.recv()), key=lambda t: t[1])
    found = [float(then[1] - now[2]) for now, then in pairwise(seen) if then[0] < now[2]]
    if not found:
        raise Unavailable(f"{who} never handed over: one process got every entry")
    return found


def _kills(who: str, count: int) -> list[float]:
    """Nanoseconds from each kill to the next body."""
    found = []
    with folder() as path, crowd() as workers:
        workers += [_ready(who, path) for _ in range(WAITERS + 1)]
        holder, _ = first_to_tell(workers)
        for _ in range(count):
            workers.append(_ready(who, path))
            sleep(0.02)  # until the new one sleeps too
            workers.remove(holder)
            pid = holder.process.pid
            assert pid is not None
            killed = monotonic_ns()
            os.kill(pid, signal.SIGKILL)
            heir, entered = first_to_tell(workers)
            found.append(float(entered - killed))
            holder.end()
            holder = heir
    return found


def _idle(who: str, seconds: float) -> tuple[int, int]:
    """Clock ticks and context switches of the sleeping waiters, all together."""
    with folder() as path, crowd() as workers:
        workers += [_ready(who, path) for _ in range(WAITERS + 1)]
        holder, _ = first_to_tell(workers)
        pids = [each.process.pid for each in workers if each is not holder]
        sleep(min(1.0, seconds))
        before = [_spent(pid) for pid in pids]
        sleep(seconds)
        after = [_spent(pid) for pid in pids]
    ticks = sum(b[0] - a[0] for a, b in zip(before, after, strict=True))
    switches = sum(b[1] - a[1] for a, b in zip(before, after, strict=True))
    return ticks, switches


def _ready(who: str, path: str) -> Worker:
    worker = start(hold_for_ever, who, path)
    if worker.line.recv() != "ready":
        raise Unavailable(f"{who}: a worker did not start")
    return worker


def _spent(pid: int | None) -> tuple[int, int]:
    """Clock ticks and context switches of a process so far, over all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    switches = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text(encoding="utf-8").splitlines():
            if "ctxt_switches" in line:
                switches += int(line.split()[1])
    return int(fields[11]) + int(fields[12]), switches
