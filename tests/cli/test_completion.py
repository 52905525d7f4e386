"""Completion, by a real bash with the printed script."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.tools import SCRIPT, HoldfastRunner

# Sets what bash sets for a completion function, calls it, and prints what it offers.
ASK = """
source <(holdfast completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
"$(complete -p holdfast | sed 's/.*-F \\([^ ]*\\).*/\\1/')" holdfast "${COMP_WORDS[COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offers(holdfast: HoldfastRunner, *words: str) -> list[str]:
    path = f"{os.path.dirname(SCRIPT)}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", ASK, "bash", "holdfast", *words],
        env={**holdfast.environment, "PATH": path},
        cwd=holdfast.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout.split()


def test_commands(holdfast: HoldfastRunner):
    assert offers(holdfast, "") == ["run", "ls", "who", "break", "doctor", "completion"]
    assert offers(holdfast, "d") == ["doctor"]


def test_options(holdfast: HoldfastRunner):
    assert {"--shared", "--slots", "--timeout", "--on-lost"} <= set(offers(holdfast, "run", "--"))
    assert offers(holdfast, "ls", "--w") == ["--watch"]


def test_words_of_an_option(holdfast: HoldfastRunner):
    assert offers(holdfast, "run", "--on-lost", "") == ["term", "kill", "ignore"]
    assert offers(holdfast, "completion", "z") == ["zsh"]


def test_names_come_from_what_is_held_right_now(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    holdfast.hold("vm-2")
    holdfast.hold("net-1")
    assert offers(holdfast, "who", "vm-") == ["vm-1", "vm-2"]
    assert offers(holdfast, "ls", "n") == ["net-1"]
    assert offers(holdfast, "run", "vm-1", "vm") == ["vm-2"]
    assert offers(holdfast, "break", "") == ["net-1", "vm-1", "vm-2"]


def test_names_of_the_space_that_was_typed(holdfast: HoldfastRunner):
    holdfast.hold("vm-1")
    other = f"{holdfast.space}-other"
    assert offers(holdfast, "who", "--space", other, "") == []


def test_ids_for_break(holdfast: HoldfastRunner):
    holder = holdfast.hold("vm-1")
    id = holdfast.held_by(holder.pid, "vm-1")["id"]
    assert offers(holdfast, "break", "vm-1", "--id", "") == [id]


def test_programs_and_files_after_the_two_dashes(holdfast: HoldfastRunner):
    holdfast.hold("sh-name")
    offered = offers(holdfast, "run", "vm-1", "--", "sh")
    assert "sh" in offered and "sha256sum" in offered and "sh-name" not in offered


def test_a_lockspace_that_cannot_be_used_completes_nothing(holdfast: HoldfastRunner):
    holdfast.environment["HOLDFAST_SPACE"] = "file:///proc/sys/locks"
    assert offers(holdfast, "who", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(holdfast: HoldfastRunner, shell: str):
    ran = holdfast("completion", shell)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "_HOLDFAST_COMPLETE" in ran.stdout


def test_another_shell_is_refused(holdfast: HoldfastRunner):
    assert holdfast("completion", "csh").returncode == 2
