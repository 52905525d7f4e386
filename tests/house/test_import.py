"""What `import holdfast` costs: counted in modules here, in milliseconds by `make bench`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ["asyncio", "click", "rich", "socket", "ssl", "logging", "subprocess", "urllib.request"]


def loaded_by(program: str) -> set[str]:
    program += "; import sys, json; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(ran.stdout))


@pytest.fixture(scope="module")
def beyond_python() -> set[str]:
    return loaded_by("import holdfast") - loaded_by("pass")


@pytest.mark.parametrize("module", HEAVY)
def test_import_holdfast_does_not_load(module: str, beyond_python: set[str]):
    assert module not in beyond_python


def test_using_a_lock_in_threads_does_not_load_asyncio():
    program = (
        "import holdfast\nwith holdfast.Lockspace() as locks:\n  with locks('vm-1'): pass\npass"
    )
    assert "asyncio" not in loaded_by(program)
