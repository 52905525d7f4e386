"""``ls`` and ``who``: what is held and awaited, for people and for programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.cli.terminal import Terminal
from tests.cli.tools import SCRIPT, HoldfastRunner, finish, let_go, one_sentence, until

FIELDS = {"name", "mode", "owner", "since", "id", "state"}
OWNER = {"host", "boot", "pid", "start", "label", "command"}


@pytest.fixture
def scene(holdfast: HoldfastRunner) -> dict[str, subprocess.Popen[str]]:
    """vm-1 is held and awaited twice, pool/a is shared by two."""
    held = {"holder": holdfast.hold("vm-1", options=["--label", "backup"])}
    for name in ("first", "second"):
        held[name] = holdfast.start("run", "--label", name, "vm-1", "--", "true")
        until(lambda name=name: holdfast.awaited_by(held[name].pid, "vm-1"), name)
    held["reader"] = holdfast.hold("pool/a", options=["--shared"])
    held["reader 2"] = holdfast.hold("pool/a", options=["--shared"])
    return held


def test_ls_json_is_a_versioned_record(holdfast: HoldfastRunner, scene: dict[str, object]):
    record = json.loads(holdfast("ls", "--json").stdout)
    assert set(record) == {"version", "entries", "circles"}
    assert (record["version"], record["circles"]) == (1, [])
    for each in record["entries"]:
        assert set(each) == FIELDS | {"token" if each["state"] == "held" else "waiting_for"}
        assert set(each["owner"]) == OWNER


def test_ls_json_tells_who_holds_and_who_waits_in_order(
    holdfast: HoldfastRunner, scene: dict[str, subprocess.Popen[str]]
):
    entries = holdfast.entries("vm-")
    assert [each["owner"]["label"] for each in entries] == ["backup", "first", "second"]
    assert [each["state"] for each in entries] == ["held", "waiting", "waiting"]
    assert entries[0]["owner"]["pid"] == scene["holder"].pid
    assert entries[0]["id"] in entries[1]["waiting_for"]
    assert entries[1]["id"] in entries[2]["waiting_for"]
    assert "vm-1 -- cat" in entries[0]["owner"]["command"]


def test_sharers_have_one_token(holdfast: HoldfastRunner, scene: dict[str, object]):
    first, second = holdfast.entries("pool/")
    assert (first["mode"], first["token"]) == (second["mode"], second["token"])
    assert first["id"] != second["id"]


def test_ls_is_a_table_that_grep_and_awk_can_read(
    holdfast: HoldfastRunner, scene: dict[str, subprocess.Popen[str]]
):
    header, *lines = holdfast("ls").stdout.splitlines()
    assert header.split()[:5] == ["NAME", "STATE", "MODE", "OWNER", "AGE"]
    assert [line.split()[0] for line in lines] == ["pool/a"] * 2 + ["vm-1"] * 3
    held = next(line for line in lines if "backup (pid" in line and " held " in line)
    assert f"backup (pid {scene['holder'].pid})" in held
    assert held.endswith("  cat")
    assert "\x1b" not in "".join(lines)


def test_ls_takes_a_prefix(holdfast: HoldfastRunner, scene: dict[str, object]):
    _, *lines = holdfast("ls", "pool/").stdout.splitlines()
    assert len(lines) == 2


def test_an_empty_lockspace_says_so(holdfast: HoldfastRunner):
    ran = holdfast("ls")
    assert ran.stdout == f"Nobody holds or awaits anything in {holdfast.space}.\n"
    assert json.loads(holdfast("ls", "--json").stdout)["entries"] == []


def test_who_shows_the_queue_of_one_name(holdfast: HoldfastRunner, scene: dict[str, object]):
    ran = holdfast("who", "vm-1")
    assert ran.returncode == 0
    _, *lines = ran.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["held", "waiting", "waiting"]
    ids = [each["id"] for each in holdfast.entries("vm-1")]
    assert all(id in line for id, line in zip(ids, lines, strict=True))


def test_who_is_about_one_name_not_a_prefix(holdfast: HoldfastRunner, scene: dict[str, object]):
    ran = holdfast("who", "vm-")
    assert (ran.returncode, ran.stdout) == (1, "'vm-' is free.\n")


def test_who_json_is_the_format_of_ls(holdfast: HoldfastRunner, scene: dict[str, object]):
    assert json.loads(holdfast("who", "--json", "vm-1").stdout) == json.loads(
        holdfast("ls", "--json", "vm-1").stdout
    )


def test_runs_inside_each_other_that_wait_in_a_circle_are_named(holdfast: HoldfastRunner):
    for mine, other in (("left", "right"), ("right", "left")):
        inner = f"until [ -e go ]; do sleep 0.01; done; exec {SCRIPT} run {other} -- true"
        holdfast.start("run", "--label", f"the {mine}", mine, "--", "sh", "-c", inner)
    until(lambda: len(holdfast.entries()) == 2, "both outer locks held")
    (holdfast.folder / "go").touch()
    until(lambda: stuck(holdfast), "both inner ones waiting")
    (circle,) = json.loads(holdfast("ls", "--json").stdout)["circles"]
    waiting = [each["id"] for each in holdfast.entries() if each["state"] == "waiting"]
    assert sorted(circle) == sorted(waiting)
    lines = [line for line in holdfast("ls").stdout.splitlines() if line.startswith("circle: ")]
    assert len(lines) == 1
    assert all(each in lines[0] for each in ("'left', which the left", "'right', which the right"))


def test_a_run_inside_a_run_for_the_same_name_is_a_circle(holdfast: HoldfastRunner):
    outer = holdfast.start("run", "vm-1", "--", SCRIPT, "run", "vm-1", "--", "true")
    until(lambda: len(holdfast.entries()) == 2, "the inner one waiting")
    assert f"which (pid {outer.pid} on " in holdfast("ls").stdout.partition("circle: ")[2]


def stuck(holdfast: HoldfastRunner) -> bool:
    return sum(each["state"] == "waiting" for each in holdfast.entries()) == 2


@pytest.fixture
def watcher(holdfast: HoldfastRunner) -> Iterator[subprocess.Popen[str]]:
    yield holdfast.start("ls", "--watch", "--json", "--interval", "0.05")


def test_watch_json_is_a_line_for_each_change(
    holdfast: HoldfastRunner, watcher: subprocess.Popen[str]
):
    assert json.loads(watcher.stdout.readline())["entries"] == []
    holder = holdfast.hold("vm-1")
    line = json.loads(watcher.stdout.readline())
    assert [each["owner"]["pid"] for each in line["entries"]] == [holder.pid]
    let_go(holder)
    assert json.loads(watcher.stdout.readline()) == {"version": 1, "entries": [], "circles": []}


def test_ctrl_c_ends_watch_with_0(holdfast: HoldfastRunner, watcher: subprocess.Popen[str]):
    watcher.stdout.readline()
    watcher.send_signal(signal.SIGINT)
    assert finish(watcher) == (0, "", "")


def test_watch_ends_quietly_when_its_reader_has_gone(watcher: subprocess.Popen[str]):
    watcher.stdout.readline()
    watcher.stdout.close()
    assert watcher.wait(60) == 1
    assert watcher.stderr.read() == ""
    watcher.stdout = None


def test_watch_sees_a_death(holdfast: HoldfastRunner, watcher: subprocess.Popen[str]):
    """Also one that nobody else noticed, because nobody asked for the name since."""
    watcher.stdout.readline()
    holder = holdfast.hold("vm-1")
    assert json.loads(watcher.stdout.readline())["entries"]
    os.killpg(holder.pid, signal.SIGKILL)
    assert not json.loads(watcher.stdout.readline())["entries"]


def test_watch_to_a_file_is_the_plain_table_at_each_change(holdfast: HoldfastRunner):
    watcher = holdfast.start("ls", "--watch", "--interval", "0.05")
    assert watcher.stdout.readline().startswith("Nobody holds")
    holder = holdfast.hold("vm-1")
    assert watcher.stdout.readline().startswith("NAME ")
    assert f"pid {holder.pid}" in watcher.stdout.readline()


@pytest.fixture
def screen(holdfast: HoldfastRunner) -> Iterator[Terminal]:
    command = [SCRIPT, "ls", "--watch", "--interval", "0.05"]
    terminal = Terminal(command, holdfast.folder, holdfast.environment)
    yield terminal
    terminal.close()


def test_watch_on_a_terminal_is_live_and_ctrl_c_ends_it_with_0(
    holdfast: HoldfastRunner, screen: Terminal
):
    screen.sees("Nobody holds or awaits anything")
    holder = holdfast.hold("vm-1", options=["--label", "backup"])
    screen.sees(f"backup (pid {holder.pid}")
    let_go(holder)
    screen.sees("Nobody holds or awaits anything")
    screen.type("\x03")
    assert screen.ends() == 0
    assert "Traceback" not in screen.seen


def test_no_color_is_respected_on_a_terminal(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    environment = {**holdfast.environment, "NO_COLOR": "1"}
    terminal = Terminal([SCRIPT, "ls"], holdfast.folder, environment)
    terminal.ends()
    terminal.close()
    assert "vm-1" in terminal.seen
    assert "\x1b[3" not in terminal.raw


def test_a_name_that_looks_like_markup_is_shown_as_it_is(holdfast: HoldfastRunner):
    holdfast.hold("[red]vm[/red]")
    terminal = Terminal([SCRIPT, "ls"], holdfast.folder, holdfast.environment)
    terminal.ends()
    terminal.close()
    assert "[red]vm[/red]" in terminal.seen


def test_looking_leaves_no_trace_and_needs_no_turn(holdfast: HoldfastRunner):
    holder = holdfast.hold("vm-1")
    before = holdfast.entries()
    assert one_sentence(holdfast("run", "--timeout", "0", "vm-1", "--", "true").stderr)
    assert holdfast.entries() == before
    assert holder.poll() is None
