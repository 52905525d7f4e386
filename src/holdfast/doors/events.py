"""What happens in a lockspace, for logs, metrics and dashboards to subscribe to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

__all__ = ["Event", "Kind", "Listener"]

Kind = Literal["asked", "granted", "gave up", "released", "lost", "broken"]
"""An ask is asked, then granted or given up (time-out, cancellation); a grant ends released or
lost. Whoever breaks somebody's grant sees broken, the one who held it lost."""


class Event(NamedTuple):
    """One thing that happened to one ask of this process. ``at``: epoch seconds."""

    kind: Kind
    names: tuple[str, ...]
    id: str
    at: float


Listener = Callable[[Event], object]
