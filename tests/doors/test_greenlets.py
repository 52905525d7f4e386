"""Greenlets of eventlet and gevent: patched before or after holdfast is imported, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("green.py")
WHATS = (
    "greenlets",
    "spawned_without_a_thread",
    "with_native_threads",
    "with_the_thread_pool",
    "hub_runs_while_one_waits",
    "time_outs",
    "killed_while_waiting",
    "main_waits_for_a_greenlet",
    "circles",
    "mutexes",
    "many_time_outs",
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["eventlet", "gevent"])
@pytest.mark.parametrize("when", ["before", "after", "unpatched"])
def test_greenlets_and_threads_in_one_queue(kind, when):
    failed = [text for what in WHATS if (text := outcome(kind, when, what))]
    assert not failed, "\n".join(failed)


def outcome(kind: str, when: str, what: str) -> str:
    """What went wrong in a process of its own; "" if nothing did."""
    words = [sys.executable, "-W", "ignore", str(PROGRAM), kind, when, what]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired as late:
        return f"{kind} {when} {what}: hangs\n{late.stderr!r}"
    if done.returncode or done.stderr:
        return f"{kind} {when} {what}: status {done.returncode}\n{done.stderr}"
    return ""
