"""The main job, on real input: processes contend for a disk image; some are shot; all is verified.

Six writers fill a raw image of 64 MiB with patterns, block by block, each round under the lock and
with its fencing token. Four of them use the library; two are shells that call ``holdfast run``. In
the middle of its writing one of the first is killed with -9, and then the keeper of one of the
second; each time the next in the queue takes over at once, finds in the image's journal what was
left half-written, and mends it. A table shows holders and waiters meanwhile. In the end every byte
of the image is compared with what its last writer should have written.

Exits with a status other than 0 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from image import BLOCK, Image
from rich.console import Console
from show import Show
from verdict import Line, faults, read_history
from writer import DISK, RUN

from holdfast import Holder, Lockspace

HERE = Path(__file__).parent
PATIENCE = 100.0
"""Seconds after which the job gives up on itself: under two minutes, whatever happens."""


class Job:
    """One run in one folder."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.url = f"file://{folder}/locks"
        self.writers: dict[str, subprocess.Popen[bytes]] = {}
        self.shot: dict[str, bool] = {}

    # Setting up --------------------------------------------------------------------------------

    def make_image(self) -> str:
        """A sparse raw image; what made it."""
        path, size = self.folder / DISK, self.options.blocks * BLOCK
        qemu_img = shutil.which("qemu-img")
        if qemu_img:
            make = [qemu_img, "create", "-q", "-f", "raw", str(path), str(size)]
            subprocess.run(make, check=True)
            return "qemu-img"
        with path.open("wb") as file:
            file.truncate(size)
        return "a sparse file"

    def start(self) -> None:
        """Four writers through the library, two through the command line; all at once."""
        rounds, pause = str(self.options.rounds), str(self.options.pause)
        how = "reckless" if self.options.reckless else "loop"
        for number in range(1, 5):
            self.spawn(f"writer-{number}", [*self.writer(f"writer-{number}"), how, rounds, pause])
        if not self.options.reckless:
            for number in range(5, 7):
                self.spawn(f"shell-{number}", self.shell(f"shell-{number}"))

    def writer(self, name: str) -> list[str]:
        """The beginning of a writer's command line."""
        return [sys.executable, str(HERE / "writer.py"), str(self.folder), name]

    def shell(self, name: str) -> list[str]:
        """A loop in a shell, as an operator would write it; it goes on if a round is shot."""
        holdfast = str(Path(sys.executable).with_name("holdfast"))
        run = [holdfast, "run", "--space", self.url, "--label", name, DISK, "--"]
        once = [*run, *self.writer(name), "once", str(self.options.pause)]
        script = (
            'for round in $(seq "$0"); do "$@"; status=$?; [ $status = 0 ] || echo $status; done'
        )
        return ["sh", "-c", script, str(self.options.rounds), *once]

    def spawn(self, name: str, command: list[str]) -> None:
        """Start one; what it says on its way goes to a file of its name."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.writers[name] = subprocess.Popen(command, stdout=log, stderr=log)

    # Running -----------------------------------------------------------------------------------

    def run(self, console: Console) -> list[str]:
        """Everything that went wrong, a sentence each."""
        with Lockspace(self.url, label="conductor") as locks, Show(locks, console) as show:
            self.start()
            try:
                if not self.options.reckless:
                    self.shoot("writer-", show, "a writer that uses the library")
                    self.shoot("shell-", show, "the keeper of a `holdfast run`")
                while self.running():
                    self.watch(show)
                left = locks.snapshot()
            finally:
                self.end()
        wrong = list(faults(Image(self.folder / DISK), self.history()))
        wrong += [f"left in the lockspace: {each}" for each in left]
        return wrong + self.complaints()

    def shoot(self, kind: str, show: Show, who: str) -> None:
        """Kill -9 a holder of that kind in the middle of its writing; see who comes next."""
        in_the_middle = False
        while not in_the_middle:  # it may have come to its end while we took aim
            holder = self.aim(kind, show)
            at = time.time()
            os.kill(holder.owner.pid, signal.SIGKILL)
            show.say(f"killed with -9: {holder.owner.label} (pid {holder.owner.pid}), {who}")
            heir = self.heir(holder, show)
            waited = max(0.0, heir.since - at) * 1000
            show.say(f"{heir.owner.label} holds {waited:.1f} ms later, token {heir.token}")
            ended = [line for line in self.history() if line.token == holder.token]
            in_the_middle = "wrote" not in {line.what for line in ended}
            self.shot[holder.owner.label] = in_the_middle

    def heir(self, dead: Holder, show: Show) -> Holder:
        """Who holds after *dead*; while a dead keeper's command ends, nobody else does."""
        while True:
            for holder in show.locks.holders(DISK):
                if holder.id != dead.id:
                    return holder
            self.watch(show)

    def aim(self, kind: str, show: Show) -> Holder:
        """Wait until one of that kind is writing, with others waiting behind it."""
        image = Image(self.folder / DISK)
        while True:
            holder = next(iter(show.locks.holders(DISK)), None)
            if holder and holder.owner.label.startswith(kind) and len(show.locks.waiters(DISK)) > 1:
                with suppress(ValueError):  # the journal is being written at this very moment
                    journal = image.journal()
                    if journal.token == holder.token and not journal.done:
                        return holder
            self.watch(show)

    def watch(self, show: Show) -> None:
        """One look. Raises TimeoutError when it takes too long."""
        show.look(sum(line.what == "wrote" for line in self.history()))
        if show.seconds() > PATIENCE:
            raise TimeoutError(f"not done after {PATIENCE:.0f} s")
        time.sleep(0.02)

    def running(self) -> bool:
        """Whether any writer is."""
        return any(writer.poll() is None for writer in self.writers.values())

    def end(self) -> None:
        """Nothing that we started outlives us."""
        for writer in self.writers.values():
            if writer.poll() is None:
                writer.kill()
            writer.wait()

    # Afterwards --------------------------------------------------------------------------------

    def history(self) -> list[Line]:
        """What the writers have told."""
        return read_history(self.folder)

    def complaints(self) -> list[str]:
        """Writers that ended badly without having been shot, and half-written work not mended."""
        wrong = []
        for name, writer in self.writers.items():
            said = (self.folder / f"{name}.log").read_text().strip()
            if name not in self.shot and (writer.returncode or said):
                wrong.append(f"{name} ended with status {writer.returncode}: {said[-500:]}")
        mended = [line.more for line in self.history() if line.what == "mended"]
        torn = [name for name, in_the_middle in self.shot.items() if in_the_middle]
        wrong += [f"what {name} left was not mended" for name in torn if name not in mended]
        return wrong


def main() -> int:
    """Run the job and say the verdict."""
    parser = argparse.ArgumentParser(description="Writers contend for a disk image.")
    parser.add_argument("--blocks", type=int, default=64, help="size of the image in MiB")
    parser.add_argument("--rounds", type=int, default=8, help="rounds of each writer")
    parser.add_argument("--pause", type=float, default=0.03, help="seconds to spend on a block")
    parser.add_argument("--reckless", action="store_true", help="take no lock, and see it noticed")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        job = Job(Path(folder), options)
        made_by = job.make_image()
        console.print(f"{options.blocks} MiB raw disk image, made by {made_by}; {RUN} MiB a round")
        wrong = job.run(console)
        history = job.history()
    for each in wrong[:20]:
        console.print(f"WRONG: {each}", style="red", markup=False, soft_wrap=True)
    grants = sum(line.what == "granted" for line in history)
    rounds = sum(line.what == "wrote" for line in history)
    tokens = f"{grants} grants, {rounds} writes of {RUN} blocks"
    if wrong:
        console.print(f"FAILED: {len(wrong)} faults in {tokens}", style="bold red")
        return 1
    verdict = f"VERIFIED: {tokens}; every block is one writer's, no token ever went backwards"
    console.print(verdict, style="bold green", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
