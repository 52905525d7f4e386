"""The command line as a whole: help, version, which lockspace, how errors are said."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from holdfast.cli.main import COMMANDS
from tests.cli.tools import SCRIPT, HoldfastRunner, one_sentence


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(holdfast: HoldfastRunner, command: str):
    ran = holdfast(command, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"Usage: holdfast {command} ")
    assert f"  holdfast {command} " in ran.stdout.partition("Examples:")[2]


def test_help_lists_the_commands(holdfast: HoldfastRunner):
    ran = holdfast("--help")
    assert ran.returncode == 0
    for name, entry in COMMANDS.items():
        assert f"  {name}" in ran.stdout and entry.help in ran.stdout


def test_without_a_command_help_is_shown_as_an_error(holdfast: HoldfastRunner):
    ran = holdfast()
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Commands:" in ran.stderr


def test_version(holdfast: HoldfastRunner):
    import holdfast as package

    assert holdfast("--version").stdout == f"holdfast {package.__version__}\n"


@pytest.mark.parametrize("args", [["fly"], ["ls", "--fly"], ["who"], ["who", "a", "b"], ["--fly"]])
def test_wrong_usage_is_one_sentence_that_names_the_help(holdfast: HoldfastRunner, args: list[str]):
    ran = holdfast(*args)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "--help`" in one_sentence(ran.stderr)


@pytest.mark.parametrize("url", ["memory:", "memory://x"])
@pytest.mark.parametrize("command", [["run", "vm-1", "--", "true"], ["ls"], ["doctor"]])
def test_memory_is_refused_with_a_reason(holdfast: HoldfastRunner, command: list[str], url: str):
    ran = holdfast(command[0], "--space", url, *command[1:])
    assert ran.returncode == 2
    assert "inside one process" in one_sentence(ran.stderr)


@pytest.mark.parametrize("url", ["nonsense", "pigeon://loft"])
def test_a_space_without_a_driver_is_one_sentence(holdfast: HoldfastRunner, url: str):
    ran = holdfast("ls", "--space", url)
    assert ran.returncode == 1
    assert url.partition(":")[0] in one_sentence(ran.stderr)


def test_the_option_wins_over_the_variable(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    other = f"file://{holdfast.folder}/other"
    assert holdfast("who", "--space", other, "vm-1").returncode == 1
    assert holdfast("who", "vm-1").returncode == 0


# Where one may not write: below a /run that is read-only, for root too.
READ_ONLY_RUN = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro none /run && exec "$@"']


@pytest.mark.parametrize("command", [["ls"], ["run", "vm-1", "--", "touch", "ran"], ["doctor"]])
def test_who_may_not_use_the_hosts_space_is_told_what_to_do(
    holdfast: HoldfastRunner, command: list[str]
):
    wrap = [*READ_ONLY_RUN, "sh"] if os.geteuid() == 0 else []
    if not wrap and os.path.isdir("/run/holdfast"):
        pytest.skip("this host has a lockspace, and only root can hide it")
    environment = {key: each for key, each in os.environ.items() if key != "HOLDFAST_SPACE"}
    ran = subprocess.run(
        [*wrap, SCRIPT, *command],
        cwd=holdfast.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    said = ran.stdout if command == ["doctor"] else one_sentence(ran.stderr)
    assert "/run/holdfast" in said
    assert "--space" in said and "HOLDFAST_SPACE" in said
    assert not (holdfast.folder / "ran").exists()


def test_a_reader_that_has_gone_is_no_error_to_tell(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    reader, writer = os.pipe()
    os.close(reader)
    ran = holdfast("ls", stdout=writer)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (1, "")


def loaded_by(program: str) -> set[str]:
    program += "\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return set(json.loads(ran.stdout))


def test_run_loads_only_what_it_needs():
    loaded = loaded_by("import holdfast.cli.main, holdfast.cli.run")
    assert not loaded & {"asyncio", "rich", "importlib.metadata", "subprocess", "logging"}
    assert not loaded & {"holdfast.cli.ls", "holdfast.cli.doctor", "holdfast.cli.tables"}


def test_a_table_for_a_pipe_does_not_load_rich():
    assert "rich" not in loaded_by("import holdfast.cli.ls, holdfast.cli.who, holdfast.cli.doctor")


def test_a_full_disk_is_said(holdfast: HoldfastRunner):
    with open("/dev/full", "w") as full:
        ran = holdfast("--help", stdout=full)
    assert ran.returncode == 1
    assert "No space left" in one_sentence(ran.stderr)


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_standard_streams_change_no_status(holdfast: HoldfastRunner, closed: str):
    for args, status in (("ls", 0), ("who vm-1", 1), ("fly", 2), ("run vm-1 -- sh -c 'exit 7'", 7)):
        script = f"{SCRIPT} {args} {closed}"
        ran = subprocess.run(["bash", "-c", script], env=holdfast.environment, check=False)
        assert (args, ran.returncode) == (args, status)
