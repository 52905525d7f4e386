"""Alternating rounds, ratios of rounds, medians."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter_ns, thread_time_ns

from benchmarks.scale import Scale

__all__ = [
    "CPU",
    "WALL",
    "Loop",
    "Samples",
    "Spread",
    "alternate",
    "medians",
    "percentile",
    "ratio",
    "turns",
]

Loop = Callable[[int], object]
"""Does the thing that many times."""

Samples = dict[str, list[float]]
"""Nanoseconds for one time, of each contender in each round."""

CPU = thread_time_ns
WALL = perf_counter_ns


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and between which values half of the rounds lay."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, middle, high = quantiles(values, n=4, method="inclusive")
        return cls(middle, low, high)

    def times(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.low * factor, self.high * factor)


def alternate(
    loops: Mapping[str, Loop],
    scale: Scale,
    clock: Callable[[], int] = CPU,
    beside: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Samples:
    """Each contender takes its turn in each round; the order changes from round to round.

    *beside* is entered around each turn; the clock does not see the entering and leaving.
    """
    with beside():
        counts = {who: _count_for(loop, scale.slot, clock) for who, loop in loops.items()}
    samples: Samples = {who: [] for who in loops}
    for order in turns(list(loops), scale.rounds):
        for who in order:
            with beside():
                samples[who].append(_timed(loops[who], counts[who], clock) / counts[who])
    return samples


def turns(contenders: list[str], rounds: int) -> Iterator[list[str]]:
    """The order of each round: each contender goes first as often, forwards and backwards."""
    for each in range(rounds):
        at = each % len(contenders)
        order = contenders[at:] + contenders[:at]
        yield order if each % 2 else order[::-1]


def ratio(samples: Samples, who: str, to: str) -> Spread:
    """*who* over *to*, round by round."""
    return Spread.of([a / b for a, b in zip(samples[who], samples[to], strict=True)])


def medians(samples: Samples) -> dict[str, float]:
    """The median of each contender."""
    return {who: median(values) for who, values in samples.items()}


def percentile(values: list[float], part: float) -> float:
    """The smallest value that *part* of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _timed(loop: Loop, count: int, clock: Callable[[], int]) -> int:
    start = clock()
    loop(count)
    return clock() - start


def _count_for(loop: Loop, slot: float, clock: Callable[[], int]) -> int:
    """How often fits into *slot* seconds; the trial also warms up."""
    count = 1
    while (took := _timed(loop, count, clock)) < slot * 1e9 / 4 and count < 10_000_000:
        count *= 4
    return max(1, int(count * slot * 1e9 / max(took, 1)))
