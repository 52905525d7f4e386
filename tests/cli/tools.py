"""Real processes through the installed script; waiting is for facts, never for seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from holdfast import Lockspace

T = TypeVar("T")

SCRIPT = str(Path(sys.executable).with_name("holdfast"))
PATIENCE = 30  # seconds: the end of a test that hangs, not a measurement


def until(fact: Callable[[], T], what: str) -> T:
    """Wait for *fact* to become true, and return it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = fact()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"never saw {what}")


def is_alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] != b"Z"


class HoldfastRunner:
    """The command line, on one lockspace; ends what it started."""

    def __init__(self, space: str, folder: Path) -> None:
        self.space = space
        self.folder = folder
        self.environment = {**os.environ, "HOLDFAST_SPACE": space}
        self._eyes: Lockspace | None = None
        self.started: list[subprocess.Popen[str]] = []

    def __call__(self, *args: object, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        return subprocess.run(
            [SCRIPT, *map(str, args)],
            **{"env": self.environment, "cwd": self.folder, "text": True, **PIPES, **more},
            timeout=PATIENCE,
            check=False,
        )

    def start(self, *args: object, **more: Any) -> subprocess.Popen[str]:
        """Start, in a process group of its own, as a shell with job control would."""
        process = subprocess.Popen(
            [SCRIPT, *map(str, args)],
            **{"env": self.environment, "cwd": self.folder, "text": True, **PIPES, **more},
            process_group=0,
        )
        self.started.append(process)
        return process

    def hold(self, *names: str, options: Iterable[object] = ()) -> subprocess.Popen[str]:
        """A holder whose command ends when its stdin does; returns once it holds."""
        holder = self.start("run", *options, *names, "--", "cat", stdin=subprocess.PIPE)
        for name in names:
            until(lambda name=name: self.held_by(holder.pid, name), f"{name} held")
        return holder

    def entries(self, prefix: str = "") -> list[dict[str, Any]]:
        """What ``ls --json`` says, without a process for each look."""
        if self._eyes is None:
            self._eyes = Lockspace(self.space, label="the test's eyes")
        return [each.as_dict() for each in self._eyes.snapshot(prefix)]

    def held_by(self, pid: int, name: str) -> dict[str, Any] | None:
        return self._find(pid, name, "held")

    def awaited_by(self, pid: int, name: str) -> dict[str, Any] | None:
        return self._find(pid, name, "waiting")

    def _find(self, pid: int, name: str, state: str) -> dict[str, Any] | None:
        for each in self.entries(name):
            if (each["name"], each["state"], each["owner"]["pid"]) == (name, state, pid):
                return each
        return None

    def is_free(self, name: str) -> bool:
        return name not in {each["name"] for each in self.entries(name)}

    def end_all(self) -> None:
        if self._eyes is not None:
            self._eyes.close()
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


PIPES = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def let_go(holder: subprocess.Popen[str]) -> None:
    """End the command of a holder, as :meth:`HoldfastRunner.hold` started it."""
    holder.stdin.close()
    holder.stdin = None  # so that communicate() does not flush it


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for its end: status, stdout, stderr."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def child_of(pid: int) -> int:
    """The process that a keeper keeps."""
    return until(lambda: children_of(pid), f"a child of {pid}")[0]


def children_of(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(each) for each in text.split()]


def read(path: Path) -> str:
    """What stands in it; "" while it is not there."""
    return path.read_text() if path.exists() else ""


def one_sentence(stderr: str) -> str:
    """The one line that an error may take, without its prefix."""
    lines = stderr.splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("holdfast: ")
    return lines[0].removeprefix("holdfast: ")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Frozen meanwhile, and known to be."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T", f"{pid} stopped")
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def state_of(pid: int) -> str:
    """R, S, T (stopped), Z ..., "" if it has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
