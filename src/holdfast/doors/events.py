"""What happens in a lockspace, for logs, metrics and dashboards to subscribe to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Event", "Listener"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one ask of this process. ``at``: epoch seconds."""

    kind: Literal["asked", "granted", "lost", "released", "broken"]
    names: tuple[str, ...]
    id: str
    at: float


Listener = Callable[[Event], object]
