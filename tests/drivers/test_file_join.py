"""Joining a lockspace while others join."""

import fcntl
import os

from holdfast import Lockspace
from holdfast.drivers.filespace import peers


def test_a_fifo_is_made_where_no_joiner_can_take_it_for_a_dead_ones(tmp_path, monkeypatch):
    """T1 makes its FIFO; before T1 reads it T2 joins, and removes what nobody reads."""
    real = peers._both_ends
    mutex = []

    def both_ends(directory, name, access):
        fd = os.open("space", os.O_RDWR, dir_fd=directory)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mutex.append("free")
        except BlockingIOError:
            mutex.append("taken")
        finally:
            os.close(fd)
        return real(directory, name, access)

    monkeypatch.setattr(peers, "_both_ends", both_ends)
    with Lockspace(f"file://{tmp_path}/s") as locks, locks("a"):
        assert mutex == ["taken"]


def test_a_failed_join_leaves_no_file_and_lets_the_next_one_in(tmp_path, monkeypatch):
    url = f"file://{tmp_path}/s"
    Lockspace(url).close()
    before = sorted(os.listdir(tmp_path / "s"))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(peers, "_both_ends", full)
        try:
            Lockspace(url).snapshot()
        except Exception as error:
            assert "No space left" in str(error)
        else:
            raise AssertionError("joined without a FIFO")
    assert sorted(os.listdir(tmp_path / "s")) == before
    with Lockspace(url) as locks, locks("a"):
        assert len(locks.snapshot()) == 1
