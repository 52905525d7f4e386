"""Which directories and files the driver refuses, and what it says."""

from __future__ import annotations

import grp
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.drivers.base import Options
from holdfast.drivers.file import open_file, probe
from holdfast.drivers.filespace import ground
from holdfast.drivers.filespace.layout import FORMAT, H_FORMAT, TOTAL_BYTES
from holdfast.errors import DriverError, Unsupported
from tests.crash.kit import Ask, child, ended, opened

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become other users")
NOBODY = 65534


def refused(path: Path, match: str, query: str = "") -> None:
    with pytest.raises(DriverError, match=match) as caught:
        open_file(f"file://{path}{query}", Options())
    assert str(path) in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_it_is_made_for_its_owner_alone(tmp_path: Path):
    os.umask(os.umask(0o077))
    driver = opened(tmp_path / "space")
    assert stat.S_IMODE((tmp_path / "space").stat().st_mode) == 0o700
    for file in (tmp_path / "space").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    driver.close()


def test_a_missing_parent(tmp_path: Path):
    refused(tmp_path / "no" / "space", "make the directory above it")


def test_a_plain_file(tmp_path: Path):
    (tmp_path / "space").write_text("mine")
    refused(tmp_path / "space", "name a directory")
    assert (tmp_path / "space").read_text() == "mine"


def test_a_world_writable_directory(tmp_path: Path):
    path = tmp_path / "space"
    path.mkdir()
    path.chmod(0o707)
    refused(path, "chmod o-w")


def test_a_group_writable_directory_that_was_not_configured(tmp_path: Path):
    path = tmp_path / "space"
    path.mkdir()
    path.chmod(0o770)
    refused(path, r"chmod g-w .*mode=0770&group=NAME")


def test_a_directory_that_others_may_read_is_fit(tmp_path: Path):
    path = tmp_path / "space"
    path.mkdir(mode=0o755)
    opened(path).close()


@root_only
def test_a_directory_of_another_user(tmp_path: Path):
    path = tmp_path / "space"
    path.mkdir()
    os.chown(path, NOBODY, -1)
    refused(path, f"belongs to user {NOBODY}")


@root_only
def test_a_symbolic_link_of_another_user(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.chown(tmp_path / "link", NOBODY, -1, follow_symlinks=False)
    refused(tmp_path / "link", "symbolic link of another user")
    refused(tmp_path / "link" / "space", "symbolic link of another user")


def test_a_symbolic_link_of_ours_is_followed(tmp_path: Path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    one, two = opened(tmp_path / "link"), opened(tmp_path / "real")
    assert Ask(one, "vm").attempt()
    assert not Ask(two, "vm").attempt()
    one.close()
    two.close()


def test_a_circle_of_links(tmp_path: Path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    refused(tmp_path / "a", "symbolic links")


def test_the_file_is_never_followed_through_a_link(tmp_path: Path):
    path = tmp_path / "space"
    path.mkdir(mode=0o700)
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (path / "space").symlink_to(tmp_path / "elsewhere")
    refused(path, "symbolic links")
    assert (tmp_path / "elsewhere").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "not a lockspace"),
        (b"something else\n", "not a lockspace"),
        (b"\0" * 8192, "not a lockspace"),
        ((FORMAT + (1 << 56)).to_bytes(8, sys.byteorder), "format 2, this holdfast knows 1"),
        (FORMAT.to_bytes(8, sys.byteorder), "8 bytes instead of"),
    ],
)
def test_a_foreign_file_is_refused_and_kept(tmp_path: Path, content: bytes, match: str):
    path = tmp_path / "space"
    path.mkdir(mode=0o700)
    (path / "space").write_bytes(content)
    (path / "space").chmod(0o600)
    refused(path, match)
    assert (path / "space").read_bytes() == content
    assert [each.name for each in path.iterdir()] == ["space"]


def test_a_newer_version_of_an_old_space(tmp_path: Path):
    opened(tmp_path / "s").close()
    with (tmp_path / "s" / "space").open("r+b") as file:
        file.seek(H_FORMAT * 8)
        file.write((FORMAT + (7 << 56)).to_bytes(8, sys.byteorder))
    refused(tmp_path / "s", "format 8, this holdfast knows 1")
    assert (tmp_path / "s" / "space").stat().st_size == TOTAL_BYTES


def test_a_file_with_two_names(tmp_path: Path):
    opened(tmp_path / "s").close()
    os.link(tmp_path / "s" / "space", tmp_path / "second")
    refused(tmp_path / "s", "2 names")


def test_a_file_that_others_may_open(tmp_path: Path):
    opened(tmp_path / "s").close()
    (tmp_path / "s" / "space").chmod(0o644)
    refused(tmp_path / "s", "chmod it to 0600")


@pytest.mark.parametrize(
    ("magic", "name"),
    [(0x6969, "NFS"), (0xFE534D42, "SMB"), (0x01021997, "9p"), (0x65735546, "FUSE")],
)
def test_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, magic: int, name: str
):
    # The kernel's answer is the one thing here that no test can have for real on every host.
    monkeypatch.setattr(ground, "file_system", lambda fd: (magic, ground.REMOTE[magic]))
    refused(tmp_path / "s", rf"lies on {name}.*several hosts")


def test_the_file_system_is_read_from_the_kernel(tmp_path: Path):
    with (
        Path("/proc").open("rb", buffering=0) if False else Path("/proc/self/stat").open("rb") as f
    ):
        assert ground.file_system(f.fileno())[0] == 0x9FA0


def test_an_overlay_counts_if_its_locks_exclude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ground, "file_system", lambda fd: (ground.OVERLAY, "overlayfs"))
    opened(tmp_path / "s").close()
    monkeypatch.setattr(ground, "_locks_exclude", lambda fd: False)
    refused(tmp_path / "t", "do not exclude")


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("file://host/dir", "absolute path"),
        ("file:dir", "absolute path"),
        ("file:///tmp/x?mode=0777", "mode="),
        ("file:///tmp/x?mode=rwx", "mode="),
        ("file:///tmp/x?mode=0770", "say which"),
        ("file:///tmp/x?ttl=3", "not ttl"),
    ],
)
def test_what_a_url_may_not_say(url: str, match: str):
    with pytest.raises(Unsupported, match=re.escape(match)):
        open_file(url, Options())


def test_any_ttl_is_kept_because_the_kernel_tells_of_death_at_once(tmp_path: Path):
    driver = open_file(f"file://{tmp_path}/s", Options(ttl=5))
    assert driver.guarantees.takeover == 0
    driver.close()


def test_an_unknown_group(tmp_path: Path):
    refused_group = pytest.raises(DriverError, match="no group 'no-such-group'")
    with refused_group:
        open_file(f"file://{tmp_path}/s?group=no-such-group", Options())


def test_a_path_with_spaces_and_percents(tmp_path: Path):
    driver = open_file(f"file://{tmp_path}/a%20b%25", Options())
    assert (tmp_path / "a b%" / "space").exists()
    driver.close()


def some_group() -> str:
    return next(each.gr_name for each in grp.getgrall() if each.gr_gid not in (0, NOBODY))


@root_only
def test_several_users_of_one_group_exclude_each_other(tmp_path: Path):
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.geteuid() and path != Path("/") and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o011)
    name = some_group()
    gid = grp.getgrnam(name).gr_gid
    url = f"file://{tmp_path}/shared?mode=0770&group={name}"
    driver = open_file(url, Options())
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o2770
    held, waits = Ask(driver, "held"), Ask(driver, "theirs")
    assert held.submit()

    def other_user() -> None:
        os.setgroups([gid])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        other = open_file(url, Options(label="nobody"))
        assert not Ask(other, "held").attempt()
        assert Ask(other, "theirs").submit()
        queued = Ask(other, "held")
        assert not queued.submit()
        os.write(there, b"r")
        assert queued.held()
        os.write(there, b"h")
        os.read(stop, 1)

    def stranger() -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        open_file(url, Options())

    here, there = os.pipe()
    stop, go = os.pipe()
    pid = child(other_user)
    assert os.read(here, 1) == b"r"
    assert not waits.submit()
    assert held.drop()
    assert os.read(here, 1) == b"h"
    assert {each.owner.label for each in driver.look("held")} == {"nobody"}
    os.write(go, b"x")
    assert ended(pid) == 0
    assert waits.held()  # nobody's death is told across users
    assert ended(child(stranger)) == 1
    driver.close()
    opened_by_owner = open_file(url, Options())
    opened_by_owner.close()


@root_only
def test_read_only_directory_and_full_disk(tmp_path: Path):
    """In a mount namespace of its own; the program prints what each refusal said."""
    program = Path(__file__).with_name("file_on_small_disks.py")
    ran = subprocess.run(
        ["unshare", "-m", sys.executable, str(program), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=Path(__file__).parents[2],
    )
    if "unshare" in ran.stderr:
        pytest.skip(f"no mount namespace here: {ran.stderr}")
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert "Read-only file system" in said[0]
    assert "No space left" in said[1]
    assert "No space left" in said[2]
    assert said[3] == "works after room was made"


def test_too_many_open_files(tmp_path: Path):
    program = (
        "import resource\n"
        "from holdfast.drivers.file import open_file\n"
        "from holdfast.drivers.base import Options\n"
        "from holdfast.errors import DriverError\n"
        "import os\n"
        "used = len(os.listdir('/proc/self/fd'))\n"
        "for more in range(8):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (used + more, 4096))\n"
        "    try:\n"
        f"        open_file('file://{tmp_path}/s', Options()).close()\n"
        "        print('opened')\n"
        "    except DriverError as error:\n"
        "        print(error)\n"
        "    now = len(os.listdir('/proc/self/fd')) if more > 2 else used\n"
        "    assert now == used, (now, used)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "raise the limit of open files" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "opened"
    assert [each.name for each in (tmp_path / "s").iterdir()] == ["space"]


def test_what_the_doctor_tries(tmp_path: Path):
    driver = opened(tmp_path / "s")
    found = probe(str(tmp_path / "s"))
    assert [text for _, good, text in found if not good] == []
    assert len(found) >= 8
    assert {what: text for what, _, text in found}["lockspace"].startswith("1 process")
    driver.close()
    assert [each.name for each in (tmp_path / "s").iterdir()] == ["space"]


def test_the_doctor_sees_what_is_wrong(tmp_path: Path):
    assert probe(str(tmp_path / "missing"))[0][1] is False
    (tmp_path / "s").mkdir()
    (tmp_path / "s").chmod(0o707)
    assert not probe(str(tmp_path / "s"))[0][1]
    shutil.rmtree(tmp_path / "s")
