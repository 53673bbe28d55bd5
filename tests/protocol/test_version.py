"""Which of two versions is the lower."""

from __future__ import annotations

import pytest

from stafett.protocol.version import lower


@pytest.mark.parametrize(
    ("one", "than"),
    [
        ("1.9.0", "1.10.0"), ("1", "1.0.1"), ("1.3.0-rc.1", "1.3.0"), ("1.3.0-rc.2", "1.3.0-rc.10"),
        ("1.3.0-2", "1.3.0-rc"), ("2026", "2026a"), ("2026a", "2026b"), ("0.9", "draft"),
    ],
)  # fmt: skip
def test_the_lower_of_two_versions(one: str, than: str) -> None:
    """Numbers as numbers, what has a hyphen before what has none; never both ways."""
    assert lower(one, than)
    assert not lower(than, one)


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.0.0"), ("1.2+a", "1.2+b"), ("1A", "1a")])
def test_versions_that_are_the_same_in_rank(one: str, other: str) -> None:
    """Neither is the lower: nobody is warned of going back."""
    assert not lower(one, other)
    assert not lower(other, one)
