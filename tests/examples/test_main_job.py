"""`make run`, the main job: it must succeed, and it must be able to fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house.source import ROOT


def main_job(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "examples" / "main_job", *options],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.slow
def test_the_main_job_survives_its_dead_and_verifies_every_byte():
    ran = main_job()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    assert ran.stdout.count("killed with -9") >= 2
    assert "VERIFIED" in ran.stdout.splitlines()[-1]
    assert "holds: writer-" in ran.stdout, "who holds is told, also without a terminal"


def test_without_the_lock_the_verification_fails():
    ran = main_job("--reckless", "--rounds", "3")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "FAILED" in ran.stdout
