"""Starting the server loads no library that only an analysis needs: it stands in seconds."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numba", "scipy", "polars", "ortools", "typst", "SALib")


def test_the_tower_and_the_learning_pages_load_no_numerical_library() -> None:
    """A process of its own imports what every request needs, and names what came with it."""
    code = (
        "import sys, stafett.service.tower, stafett.web.learn, stafett.web.labels\n"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == []
