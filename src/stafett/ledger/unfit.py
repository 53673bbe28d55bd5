"""What every start says that cannot be: one line with what, where and what to do."""

from __future__ import annotations


class Unfit(RuntimeError):
    """Something that a tower stands on does not hold, and nothing was changed.

    The message is for whoever runs the machine: what is wrong, where, and what to do about it.
    """
