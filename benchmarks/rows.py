"""All rows, in the order of the project's table of goals."""

from __future__ import annotations

from benchmarks import contention, in_files, in_memory, starting
from benchmarks.results import REGISTERED, Row

__all__ = ["ROWS"]

# Importing a module adds its rows.
MODULES = (in_memory, contention, in_files, starting)

ORDER = (
    "with", "mutex", "async", "threads",
    "file-free", "file-busy", "hand-over", "kill", "idle", "repair",
    "growth-memory", "growth-file", "import", "run",
)  # fmt: skip

ROWS: dict[str, Row] = {name: REGISTERED[name] for name in ORDER if name in REGISTERED}
