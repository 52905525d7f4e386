"""Imports go down only; the floors are those of docs/reading-order.md."""

from __future__ import annotations

import tomllib

import pytest

from tests.house.source import ROOT, Module, modules, names_of_modules

FLOORS: list[set[str]] = [
    {"holdfast.errors", "holdfast.native"},  # words, and the interpreter's own
    {"holdfast.locks", "holdfast.wire"},  # law
    {"holdfast.drivers"},  # keepers
    {"holdfast.doors"},  # threads, greenlets, asyncio, and the one face over them
    {"holdfast"},  # what a user imports
    {"holdfast.testing"},  # what a driver's author imports
    {"holdfast.guard", "holdfast.images", "holdfast.uploads", "holdfast.tasks"},  # strangers
    {"holdfast.cli", "holdfast.web", "holdfast.daemon"},  # service
    {"holdfast.__main__"},  # python -m holdfast
]
# The face is made of the doors, and the doors know their lockspace: one room, in two places.
SAME_ROOM = {"holdfast.lockspace": "holdfast.doors"}
PARTS, SERVICE = FLOORS[-3], FLOORS[-2]
WIRES_PARTS = {"holdfast.cli", "holdfast.daemon"}

# The law is pure: these would give it a clock, a thread, a file or a socket.
IMPURE = {
    *("asyncio", "concurrent", "fcntl", "io", "mmap", "multiprocessing", "os", "pathlib"),
    *("random", "select", "selectors", "signal", "socket", "ssl", "subprocess", "tempfile"),
    *("threading", "time", "_thread"),
}
PURE = ("holdfast.locks", "holdfast.wire")
ALLOWED = {
    ("holdfast.locks.terms", "time"): "the age of a holder, in a sentence that people read",
}

# Nothing that an application must bring, or that talks to another host, below the parts.
NETWORK_AND_METRICS = {
    *(
        "http",
        "ssl",
        "urllib.request",
        "xmlrpc",
        "socketserver",
        "requests",
        "httpx",
        "aiohttp",
        "grpc",
    ),
    *("prometheus_client", "opentelemetry", "statsd", "click", "rich"),
}
CORE = ("errors", "native", "locks", "wire", "drivers", "doors", "lockspace")


def room_of(name: str) -> str:
    """The room that a module belongs to: the longest entry of FLOORS that it lies in."""
    if name in SAME_ROOM:
        return SAME_ROOM[name]
    rooms = [room for floor in FLOORS for room in floor if f"{name}.".startswith(f"{room}.")]
    return max(rooms, key=len)


def floor_of(room: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if room in floor)


def own_imports(module: Module) -> list[tuple[str, int]]:
    """The modules of ours that it imports: ``from package import module`` counts as the module."""
    known = names_of_modules()
    found = []
    for target, name, line in module.imports():
        full = f"{target}.{name}" if f"{target}.{name}" in known else target
        if full.split(".")[0] == "holdfast":
            found.append((full, line))
    return found


def all_own_imports() -> list[tuple[str, str, int]]:
    return [(each.name, *found) for each in modules() for found in own_imports(each)]


def drivers_by_entry_point() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {each.partition(":")[0] for each in project["entry-points"]["holdfast.drivers"].values()}


def driver_of(module: str, drivers: set[str]) -> str | None:
    """The driver that a module is, or is part of: ``file_pages`` belongs to ``file``."""
    return next(
        (each for each in drivers if f"{module}.".startswith((each + ".", each + "_"))), None
    )


def test_each_module_has_a_floor():
    """`holdfast` itself is on a floor, so a new module directly below it must be given one."""
    homeless = [each.name for each in modules() if room_of(each.name) == "holdfast" != each.name]
    assert not homeless, (
        f"say in FLOORS, and in docs/reading-order.md, where these live: {homeless}"
    )


def test_imports_go_down_only():
    up = [
        f"{importer}:{line} imports {target}, which is on a floor above"
        for importer, target, line in all_own_imports()
        if floor_of(room_of(target)) > floor_of(room_of(importer))
    ]
    assert not up, "\n".join(up)


def test_rooms_on_one_floor_do_not_import_each_other():
    across = [
        f"{importer}:{line} imports its neighbour {target}"
        for importer, target, line in all_own_imports()
        if room_of(target) != room_of(importer)
        and floor_of(room_of(target)) == floor_of(room_of(importer))
    ]
    assert not across, "\n".join(across)


def test_only_the_command_line_and_the_daemon_wire_parts_together():
    wired = [
        f"{importer}:{line} imports the part {target}"
        for importer, target, line in all_own_imports()
        if room_of(importer) in SERVICE - WIRES_PARTS and room_of(target) in PARTS
    ]
    assert not wired, "\n".join(wired)


def test_drivers_do_not_import_each_other():
    """What two of them share is no driver itself, and so a module of its own."""
    drivers = drivers_by_entry_point()
    shared = [
        f"{importer}:{line} imports the driver {target}"
        for importer, target, line in all_own_imports()
        if driver_of(importer, drivers)
        and target in drivers
        and driver_of(importer, drivers) != target
    ]
    assert not shared, "\n".join(shared)


@pytest.mark.parametrize("module", modules(), ids=lambda each: each.name)
def test_the_law_is_pure(module: Module):
    if not f"{module.name}.".startswith(tuple(f"{room}." for room in PURE)):
        return
    impure = [
        f"{module.name}:{line} imports {target}"
        for target, _, line in module.imports()
        if target.split(".")[0] in IMPURE and (module.name, target) not in ALLOWED
    ]
    assert not impure, "\n".join(impure)


def test_the_core_imports_no_network_no_metrics_and_no_terminal():
    found = [
        f"{module.name}:{line} imports {target}"
        for module in modules()
        if room_of(module.name).removeprefix("holdfast.") in CORE
        for target, _, line in module.imports()
        if {target, target.split(".")[0]} & NETWORK_AND_METRICS
    ]
    assert not found, "\n".join(found)


def test_a_sideways_import_would_be_found():
    """The rules above can fail: they are shown an import of each wrong kind."""
    assert floor_of(room_of("holdfast.lockspace")) > floor_of(room_of("holdfast.drivers.file"))
    assert room_of("holdfast.images.cache") != room_of("holdfast.guard.plan")
    assert floor_of("holdfast.images") == floor_of("holdfast.guard")
    assert room_of("holdfast.brand_new") == "holdfast"
