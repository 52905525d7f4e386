"""Run in a mount namespace by test_file_ground.py: a read-only and a full file system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from holdfast.errors import DriverError
from tests.crash.kit import Ask, opened


def mount(path: Path, *options: str) -> None:
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", *options, "none", str(path)], check=True)


def refused(path: Path) -> None:
    try:
        opened(path)
    except DriverError as error:
        print(error)
    else:
        print("not refused")


def main(where: Path) -> None:
    mount(where / "read-only", "-o", "ro")
    refused(where / "read-only" / "space")
    mount(where / "tiny", "-o", "size=300k")
    refused(where / "tiny" / "space")
    assert list((where / "tiny" / "space").iterdir()) == [], "half a file was left"
    fill(where / "small")


def fill(path: Path) -> None:
    """Names until the disk is full: an error, nothing granted, and all others live on."""
    mount(path, "-o", "size=2m")
    driver = opened(path / "space")
    asks = []
    try:
        while True:
            ask = Ask(driver, f"name-{len(asks)}")
            ask.submit()
            asks.append(ask)
    except DriverError as error:
        print(error)
    assert ask.claim.state != "held"
    assert len(driver.look("")) == len(asks) > 100
    for each in asks[:50]:
        assert each.drop()
    assert Ask(driver, "one more").submit()
    print("works after room was made")
    driver.close()


main(Path(sys.argv[1]))
