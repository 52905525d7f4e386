"""From a URL to its driver, by the entry points of group ``holdfast.drivers``.

Ours are declared there like a stranger's; a test holds them to it. But looking entry points up
costs 45 ms, and ``holdfast run`` waits for it, so ours are also known here by heart.
"""

from __future__ import annotations

from importlib import import_module

from holdfast.drivers.base import Driver, OpenDriver, Options
from holdfast.errors import DriverError, Unsupported

__all__ = ["OURS", "open_driver"]

GROUP = "holdfast.drivers"
OURS = {
    "memory": "holdfast.drivers.memory:open_memory",
    "file": "holdfast.drivers.file:open_file",
}


def open_driver(url: str | None, options: Options) -> Driver:
    """Open the lockspace at *url*; None is ``memory:``.

    Raises Unsupported for a scheme that no installed driver knows, DriverError for a driver that
    cannot be imported.
    """
    url = url or "memory:"
    scheme, colon, _ = url.partition(":")
    if not colon:
        raise Unsupported(f"{url!r} is no lockspace URL; write file:///some/dir or memory:")
    return _find(scheme)(url, options)


def _find(scheme: str) -> OpenDriver:
    if scheme in OURS:
        module, _, name = OURS[scheme].partition(":")
        ours: OpenDriver = getattr(import_module(module), name)
        return ours
    return _find_strangers(scheme)


def _find_strangers(scheme: str) -> OpenDriver:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=scheme):
        try:
            opener: OpenDriver = entry.load()
        except (ImportError, AttributeError) as error:
            raise DriverError(
                f"the driver for {scheme}: is declared as {entry.value}, which fails: {error}; "
                "install what it needs"
            ) from error
        return opener
    known = ", ".join(sorted({*OURS, *(entry.name for entry in entry_points(group=GROUP))}))
    raise Unsupported(f"no driver for {scheme}: is installed; there are: {known}")
