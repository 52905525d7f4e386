"""Functions of the interpreter itself, also in a process that eventlet or gevent has patched.

As :mod:`holdfast.native`, for what only this driver needs: a native thread must sleep natively.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

__all__ = ["epoll", "recursive_lock", "sleep"]


def _original(module: str, name: str) -> Any:
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None:
        return gevent.get_original(module, name)
    eventlet = sys.modules.get("eventlet.patcher")
    return getattr(eventlet.original(module) if eventlet else import_module(module), name)


sleep = _original("time", "sleep")
epoll = _original("select", "epoll")
recursive_lock = _original("_thread", "RLock")
