"""Why a goal was not reached, in words: kept by hand, shown beside the row while it is not."""

from __future__ import annotations

__all__ = ["WHY"]

WHY: dict[str, str] = {}
