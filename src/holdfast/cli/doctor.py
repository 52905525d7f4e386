"""``holdfast doctor``: what a lockspace can promise on this host, by trying it."""

from __future__ import annotations

import json as codec
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import click

from holdfast.cli.failure import OTHER
from holdfast.cli.space import open_space, space_option
from holdfast.cli.tables import Table, show
from holdfast.cli.words import shown_as_is
from holdfast.drivers.base import Guarantees
from holdfast.errors import HoldfastError

__all__ = ["Check", "doctor"]

FORMAT_VERSION = 1


class Check(NamedTuple):
    """What was tried, whether it went well, and what was seen."""

    check: str
    ok: bool
    detail: str


@click.command(
    "doctor",
    epilog=shown_as_is("""
    Examples:
      holdfast doctor
      holdfast doctor --space file:///var/lib/app/locks --json

    Exit status:
      0  all is well; 1  a check failed: do not rely on this lockspace
    """),
)
@space_option
@click.option("--json", "json", is_flag=True, help="For programs.")
def doctor(*, space: str, json: bool) -> int:
    """Test what a lockspace really does here, and say what it promises and what it cannot.

    A directory's file system is not trusted to lock: processes are started that try it.
    """
    opening, guarantees = _open(space)  # first: who uses a lockspace makes its directory
    checks = [*_probe(space), opening]
    if json:
        print(codec.dumps(_record(space, checks, guarantees), ensure_ascii=False))
    else:
        _print(space, checks, guarantees)
    return 0 if all(each.ok for each in checks) else OTHER


def _probe(space: str) -> list[Check]:
    """Try what the driver stands on; an engine that brings its own proof has nothing to try."""
    url = urlsplit(space)
    if url.scheme != "file":
        return []
    from holdfast.drivers.file import probe

    try:
        return [Check(*each) for each in probe(unquote(url.path))]
    except (HoldfastError, OSError) as error:
        return [Check("directory", False, str(error))]


def _open(space: str) -> tuple[Check, Guarantees | None]:
    try:
        with open_space(space, "doctor") as locks:
            return Check("open", True, f"{space} can be used"), locks.guarantees
    except (HoldfastError, OSError, click.ClickException) as error:
        return Check("open", False, str(error)), None


def _record(
    space: str, checks: Sequence[Check], guarantees: Guarantees | None
) -> dict[str, object]:
    return {
        "version": FORMAT_VERSION,
        "space": space,
        "checks": [each._asdict() for each in checks],
        "guarantees": _in_json(guarantees) if guarantees else None,
    }


def _in_json(guarantees: Guarantees) -> dict[str, object]:
    fields = guarantees._asdict()
    return {
        key: sorted(each) if isinstance(each, frozenset) else each for key, each in fields.items()
    }


def _print(space: str, checks: Sequence[Check], guarantees: Guarantees | None) -> None:
    rows = [(each.check, "ok" if each.ok else "FAILED", each.detail) for each in checks]
    below = ["", *_promises(guarantees)] if guarantees else []
    if not all(each.ok for each in checks):
        below += ["", f"Do not rely on {space}: a check failed."]
    show(Table(("CHECK", "RESULT", "SEEN"), rows, below))


def _promises(guarantees: Guarantees) -> list[str]:
    """The guarantees as sentences, then the limits."""
    lines = [f"Excludes each other: the users of one {guarantees.reach}."]
    lines.append(f"Modes: {', '.join(sorted(guarantees.modes))}.")
    lines.append(_yes(guarantees.several_names, "Several names, all or none"))
    lines.append(_yes(guarantees.fifo, "Served in order of arrival"))
    lines.append(_yes(guarantees.fenced, "Fencing tokens that only grow"))
    lines.append(f"Survives: {', '.join(sorted(guarantees.survives)) or 'nothing'}.")
    lines.append(_takeover(guarantees.takeover))
    return [*lines, *(f"Limit: {each}" for each in guarantees.limits)]


def _yes(promised: bool, what: str) -> str:
    return f"{what}: {'yes' if promised else 'no'}."


def _takeover(seconds: float | None) -> str:
    if seconds is None:
        return "After the death of a holder: no bound."
    return f"After the death of a holder: {'at once' if not seconds else f'within {seconds:g} s'}."
