"""How much is measured: enough for figures, or just enough to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "TINY", "Scale"]


@dataclass(frozen=True, slots=True)
class Scale:
    """Counts and durations of one run."""

    rounds: int
    """Turns of each contender, where each turn is short."""
    slot: float
    """Seconds of one such turn."""
    names: int
    """Names used one after the other, and held at the large end of growth in memory."""
    held_files: int
    """Names held at the large end of growth in a file."""
    storm: float
    """Seconds of one turn of eight threads on one name."""
    storms: int
    """Turns of each contender in that."""
    hand_over: float
    """Seconds of one turn of eight waiting processes."""
    hand_overs: int
    """Turns of each contender in that."""
    kills: int
    """Holders killed for each contender."""
    idle: float
    """Seconds for which waiters are watched."""
    starts: int
    """Processes started for each contender."""


FULL = Scale(
    rounds=41, slot=0.012, names=100_000, held_files=10_000, storm=2.0, storms=5,
    hand_over=2.5, hand_overs=5, kills=40, idle=3.0, starts=41,
)  # fmt: skip
QUICK = Scale(
    rounds=7, slot=0.004, names=20_000, held_files=1_000, storm=0.3, storms=3,
    hand_over=0.6, hand_overs=2, kills=6, idle=1.0, starts=7,
)  # fmt: skip
TINY = Scale(
    rounds=2, slot=0.0005, names=200, held_files=20, storm=0.02, storms=1,
    hand_over=0.1, hand_overs=1, kills=1, idle=0.1, starts=1,
)  # fmt: skip
