"""What ``holdfast doctor`` tries out about a directory and the host it is on."""

from __future__ import annotations

__all__ = ["probe"]


def probe(directory: str) -> list[tuple[str, bool, str]]:
    """(what, whether it is as it must be, what was found) for each thing that was tried."""
    return [("directory", True, directory)]
