"""Exit statuses, and the one way in which the command line says that something went wrong."""

from __future__ import annotations

import sys
from contextlib import suppress

import click

__all__ = ["Failure", "complain"]

OTHER = 1
USAGE = 2
BUSY = 75  # EX_TEMPFAIL of sysexits.h: try again later
LOST = 76
NOT_EXECUTABLE = 126  # as a shell says it
NOT_FOUND = 127
SIGNALLED = 128  # + the signal's number
INTERRUPTED = SIGNALLED + 2


class Failure(click.ClickException):
    """A sentence for the user and the status to exit with."""

    def __init__(self, message: str, status: int = OTHER) -> None:
        super().__init__(message)
        self.status = status


def complain(sentence: str, status: int = OTHER) -> int:
    """Say it on stderr; the status, for whoever returns it."""
    with suppress(OSError):  # nobody listens; the status still tells
        if sys.stderr is not None:
            print(f"holdfast: {sentence}", file=sys.stderr, flush=True)
    return status
