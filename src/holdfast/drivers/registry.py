"""From a URL to its driver, by the entry points of group ``holdfast.drivers``.

Ours come in by the strangers' door, but for ``memory:``, which needs no look-up.
"""

from __future__ import annotations

from holdfast.drivers.base import Driver, OpenDriver, Options
from holdfast.errors import Unsupported

__all__ = ["open_driver"]

GROUP = "holdfast.drivers"


def open_driver(url: str | None, options: Options) -> Driver:
    """Open the lockspace at *url*; None is ``memory:``. Raises Unsupported for a foreign scheme."""
    scheme, colon, _ = (url or "memory:").partition(":")
    if not colon:
        raise Unsupported(f"{url!r} is no lockspace URL; write file:///some/dir or memory:")
    if scheme == "memory":
        from holdfast.drivers.memory import open_memory

        return open_memory(url or "", options)
    return _find(scheme)(url or "", options)


def _find(scheme: str) -> OpenDriver:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=scheme):
        opener: OpenDriver = entry.load()
        return opener
    known = ", ".join(sorted(entry.name for entry in entry_points(group=GROUP)))
    raise Unsupported(f"no driver for {scheme}: is installed; there are: {known}")
