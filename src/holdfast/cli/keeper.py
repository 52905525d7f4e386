"""The keeper: asks for the locks, lets the command live under them, and passes signals on.

All signals are blocked from the start; the main thread takes them one at a time (``sigwaitinfo``)
and is the only one that acts. Nothing is ever interrupted half-way, and there is no handler. The
threads that it starts, the drivers' among them, inherit the blocked mask. Whatever else happens (a
grant, a loss) is told to it by a SIGCHLD to itself, after which it looks around.

Keeper and command share a process group, as with ``env`` or ``nice``, so a pipeline stays one job
and the terminal reaches both. What the kernel sends for the terminal (si_code above 0) has
therefore reached the command already and is not passed on; what somebody sends to the keeper with
kill(2) is, unless it comes from the command's own processes, which may well signal their group.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Literal

from holdfast.cli.child import Child
from holdfast.cli.failure import LOST, SIGNALLED, complain
from holdfast.cli.family import adopt_orphans, descends_from, signal_descendants
from holdfast.errors import HoldfastError, LockLost, NotHeld, Unsupported

if TYPE_CHECKING:
    from holdfast import Grant, Lockspace

__all__ = ["Keeper", "OnLost", "block_signals"]

OnLost = Literal["term", "kill", "ignore"]

AGAIN = 0.1  # seconds between two rounds of SIGKILL, for what was forked in between

# Never blocked: a fault of the process itself, what cannot be blocked, and the stops of a terminal
# for a background job, which the kernel sends to the whole group.
OWN = {
    *(signal.SIGKILL, signal.SIGSTOP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE),
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS),
    *(signal.SIGABRT, signal.SIGXCPU, signal.SIGXFSZ),
}
# These do not end a process that did not ask for them, so they do not end a wait.
HARMLESS = {signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH, signal.SIGURG}
PATIENT = HARMLESS | {signal.SIGTSTP}


def block_signals() -> tuple[set[int], set[int]]:
    """Block what a keeper passes on; that set, and the mask as it was.

    What was ignored at the start (``nohup``) stays ignored, here and in the command; but for
    SIGCHLD: if that is ignored, the kernel reaps the command and its status with it.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    wanted = signal.valid_signals() - OWN
    mine = {int(each) for each in wanted if signal.getsignal(each) is not signal.SIG_IGN}
    return mine, {int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, mine)}


class Keeper:
    """One command under its locks, from the ask to the release."""

    def __init__(self, child: Child, signals: set[int], on_lost: OnLost, grace: float) -> None:
        self._child = child
        self._signals = signals
        self._on_lost = on_lost
        self._grace = grace
        self._locks: Lockspace | None = None
        self._grant: Grant | None = None
        self._failed: BaseException | None = None
        self._lost: LockLost | None = None
        self._started = False  # the command was told to go
        self._ending = False  # its end was ordered, because the lock was lost
        self._kill_at: float | None = None
        self._released = False
        self._status: int | None = None  # the command's, once it has ended

    def keep(self, open_: Callable[[], Lockspace], ask: Callable[[Lockspace], Grant]) -> int:
        """Hold what *ask* acquires while the command runs; the status to exit with."""
        threading.Thread(target=self._acquire, args=(open_, ask), daemon=True).start()
        try:
            status = None
            while status is None:
                status = self._turn(self._next_signal())
        finally:
            self._let_go()
        return LOST if self._lost else status

    def _acquire(self, open_: Callable[[], Lockspace], ask: Callable[[Lockspace], Grant]) -> None:
        """In a thread of its own, so that a signal is heard while this waits."""
        try:
            self._locks = open_()
            self._grant = ask(self._locks)
        except BaseException as error:
            self._failed = error
        self._look()

    def _look(self) -> None:
        """Wake the main thread, from any other."""
        os.kill(os.getpid(), signal.SIGCHLD)

    def _next_signal(self) -> signal.struct_siginfo | None:
        """The next signal; None when it is time to kill."""
        if self._kill_at is None:
            return signal.sigwaitinfo(self._signals)
        return signal.sigtimedwait(self._signals, max(0.0, self._kill_at - monotonic()))

    def _turn(self, info: signal.struct_siginfo | None) -> int | None:
        """One step; the exit status once there is one."""
        if info is None:
            self._kill()
        elif info.si_signo == signal.SIGTSTP:
            self._stop(info)
        elif self._started:
            self._pass_on(info)
        elif info.si_signo not in HARMLESS:
            return SIGNALLED + info.si_signo
        return self._look_around()

    def _look_around(self) -> int | None:
        """What a SIGCHLD may stand for: a grant, a failure, a loss, the command's end or stop."""
        if self._failed is not None:
            raise self._failed
        if self._grant is not None and not self._started:
            self._start(self._grant)
        if self._lost is not None and not self._ending:
            self._end_command(self._lost)
        return self._reap()

    def _start(self, grant: Grant) -> None:
        assert self._locks is not None
        grant.on_lost(self._note_loss)
        if self._lost is not None:
            raise self._lost
        self._child.go(_environment(grant), _liveness(self._locks))
        self._started = True

    def _note_loss(self, error: LockLost) -> None:
        """From the session's thread."""
        self._lost = error
        self._look()

    def _end_command(self, error: LockLost) -> None:
        self._ending = True
        if self._on_lost == "ignore":
            complain(f"{error}; the command runs on without it, as --on-lost=ignore says")
            return
        adopt_orphans()
        if self._on_lost == "kill":
            complain(f"{error}; killing the command")
            self._kill()
        else:
            complain(f"{error}; ending the command, which is killed after {self._grace:g} s")
            signal_descendants(signal.SIGTERM)
            self._kill_at = monotonic() + self._grace

    def _kill(self) -> None:
        """All of them, again and again: one that forks at this moment is met in the next round."""
        signal_descendants(signal.SIGKILL)
        self._kill_at = monotonic() + AGAIN

    def _reap(self) -> int | None:
        """Note who ended or stopped; the status once there is nobody left to wait for."""
        while True:
            try:
                pid, how = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return self._status
            if pid == 0:
                return None if self._kill_at is not None else self._status
            if pid == self._child.pid:
                self._note(how)

    def _note(self, how: int) -> None:
        if os.WIFSTOPPED(how):
            # An editor that stops only itself: the shell must see its job stopped, or hangs.
            if _in_foreground():
                _stop_myself()
            return
        code = os.waitstatus_to_exitcode(how)
        self._status = code if code >= 0 else SIGNALLED - code

    def _stop(self, info: signal.struct_siginfo) -> None:
        if self._started:
            self._pass_on(info)
        _stop_myself()

    def _pass_on(self, info: signal.struct_siginfo) -> None:
        ours = info.si_signo == signal.SIGCHLD or info.si_code > 0
        if not ours and not descends_from(info.si_pid, self._child.pid):
            self._child.signal(info.si_signo)

    def _let_go(self) -> None:
        """Release, in a thread of its own. A signal meanwhile means: do not wait for that.

        Our death frees the locks as well, and the status is what it was.
        """
        if not self._started:
            self._child.give_up()
        while signal.sigtimedwait(self._signals, 0):
            pass  # it came with the one that ended the wait, or for a command that has ended
        threading.Thread(target=self._release, daemon=True).start()
        number: int = signal.SIGCHLD
        while number in PATIENT and not self._released:
            number = signal.sigwaitinfo(self._signals).si_signo

    def _release(self) -> None:
        """Say so if there was nothing left to release: then the lock was not held to the end."""
        try:
            if self._grant is not None and self._lost is None:
                self._grant.release()
        except (LockLost, NotHeld) as error:
            complain(str(error))
            self._lost = error if isinstance(error, LockLost) else LockLost(error.names, error.why)
        except HoldfastError as error:
            complain(str(error))
        finally:
            if self._locks is not None:
                self._locks.close()
            self._released = True
            self._look()


def _environment(grant: Grant) -> dict[str, str]:
    tokens = grant.tokens
    if len(tokens) == 1:
        return {"HOLDFAST_TOKEN": str(*tokens.values())}
    return {"HOLDFAST_TOKENS": json.dumps(tokens, ensure_ascii=False)}


def _liveness(locks: Lockspace) -> int | None:
    """What the command keeps open, so that the locks outlive a killed keeper."""
    try:
        return locks.liveness()
    except Unsupported:
        return None  # a server's session ends by its time to live


def _stop_myself() -> None:
    """As Ctrl-Z would have: the kernel's own rules decide, so no orphaned group stays stopped."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})


def _in_foreground() -> bool:
    """Whether a shell waits for this very job at a terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
