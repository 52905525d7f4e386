"""holdfast: one lock manager for everything that a virtual-machine host must not do twice."""

from holdfast.doors.ask import Ask
from holdfast.doors.grant import Grant
from holdfast.doors.mutex import Mutex
from holdfast.drivers.base import Guarantees
from holdfast.errors import (
    BadName,
    Closed,
    Deadlock,
    DriverError,
    HoldfastError,
    LockBusy,
    LockLost,
    LockTimeout,
    NotHeld,
    Unsupported,
)
from holdfast.locks.terms import EXCLUSIVE, SHARED, Holder, Mode, Owner, Waiter, group, slots
from holdfast.lockspace import Lockspace

__version__ = "0.1.0"

__all__ = [
    "EXCLUSIVE",
    "SHARED",
    "Ask",
    "BadName",
    "Closed",
    "Deadlock",
    "DriverError",
    "Grant",
    "Guarantees",
    "Holder",
    "HoldfastError",
    "LockBusy",
    "LockLost",
    "LockTimeout",
    "Lockspace",
    "Mode",
    "Mutex",
    "NotHeld",
    "Owner",
    "Unsupported",
    "Waiter",
    "group",
    "slots",
]
