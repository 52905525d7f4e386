"""Another process that uses the same lockspace, moved by a test over a pipe: a line, a line back.

Its requests are rows of JSON: a number, a verb, and what the verb needs; what happens to the
party of that number comes back when it happens, so the reader is a thread.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

from holdfast import errors
from holdfast.locks.terms import Mode
from holdfast.lockspace import Lockspace
from holdfast.testing.faults import GENEROUS, wait_until
from holdfast.testing.parties import Party, ThreadParty

__all__ = ["Peer", "PeerParty", "main"]


class PeerParty(Party):
    """By ``with``, in a thread of another process."""

    def __init__(self, peer: Peer, number: int, wants: Mapping[str, Mode]) -> None:
        super().__init__(wants)
        self._peer = peer
        self._number = number

    def go_on(self) -> None:
        """See :meth:`Party.go_on`."""
        self._peer.send(self._number, "leave")

    def told(self, what: str, facts: Any) -> None:
        """The other process says what happened."""
        if what == "in":
            self.id, self.tokens = facts
            self.entered.set()
            return
        if what == "error":
            kind, text = facts
            self.error = _error_of(kind, text)
        self.ended.set()


def _error_of(kind: str, text: str) -> BaseException:
    """An error of that class, without the facts that it had over there."""
    cls = getattr(errors, kind, AssertionError)
    error: BaseException = cls.__new__(cls)
    error.args = (text,)
    return error


class Peer:
    """The test's end. A context manager that kills the other process."""

    def __init__(self, url: str, options: Mapping[str, object]) -> None:
        command = [sys.executable, "-m", "holdfast.testing.peer", url, json.dumps(dict(options))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._parties: dict[int, PeerParty] = {}
        self._answers: dict[int, Any] = {}
        self._count = 0
        threading.Thread(target=self._read, daemon=True).start()
        self.ask("ready")

    @property
    def pid(self) -> int:
        """Of the other process."""
        return self._process.pid

    def start(self, wants: Mapping[str, Mode], timeout: float | None = None) -> Party:
        """A party over there."""
        self._count += 1
        party = self._parties[self._count] = PeerParty(self, self._count, wants)
        self.send(self._count, "start", _plain(wants), timeout)
        return party

    def ask(self, verb: str, *what: object) -> Any:
        """Have *verb* done over there, and wait for what it gives."""
        self._count += 1
        number = self._count
        self.send(number, verb, *what)
        wait_until(
            lambda: number in self._answers or self._process.poll() is not None,
            f"the answer of process {self.pid} to {verb!r}",
        )
        assert number in self._answers, f"process {self.pid} ended before it answered {verb!r}"
        return self._answers.pop(number)

    def tries(self, wants: Mapping[str, Mode]) -> bool:
        """Whether ``try_acquire`` over there gives a grant; it is released again."""
        got: bool = self.ask("try", _plain(wants))
        return got

    def send(self, number: int, verb: str, *what: object) -> None:
        """One request; does not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps((number, verb, *what)) + "\n")

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self._process.kill()
        self._process.wait(GENEROUS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                number, what, facts = json.loads(line)
                if what == "answer":
                    self._answers[number] = facts
                else:
                    self._parties[number].told(what, facts)
        except ValueError:
            pass  # closed under us, or the line of one who was killed in the midst of it


def _plain(wants: Mapping[str, Mode]) -> dict[str, str]:
    return {name: str(mode) for name, mode in wants.items()}


class _Servant:
    """The other end: does what it is told, one thread for each party."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._locks = Lockspace(url, **options)
        self._parties: dict[int, ThreadParty] = {}
        self._writing = threading.Lock()

    def serve(self) -> None:
        """Until the pipe ends."""
        for line in sys.stdin:
            number, verb, *what = json.loads(line)
            self._do(number, verb, *what)

    def _do(self, number: int, verb: str, *what: Any) -> None:
        if verb == "start":
            self._start(number, *what)
        elif verb == "leave":
            self._parties[number].go_on()
        else:
            self._say(number, "answer", getattr(self, f"_do_{verb}")(*what))

    def _do_ready(self) -> bool:
        return True

    def _do_try(self, wants: dict[str, str]) -> bool:
        grant = self._locks(_modes(wants)).try_acquire()
        if grant is not None:
            grant.release()
        return grant is not None

    def _do_token(self, name: str) -> int:
        with self._locks(name) as grant:
            return grant.token

    def _do_break(self, name: str, id: str) -> bool:
        return self._locks.break_(name, id=id, why="the test says so")

    def _do_holders(self, name: str) -> list[int]:
        return [holder.owner.pid for holder in self._locks.holders(name)]

    def _do_close(self) -> None:
        self._locks.close()

    def _do_storm(self, names: list[str], modes: list[str], rounds: int, seed: int) -> list[str]:
        from holdfast.testing.storm import blow

        return [hold.dump() for hold in blow(self._locks, names, modes, rounds=rounds, seed=seed)]

    def _start(self, number: int, wants: dict[str, str], timeout: float | None) -> None:
        try:
            party = self._parties[number] = ThreadParty(self._locks, _modes(wants), timeout)
        except Exception as error:
            self._say(number, "error", (type(error).__name__, str(error)))
            return
        threading.Thread(target=self._watch, args=(number, party), daemon=True).start()

    def _watch(self, number: int, party: ThreadParty) -> None:
        while not party.entered.wait(0.002) and not party.ended.is_set():
            pass
        if party.entered.is_set():
            self._say(number, "in", (party.id, party.tokens))
        party.ended.wait()
        error = party.error
        self._say(number, *(("error", (type(error).__name__, str(error))) if error else ("out", 0)))

    def _say(self, number: int, what: str, facts: object) -> None:
        with self._writing:
            sys.stdout.write(json.dumps((number, what, facts)) + "\n")
            sys.stdout.flush()


def _modes(wants: dict[str, str]) -> dict[str, Mode]:
    return {name: Mode.read(text) for name, text in wants.items()}


def main() -> None:
    """The other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    url, options = sys.argv[1:]
    _Servant(url, json.loads(options)).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
