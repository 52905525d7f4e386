"""``python -m holdfast.testing``: see :mod:`holdfast.testing.report`."""

from __future__ import annotations

import sys

from holdfast.testing.report import main

sys.exit(main())
