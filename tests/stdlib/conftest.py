"""Coroutines are tests here."""

from tests.races.tasks import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call"]
