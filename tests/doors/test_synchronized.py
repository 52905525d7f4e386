"""``synchronized``: names from a call's arguments, sync and async, and what it refuses."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from holdfast import BadName, Deadlock, Lockspace, LockTimeout


@pytest.fixture
def locks():
    with Lockspace() as space:
        yield space
        assert space.snapshot() == []


def held(locks):
    return [(holder.name, str(holder.mode)) for holder in locks.snapshot()]


def test_name_from_the_arguments_however_they_are_given(locks):
    @locks.synchronized("vm-{vm_id}-{action}")
    def run(vm_id, action="reboot", *, force=False):
        return held(locks), force

    assert run(7) == ([("vm-7-reboot", "exclusive")], False)
    assert run(vm_id=8, action="stop") == ([("vm-8-stop", "exclusive")], False)
    assert run(9, "start", force=True) == ([("vm-9-start", "exclusive")], True)


async def test_coroutines_hold_it_until_they_end(locks):
    @locks.synchronized("vm-{vm_id}")
    async def run(vm_id):
        await asyncio.sleep(0)
        return held(locks)

    assert await run(7) == [("vm-7", "exclusive")]
    assert asyncio.iscoroutinefunction(run)


def test_methods_and_attributes(locks):
    class Manager:
        host = "h1"

        @locks.synchronized("{self.host}/{vm.uuid}/{disks[0]}")
        def run(self, vm, disks):
            return held(locks)

        @classmethod
        @locks.synchronized("{cls.host}")
        def of_class(cls):
            return held(locks)

        @staticmethod
        @locks.synchronized("{n:03}")
        def static(n):
            return held(locks)

    manager = Manager()
    assert manager.run(SimpleNamespace(uuid="u"), ["d0"]) == [("h1/u/d0", "exclusive")]
    assert manager.of_class() == [("h1", "exclusive")]
    assert manager.static(7) == [("007", "exclusive")]


def test_modes_and_time_out(locks):
    @locks.synchronized("n", shared=True)
    def read():
        return held(locks)

    @locks.synchronized("n", slots=2)
    def fill():
        return held(locks)

    @locks.synchronized("n", timeout=0)
    def never():
        raise AssertionError("entered")

    assert read() == [("n", "shared")]
    assert fill() == [("n", "slots:2")]
    grant = locks("n").acquire()
    with pytest.raises(LockTimeout):
        never()
    grant.release()


def test_keyword_arguments_of_any_name(locks):
    @locks.synchronized("{vm_id}")
    def run(**facts):
        return held(locks)

    assert run(vm_id="x") == [("x", "exclusive")]


@pytest.mark.parametrize("template", ["vm-{vm}", "{0}", "{}", "{vm.id}", "{self.host}"])
def test_unknown_field_is_refused_when_decorating(locks, template):
    with pytest.raises(ValueError, match=r"synchronized\(.*names .*run\(\) has vm_id") as caught:

        @locks.synchronized(template)
        def run(vm_id):
            raise AssertionError("called")

    assert template in str(caught.value)


def test_generators_are_refused_when_decorating(locks):
    with pytest.raises(TypeError, match="generator"):

        @locks.synchronized("n")
        def run():
            yield 1

    with pytest.raises(TypeError, match="generator"):

        @locks.synchronized("n")
        async def run_async():
            yield 1


def test_name_that_the_arguments_make_bad_is_refused_at_the_call(locks):
    @locks.synchronized("{vm_id}")
    def run(vm_id):
        raise AssertionError("entered")

    with pytest.raises(BadName):
        run("")
    with pytest.raises(TypeError):
        run()


def test_function_keeps_its_face(locks):
    @locks.synchronized("n")
    def run(a: int, b: str = "x") -> None:
        """What it does."""

    assert (run.__name__, run.__doc__) == ("run", "What it does.")
    assert run.__wrapped__.__annotations__["a"] == "int"


def test_errors_pass_and_release(locks):
    @locks.synchronized("n")
    def run():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()


def test_recursion_under_one_name_is_told(locks):
    @locks.synchronized("n")
    def run():
        run()

    with pytest.raises(Deadlock):
        run()
