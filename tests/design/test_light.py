"""Reading about systems loads no compiler, no optimiser and no tables: the server imports this."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numba", "scipy", "polars", "ortools", "typst")
READ = (
    "stafett.service.studio",
    "stafett.service.incentives",
    "stafett.service.pictures.lanes",
    "stafett.service.pictures.planes",
    "stafett.service.pictures.fits",
    "stafett.service.design_report",
    "stafett.service.incentives_report",
    "stafett.design.compare",
    "stafett.design.capital.allocate",
)


def test_what_the_pages_read_loads_no_numerical_library() -> None:
    """A process of its own imports what the design pages need, and names what came with it."""
    code = f"import sys, {', '.join(READ)}\nprint(*[n for n in {HEAVY} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []
