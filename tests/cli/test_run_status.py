"""What ``holdfast run`` exits with, and what its command finds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.tools import SCRIPT, HoldfastRunner, one_sentence


@pytest.mark.parametrize("status", [0, 1, 7, 75, 255])
def test_the_status_is_the_commands_own(holdfast: HoldfastRunner, status: int):
    assert holdfast("run", "vm-1", "--", "sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("name, number", [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("INT", 2)])
def test_a_command_ended_by_a_signal_gives_128_and_its_number(
    holdfast: HoldfastRunner, name: str, number: int
):
    assert holdfast("run", "vm-1", "--", "sh", "-c", f"kill -{name} $$").returncode == 128 + number


def test_a_command_that_is_not_there_gives_127(holdfast: HoldfastRunner):
    ran = holdfast("run", "vm-1", "--", "no-such-program")
    assert ran.returncode == 127
    assert one_sentence(ran.stderr) == "command not found: 'no-such-program'"


@pytest.mark.parametrize("command", ["./plain", "."])
def test_what_may_not_be_executed_gives_126(holdfast: HoldfastRunner, command: str):
    (holdfast.folder / "plain").write_text("data")
    ran = holdfast("run", "vm-1", "--", command)
    assert ran.returncode == 126
    assert command in one_sentence(ran.stderr)


def test_a_missing_interpreter_is_named_as_such(holdfast: HoldfastRunner):
    script = program(holdfast.folder / "script", "#!/no/such/interpreter\n")
    ran = holdfast("run", "vm-1", "--", script)
    assert ran.returncode == 127
    assert "interpreter" in one_sentence(ran.stderr)


def test_a_script_without_a_first_line_is_the_shells(holdfast: HoldfastRunner):
    script = program(holdfast.folder / "script", 'echo "$# $1"\n')
    assert holdfast("run", "vm-1", "--", script, "a b", "c").stdout == "2 a b\n"


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "args, says",
    [
        (["run", "vm-1"], "after `--`"),
        (["run", "vm-1", "--"], "after `--`"),
        (["run", "--", "true"], "NAME"),
        (["run", "--shared", "--group", "g", "vm-1", "--", "true"], "choose one"),
        (["run", "--slots", "0", "vm-1", "--", "true"], "--slots"),
        (["run", "--timeout", "-1", "vm-1", "--", "true"], "--timeout"),
        (["run", "--timeout", "soon", "vm-1", "--", "true"], "--timeout"),
        (["run", "--on-lost", "cry", "vm-1", "--", "true"], "--on-lost"),
        (["run", "vm-1", "vm-1", "--", "true"], "twice"),
        (["run", "a\tb", "--", "true"], "printed"),
        (["run", "n" * 1025, "--", "true"], "1025 bytes"),
    ],
)
def test_wrong_usage_gives_2_and_one_sentence(holdfast: HoldfastRunner, args: list[str], says: str):
    ran = holdfast(*args)
    assert ran.returncode == 2
    assert says in one_sentence(ran.stderr)


def test_options_may_follow_the_names_and_the_commands_are_its_own(holdfast: HoldfastRunner):
    ran = holdfast("run", "vm-1", "--timeout", "5", "--", "echo", "--timeout", "--", "-x")
    assert ran.stdout == "--timeout -- -x\n"


def test_one_name_gives_one_token_which_grows(holdfast: HoldfastRunner):
    tell = ["sh", "-c", 'echo "$HOLDFAST_TOKEN"']
    first, second = (int(holdfast("run", "vm-1", "--", *tell).stdout) for _ in range(2))
    assert 0 < first < second


def test_several_names_give_their_tokens_as_json(holdfast: HoldfastRunner):
    ran = holdfast("run", "vm-1", "net-2", "--", "sh", "-c", 'echo "$HOLDFAST_TOKENS"')
    tokens = json.loads(ran.stdout)
    assert sorted(tokens) == ["net-2", "vm-1"]
    assert all(isinstance(token, int) for token in tokens.values())


def test_the_tokens_of_an_outer_run_are_not_mistaken_for_ones_own(holdfast: HoldfastRunner):
    holdfast.environment |= {"HOLDFAST_TOKEN": "1", "HOLDFAST_TOKENS": "{}"}
    tell = "echo ${HOLDFAST_TOKEN:-none} ${HOLDFAST_TOKENS:-none}"
    several = holdfast("run", "a", "b", "--", "sh", "-c", tell).stdout
    one = holdfast("run", "a", "--", "sh", "-c", tell).stdout
    assert several.startswith("none {")
    assert one.endswith(" none\n") and not one.startswith(("1 ", "none"))


def test_stdin_and_stdout_are_the_commands(holdfast: HoldfastRunner):
    ran = holdfast("run", "vm-1", "--", "rev", stdin=None, input="stressed\n")
    assert (ran.stdout, ran.stderr) == ("desserts\n", "")


def test_the_command_finds_signals_as_a_shell_leaves_them(holdfast: HoldfastRunner):
    """Python ignores SIGPIPE and the keeper blocks signals: neither is passed on."""
    show = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]
    plain = subprocess.run(show, capture_output=True, text=True, check=True)
    assert holdfast("run", "vm-1", "--", *show).stdout == plain.stdout


def test_what_was_ignored_stays_ignored(holdfast: HoldfastRunner):
    show = ["grep", "^SigIgn", "/proc/self/status"]
    command = ["sh", "-c", "trap '' HUP USR1; exec \"$@\"", "sh"]
    inside, outside = (
        subprocess.run(
            [*command, *before, *show],
            env=holdfast.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for before in ([SCRIPT, "run", "vm-1", "--"], [])
    )
    assert inside == outside


def test_the_command_inherits_one_descriptor_out_of_the_way(holdfast: HoldfastRunner):
    ran = holdfast("run", "vm-1", "--", "sh", "-c", "ls /proc/$$/fd")
    extra = [int(each) for each in ran.stdout.split() if int(each) > 2 and int(each) != 255]
    assert [each for each in extra if each >= 100] == extra
    assert len(extra) == 1


def test_nothing_is_held_or_awaited_afterwards(holdfast: HoldfastRunner):
    holdfast("run", "vm-1", "net-2", "--", "true")
    assert holdfast.entries() == []


def test_a_full_stderr_does_not_hide_the_status(holdfast: HoldfastRunner):
    with open("/dev/full", "w") as full:
        ran = holdfast("run", "vm-1", "--", "no-such-program", stderr=full)
    assert ran.returncode == 127
