"""The public test kit: what every driver must pass, and the tools that its tests are made of.

======================================  ========================================================
:mod:`holdfast.testing.suite`           ``DriverSuite``: one subclass tests a stranger's driver
:mod:`holdfast.testing.promises`        what a driver may promise
:mod:`holdfast.testing.report`          ``python -m holdfast.testing URL``: what was proved
:mod:`holdfast.testing.history`         did two that exclude each other ever hold at one time?
:mod:`holdfast.testing.faults`          an exception, a death, a stop at one exact point
:mod:`holdfast.testing.parties`         those who contend, by thread, task or process
======================================  ========================================================

It needs pytest (``pip install holdfast[testing]``).
"""
