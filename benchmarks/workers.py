"""What the other processes do. They are forked by a small server, so they start in milliseconds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic_ns, sleep
from typing import Any

from benchmarks.peers import FILE_PEERS
from benchmarks.results import Unavailable

__all__ = ["Worker", "crowd", "first_to_tell", "hold_for_ever", "start", "take_turns"]

PATIENCE = 60.0
"""Seconds after which a peer that does not hand over is given up."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process and the line to it."""

    process: BaseProcess
    line: Any

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.line.close()


def start(job: Any, *args: object) -> Worker:
    """Start *job(line, ...)* in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *_peer_modules()])
    ours, theirs = context.Pipe()
    process = context.Process(target=job, args=(theirs, *args), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours)


@contextmanager
def crowd() -> Iterator[list[Worker]]:
    """Workers that are ended at the end, whatever happened."""
    workers: list[Worker] = []
    try:
        yield workers
    finally:
        for each in workers:
            each.end()


def first_to_tell(workers: list[Worker]) -> tuple[Worker, Any]:
    """The next one that says something, and what."""
    ready = wait([each.line for each in workers], PATIENCE)
    if not ready:
        raise Unavailable(f"nobody got the lock within {PATIENCE:g} s")
    teller = next(each for each in workers if each.line is ready[0])
    return teller, teller.line.recv()


def hold_for_ever(line: Connection, who: str, folder: str) -> None:
    """Say "ready"; hold when it can be had, say when that was; be killed."""
    hold = FILE_PEERS[who](folder)
    line.send("ready")
    with hold():
        line.send(monotonic_ns())
        sleep(3600)


def take_turns(line: Connection, who: str, folder: str, seconds: float, body: float) -> None:
    """Hold again and again, each time for *body* seconds; tell when it asked, entered and left."""
    hold = FILE_PEERS[who](folder)
    with hold():
        pass
    line.send("ready")
    line.recv()
    seen: list[tuple[int, int, int]] = []
    end = monotonic_ns() + seconds * 1e9
    while monotonic_ns() < end:
        asked = monotonic_ns()
        with hold():
            entered = monotonic_ns()
            sleep(body)
            seen.append((asked, entered, monotonic_ns()))
    line.send(seen)


def _peer_modules() -> list[str]:
    """Loaded once by the server, so that a worker's own start costs nobody anything."""
    return ["fasteners", "filelock", "portalocker", "oslo_concurrency.lockutils"]
