"""The memory driver keeps what it promises."""

from holdfast.testing.suite import DriverSuite


class TestMemory(DriverSuite):
    url = "memory:"
