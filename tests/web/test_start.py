"""Starting the server loads no library that only an analysis needs: it stands in seconds."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("alembic", "numba", "scipy", "pandas", "polars", "ortools", "typst", "SALib")


def test_the_whole_web_loads_no_numerical_library() -> None:
    """A process of its own imports the whole application, and names what came with it."""
    code = f"import sys, stafett.web.app\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []
