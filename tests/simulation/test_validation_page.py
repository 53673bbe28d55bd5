"""The page of the documentation that holds the simulator against theory is what it computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_validation_page_is_current() -> None:
    """Made again, bit for bit; a figure that disagrees with theory is status 1."""
    made = subprocess.run(
        [sys.executable, ROOT / "scripts" / "validation.py", "--check"],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
