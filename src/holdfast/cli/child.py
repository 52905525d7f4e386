"""The process that becomes the command.

It is forked before anything else happens: at that moment the keeper has one thread and no
lockspace, so the fork is safe and, unlike ``preexec_fn``, may run Python. Then it waits on a
socket. A word on it, with the liveness descriptor, means that the locks are held: it becomes the
command. An end without a word means that there is nothing to run.

It asks the kernel for a SIGTERM at its keeper's death (PR_SET_PDEATHSIG). That is tied to the
keeper's *thread*, hence the fork from the main one, which lives as long as the process does. The
kernel forgets it when the command changes its user (setuid, file capabilities).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn

from holdfast.cli.failure import NOT_EXECUTABLE, NOT_FOUND, Failure, complain

__all__ = ["Child", "find", "fork"]

PR_SET_PDEATHSIG = 1
# Scripts use 3 to 9 and 200 by hand, bash 10 and up and 63 and down; here nobody looks.
FIRST_DESCRIPTOR = 100


def find(command: str) -> str:
    """The path of the program. Raises Failure with the status that a shell would exit with.

    Looked up before the wait for the lock: an hour later is too late to hear of a typing error.
    """
    there = [path for path in _candidates(command) if os.path.exists(path)]
    for path in there:
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    if there:
        why = "is a directory" if os.path.isdir(there[0]) else "may not be executed"
        raise Failure(f"{there[0]!r} {why}", NOT_EXECUTABLE)
    raise Failure(f"command not found: {command!r}", NOT_FOUND)


def _candidates(command: str) -> list[str]:
    if "/" in command:
        return [command]
    return [os.path.join(folder, command) for folder in os.get_exec_path()] if command else []


class Child:
    """The keeper's side: the process, and the socket on which it awaits its word."""

    def __init__(self, pid: int, word: socket.socket) -> None:
        self.pid = pid
        self._word = word

    def go(self, environment: Mapping[str, str], liveness: int | None) -> None:
        """Become the command, with these variables and this descriptor."""
        message = json.dumps(dict(environment)).encode()
        descriptors = [] if liveness is None else [liveness]
        with suppress(BrokenPipeError), self._word:  # killed while it waited: its status tells
            sent = socket.send_fds(self._word, [message], descriptors)
            self._word.sendall(message[sent:])

    def give_up(self) -> None:
        """There is nothing to run."""
        self._word.close()
        with suppress(ProcessLookupError, ChildProcessError):  # it has ended and was waited for
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def signal(self, number: int) -> None:
        """Send it a signal; harmless if it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


def fork(path: str, command: list[str], mask: set[int]) -> Child:
    """The process that will run *command*, with the signal *mask* that the keeper started with."""
    keeper = os.getpid()
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            _live(keeper, theirs, path, command, mask)
        except BaseException as error:  # whatever it is, this process must not go on as a keeper
            complain(f"cannot run {path!r}: {error}")
        finally:
            os._exit(NOT_EXECUTABLE)
    theirs.close()
    return Child(pid, ours)


def _live(
    keeper: int, word: socket.socket, path: str, command: list[str], mask: set[int]
) -> NoReturn:
    _end_with(keeper)
    _as_before_python(mask)
    told = _hear(word)
    if told is None:
        os._exit(0)
    environment = {key: each for key, each in os.environ.items() if key not in TOKEN_VARIABLES}
    _become(path, command, environment | told)


TOKEN_VARIABLES = ("HOLDFAST_TOKEN", "HOLDFAST_TOKENS")


def _end_with(keeper: int) -> None:
    import ctypes  # here, beside the keeper, which opens its lockspace meanwhile

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0):
        complain(f"the command will outlive its keeper: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != keeper:
        os._exit(0)  # the keeper died before the kernel knew


def _as_before_python(mask: set[int]) -> None:
    """Undo what Python did to signals at its start, so that the command finds a shell's world."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _hear(word: socket.socket) -> dict[str, str] | None:
    """The variables for the command; None if the keeper ended or was killed half-way."""
    message, descriptors, _, _ = socket.recv_fds(word, 65536, 1)
    while more := word.recv(65536):
        message += more
    for descriptor in descriptors:
        fcntl.fcntl(descriptor, fcntl.F_DUPFD, FIRST_DESCRIPTOR)  # not close-on-exec, on purpose
        os.close(descriptor)
    try:
        told: dict[str, str] = json.loads(message)
    except ValueError:
        return None
    return told


def _become(path: str, command: list[str], environment: dict[str, str]) -> NoReturn:
    try:
        os.execve(path, command, environment)  # noqa: S606 - the user's command
    except OSError as error:
        if error.errno == errno.ENOEXEC:  # a script without #!: the shell's, as execvp(3) says
            shell = ["/bin/sh", path, *command[1:]]
            os.execve(shell[0], shell, environment)  # noqa: S606 - the same
        if error.errno == errno.ENOENT and os.path.exists(path):
            os._exit(complain(f"cannot run {path!r}: its interpreter was not found", NOT_FOUND))
        status = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
        os._exit(complain(f"cannot run {path!r}: {error.strerror}", status))
