"""Eight threads on one name: who waits how long, who gets how much."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, median
from time import perf_counter
from typing import Any

from benchmarks.measure import Spread, turns
from benchmarks.peers import HOLDFAST, LockByKey, oslo_internal
from benchmarks.results import Figure, Panel, Result, row
from benchmarks.scale import Scale
from holdfast import Lockspace

THREADS = 8
WARM_UP = 0.2


@dataclass(frozen=True, slots=True)
class Storm:
    """What one turn of eight threads gave."""

    rate: float
    longest: float
    mean: float
    least: int
    most: int

    @property
    def patience(self) -> float:
        return self.longest / self.mean

    @property
    def fairness(self) -> float:
        return self.least / self.most if self.most else 0.0


@row("threads", f"memory: {THREADS} threads on 1 name")
def eight_threads(scale: Scale, result: Result) -> None:
    contenders = _contenders()
    storms: dict[str, list[Storm]] = {who: [] for who in contenders}
    for order in turns(list(contenders), scale.storms):
        for who in order:
            storms[who].append(_storm(contenders[who], scale.storm))
    ours, theirs = storms[HOLDFAST], storms["LockByKey"]
    rates = [a.rate / b.rate for a, b in zip(ours, theirs, strict=True)]
    result.figures += [
        Figure("longest wait ÷ mean wait", Spread.of([each.patience for each in ours]), "x", 20),
        Figure(
            "least served ÷ most served",
            Spread.of([each.fairness for each in ours]), "x", 0.9, at_least=True,
        ),
        Figure("entries per second ÷ LockByKey", Spread.of(rates), "x", 1 / 3, at_least=True),
    ]  # fmt: skip
    result.panels += [
        Panel("8 threads, entries per second", "/s", _medians(storms, "rate"), high=True),
        Panel("8 threads, longest ÷ mean wait", "x", _medians(storms, "patience")),
        Panel("8 threads, least ÷ most served", "x", _medians(storms, "fairness"), high=True),
    ]


def _contenders() -> dict[str, Callable[[], Any]]:
    locks, bare = Lockspace(), threading.Lock()
    found: dict[str, Callable[[], Any]] = {
        HOLDFAST: lambda: locks("vm-1"),
        "threading.Lock": lambda: bare,
        "LockByKey": lambda: LockByKey("vm-1"),
    }
    try:
        internal = oslo_internal()
        found["oslo internal"] = lambda: internal("vm-1")
    except ImportError:
        pass
    return found


def _medians(storms: dict[str, list[Storm]], what: str) -> dict[str, float]:
    return {who: median(getattr(each, what) for each in seen) for who, seen in storms.items()}


def _storm(hold: Callable[[], Any], seconds: float) -> Storm:
    start = threading.Barrier(THREADS + 1)
    waits: list[list[float]] = [[] for _ in range(THREADS)]
    over = False

    def storm(mine: list[float]) -> None:
        start.wait()
        while not over:
            asked = perf_counter()
            with hold():
                mine.append(perf_counter() - asked)

    threads = [threading.Thread(target=storm, args=(mine,)) for mine in waits]
    for thread in threads:
        thread.start()
    start.wait()
    # The first thread has the name to itself until the others come: that is not contention.
    threading.Event().wait(min(WARM_UP, seconds))
    begins = [len(mine) for mine in waits]
    began = perf_counter()
    threading.Event().wait(seconds)
    ends = [len(mine) for mine in waits]
    took = perf_counter() - began
    over = True
    for thread in threads:
        thread.join()
    waits = [mine[begin:end] for mine, begin, end in zip(waits, begins, ends, strict=True)]
    served = [len(mine) for mine in waits]
    everything = [wait for mine in waits for wait in mine]
    return Storm(
        rate=len(everything) / took,
        longest=max(everything),
        mean=fmean(everything),
        least=min(served),
        most=max(served),
    )
