"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from shutil import rmtree

__all__ = ["describe", "folder", "load"]

PACKAGES = ("fasteners", "filelock", "portalocker", "oslo.concurrency", "aiorwlock")


def describe() -> dict[str, str]:
    """The machine, the Python and the peers, in words."""
    return {
        "CPU": f"{_cpu()}, {os.cpu_count()} of them",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {_build()}",
        "load": f"{load()} before the run",
        "files": f"{_files()} ({_file_system(_files())})",
        "peers": ", ".join(f"{each} {_version(each)}" for each in PACKAGES),
    }


def load() -> str:
    """How many wanted to run, on average over 1, 5 and 15 minutes."""
    return " ".join(f"{each:.2f}" for each in os.getloadavg())


@contextmanager
def folder() -> Iterator[str]:
    """A new folder for lock files, in memory where there is such a place, as /run is."""
    path = tempfile.mkdtemp(prefix="holdfast-bench-", dir=_files())
    try:
        yield path
    finally:
        rmtree(path, ignore_errors=True)


def _files() -> str:
    shm = "/dev/shm"
    return shm if os.access(shm, os.W_OK | os.X_OK) else tempfile.gettempdir()


def _file_system(path: str) -> str:
    best = ("", "unknown")
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, at, kind, *_ = line.split()
            if (path == at or path.startswith(at.rstrip("/") + "/")) and len(at) > len(best[0]):
                best = (at, kind)
    return best[1]


def _cpu() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.machine()


def _build() -> str:
    """Whether this Python was built with profile-guided optimisation; it matters to the ratios."""
    how = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    optimised = "optimised (PGO)" if "--enable-optimizations" in how else "not optimised (no PGO)"
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    return optimised + ("" if has_gil else ", no GIL")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
