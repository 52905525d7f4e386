"""The public suite: what every driver must pass. A stranger's driver is run against it like this::

    from holdfast.testing.suite import DriverSuite

    class TestMine(DriverSuite):
        url = "mine://somewhere"

or, if each test needs a URL of its own, or a server that a fixture starts::

    class TestMine(DriverSuite):
        def new_url(self, folder):         # a new, empty folder for each test
            return f"mine://{folder}"

A driver that is not installed (no entry point) overrides :meth:`DriverSuite.open` instead; then
it cannot be used from other processes, and must not promise more than ``reach="process"``.

Which promises are tested follows from the driver's own ``guarantees``. What it does not promise it
must refuse, and the suite tests that instead; see :mod:`holdfast.testing.promises`. No test is
ever skipped. ``python -m holdfast.testing URL`` runs the suite and prints a table.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("holdfast.testing.proofs", "holdfast.testing.parties")

from holdfast.testing.proofs.exclusion import Exclusion  # noqa: E402 (rewritten, see above)
from holdfast.testing.proofs.losing import Losing, Tokens  # noqa: E402
from holdfast.testing.proofs.order import Order, Waking  # noqa: E402
from holdfast.testing.proofs.processes import Forks, Processes, Storm  # noqa: E402
from holdfast.testing.proofs.seeing import Releasing, Seeing  # noqa: E402

__all__ = ["DriverSuite"]


class DriverSuite(
    Exclusion, Order, Waking, Seeing, Releasing, Tokens, Losing, Forks, Processes, Storm
):
    """Subclass it as ``Test...``, and give it ``url``, ``new_url`` or ``open``."""
