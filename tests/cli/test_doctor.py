"""``holdfast doctor``: tries the directory, tells the promises, and fails if it must."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.tools import HoldfastRunner


def record_of(holdfast: HoldfastRunner, *args: object) -> tuple[int, dict]:
    ran = holdfast("doctor", "--json", *args)
    assert ran.stderr == ""
    return ran.returncode, json.loads(ran.stdout)


def test_a_good_directory(holdfast: HoldfastRunner):
    status, record = record_of(holdfast)
    assert (status, record["version"], record["space"]) == (0, 1, holdfast.space)
    assert len(record["checks"]) > 1
    assert all(each["ok"] for each in record["checks"])
    assert record["guarantees"]["reach"] == "host"
    assert record["guarantees"]["modes"] == ["exclusive", "group", "shared", "slots"]


def test_it_speaks_to_people(holdfast: HoldfastRunner):
    ran = holdfast("doctor")
    assert ran.returncode == 0
    assert "FAILED" not in ran.stdout
    assert "Excludes each other: the users of one host." in ran.stdout
    assert "Limit: " in ran.stdout


REFUSED = ["a file", "open to all", "read-only"]
if os.geteuid() == 0:  # only root can make what belongs to another user
    REFUSED += ["another user's", "over another user's link"]


@pytest.fixture(params=REFUSED)
def refused(holdfast: HoldfastRunner, request: pytest.FixtureRequest) -> Path:
    """A place that must not be used as a lockspace."""
    path = holdfast.folder / "refused"
    if request.param == "a file":
        path.touch()
    elif request.param == "another user's":
        path.mkdir(mode=0o700)
        os.chown(path, 65534, 65534)
    elif request.param == "over another user's link":
        (holdfast.folder / "elsewhere").mkdir(mode=0o700)
        path.symlink_to("elsewhere")
        os.lchown(path, 65534, 65534)
    elif request.param == "open to all":
        path.mkdir()
        path.chmod(0o777)
    else:
        return Path("/proc/sys/locks")  # not even root makes a directory there
    return path


def test_a_refused_directory_fails_and_says_why(holdfast: HoldfastRunner, refused: Path):
    status, record = record_of(holdfast, "--space", f"file://{refused}")
    assert status == 1
    failed = [each for each in record["checks"] if not each["ok"]]
    assert failed and all(each["detail"] for each in failed)
    assert record["guarantees"] is None


def test_a_failure_is_said_to_people(holdfast: HoldfastRunner, refused: Path):
    ran = holdfast("doctor", "--space", f"file://{refused}")
    assert ran.returncode == 1
    assert "FAILED" in ran.stdout
    assert f"Do not rely on file://{refused}" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_a_scheme_without_a_driver_fails(holdfast: HoldfastRunner):
    status, record = record_of(holdfast, "--space", "carrier-pigeon://loft")
    assert status == 1
    assert "carrier-pigeon" in record["checks"][0]["detail"]


def test_it_leaves_nothing_behind(holdfast: HoldfastRunner):
    holder = holdfast.hold("vm-1")
    before = sorted(holdfast.folder.rglob("*"))
    assert record_of(holdfast)[0] == 0
    assert sorted(holdfast.folder.rglob("*")) == before
    assert [each["owner"]["pid"] for each in holdfast.entries()] == [holder.pid]
