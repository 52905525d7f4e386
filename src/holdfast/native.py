"""The interpreter's own thread functions, also in a process that eventlet or gevent has patched.

A patched lock yields to other greenlets and does not exclude native threads; what guards a few
bytecodes of shared state must be a real one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

__all__ = ["allocate_lock", "get_ident", "start_new_thread"]


def _original(name: str) -> Callable[..., Any]:
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None:
        return cast("Callable[..., Any]", gevent.get_original("_thread", name))
    eventlet = sys.modules.get("eventlet.patcher")
    thread: Any = eventlet.original("_thread") if eventlet is not None else sys.modules["_thread"]
    return cast("Callable[..., Any]", getattr(thread, name))


allocate_lock = _original("allocate_lock")
get_ident = _original("get_ident")
start_new_thread = _original("start_new_thread")
