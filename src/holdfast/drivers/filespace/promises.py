"""What ``file:`` promises; :mod:`holdfast.testing` and tests/crash prove it."""

from __future__ import annotations

from holdfast.drivers.base import Guarantees
from holdfast.drivers.filespace.mutex import STUCK_AFTER

__all__ = ["GUARANTEES"]

GUARANTEES = Guarantees(
    reach="host",
    fifo=True,
    fenced=True,
    takeover=0.0,
    survives=frozenset({"holder", "restart", "reboot"}),
    limits=(
        "It reaches one host, containers that share the directory included.",
        (
            "A process that is stopped (SIGSTOP, a frozen cgroup) inside the file's mutex stops the"
            f" lockspace: after {STUCK_AFTER:g} s asks fail with DriverError, which names it, those"
            " with a shorter time-out too; releases are finished when it goes on or dies."
        ),
        "A stopped process that holds a lock keeps it: that is not a death.",
        "Whoever may write in the directory may break every lock in it.",
        (
            "If the directory is removed tokens begin anew above the clock: they grow only if it"
            " was not set back."
        ),
        (
            "A lock of `holdfast run` lasts until the keeper and all children that inherited its"
            " liveness descriptor are gone."
        ),
    ),
)
