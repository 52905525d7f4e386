"""The file driver keeps what it promises."""

from holdfast.testing.suite import DriverSuite


class TestFile(DriverSuite):
    url = "file://{folder}/space"
