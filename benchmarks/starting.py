"""What starting costs: ``import holdfast``, and a command under a lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import perf_counter_ns

from benchmarks.machine import folder
from benchmarks.measure import Samples, Spread, turns
from benchmarks.peers import open_file_space
from benchmarks.results import Figure, Panel, Result, Unavailable, row
from benchmarks.scale import Scale

BARE = "bare Python"
CPU_TIME = ", CPU time"


@row("import", "`import holdfast` over bare Python")
def importing(scale: Scale, result: Result) -> None:
    modules = {"holdfast": "holdfast", "asyncio": "asyncio", "fasteners": "fasteners",
               "filelock": "filelock", "portalocker": "portalocker",
               "oslo": "oslo_concurrency.lockutils"}  # fmt: skip
    commands = {BARE: [sys.executable, "-c", "pass"]}
    with _compiled() as environment:
        for who, module in modules.items():
            command = [sys.executable, "-c", f"import {module}"]
            if _tried(command, environment).returncode == 0:
                commands[who] = command
        if "holdfast" not in commands:
            raise Unavailable("`import holdfast` fails")
        samples = _alternate(commands, scale.starts, environment)
    over = {who: _over(samples[who], samples[BARE]) for who in commands if who != BARE}
    result.figures.append(Figure("more than bare", Spread.of(over["holdfast"]), "ms", 15))
    spent = _over(samples["holdfast" + CPU_TIME], samples[BARE + CPU_TIME])
    result.figures.append(Figure("the same in CPU time", Spread.of(spent), "ms"))
    values = {who: median(each) for who, each in over.items()}
    result.panels.append(Panel("import, more than bare Python", "ms", values))
    result.notes.append(f"bare Python: {median(samples[BARE]) / 1e6:.1f} ms")


@row("run", "`holdfast run NAME -- true`")
def running(scale: Scale, result: Result) -> None:
    with folder() as path, _compiled() as environment:
        open_file_space(os.path.join(path, "space")).close()
        space = f"file://{path}/space"
        script = os.path.join(os.path.dirname(sys.executable), "holdfast")
        program = [sys.executable, "-c", "from holdfast.cli.main import main; main()"]
        ours = [script] if os.access(script, os.X_OK) else program
        commands = {
            "holdfast run": [*ours, "run", "--space", space, "vm-1", "--", "true"],
            BARE: [sys.executable, "-c", "pass"],
        }
        if shutil.which("flock"):
            commands["flock(1)"] = ["flock", f"{path}/flock", "true"]
        tried = _tried(commands["holdfast run"], environment)
        if tried.returncode != 0:
            raise Unavailable(f"`holdfast run` ends with {tried.returncode}: {_last(tried.stderr)}")
        samples = _alternate(commands, scale.starts, environment)
    spread = Spread.of(samples["holdfast run"]).times(1e-6)
    result.figures.append(Figure("wall time", spread, "ms", 120))
    spent = Spread.of(samples["holdfast run" + CPU_TIME]).times(1e-6)
    result.figures.append(Figure("CPU time", spent, "ms"))
    values = {who: median(samples[who]) / 1e6 for who in commands}
    result.panels.append(Panel("holdfast run NAME -- true", "ms", values))


@contextmanager
def _compiled() -> Iterator[dict[str, str]]:
    """An environment in which modules are compiled once, as they are where holdfast is installed,
    whatever this process was told about writing them down."""
    with folder() as path:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": path}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        yield environment


def _tried(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Once before it counts; this also compiles what it imports."""
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def _alternate(commands: dict[str, list[str]], rounds: int, environment: dict[str, str]) -> Samples:
    """Wall time of each, and its CPU time, which others on the machine disturb less."""
    samples: Samples = {who: [] for each in commands for who in (each, each + CPU_TIME)}
    for command in commands.values():
        _tried(command, environment)
    for order in turns(list(commands), rounds):
        for who in order:
            start, before = perf_counter_ns(), getrusage(RUSAGE_CHILDREN)
            subprocess.run(commands[who], capture_output=True, check=True, env=environment)
            samples[who].append(float(perf_counter_ns() - start))
            after = getrusage(RUSAGE_CHILDREN)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            samples[who + CPU_TIME].append(spent * 1e9)
    return samples


def _over(values: list[float], others: list[float]) -> list[float]:
    """How many milliseconds more, round by round."""
    return [(a - b) / 1e6 for a, b in zip(values, others, strict=True)]


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "without a word"
