"""Who this process is: read once from the kernel, the same way by every driver."""

from __future__ import annotations

import os

from holdfast.locks.terms import Owner

__all__ = ["boot_id", "start_time", "this_process"]

MAX_COMMAND = 200


def this_process(label: str = "") -> Owner:
    """The owner that stands for the calling process."""
    pid = os.getpid()
    return Owner(os.uname().nodename, boot_id(), pid, start_time(pid), label, _command())


def boot_id() -> str:
    """The kernel's id of this boot; "" where ``/proc`` is not mounted."""
    try:
        return _read("/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:
        return ""


def start_time(pid: int) -> int:
    """When *pid* started, in clock ticks since boot; 0 if it is gone or hidden.

    Field 22 of ``/proc/PID/stat``; the command in field 2 may hold spaces and brackets.
    """
    try:
        stat = _read(f"/proc/{pid}/stat")
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[19])


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # not pathlib: it costs as much to import as all of ours
        return file.read()


def _command() -> str:
    try:
        raw = _read("/proc/self/cmdline")
    except OSError:
        return ""
    words = raw.decode(errors="replace").rstrip("\0").replace("\0", " ")
    return "".join(c if c.isprintable() else "?" for c in words)[:MAX_COMMAND]
