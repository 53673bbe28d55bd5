"""How this room compiles: one decorator, so that every compiled function has the same rules.

`nogil` lets replications run in threads on all cores; `cache` keeps the machine code beside the
source (or in the user's cache folder) so that only the first run of an installation compiles.
`_nrt` off: these functions allocate nothing, and without numba's memory manager arrays are not
counted at each mention (atomically, at a fifth of the whole run time).
No `fastmath`: it would let the compiler reorder sums, and a seed would no longer mean one result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "_nrt": False,
}

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` with numba; the plain function stays reachable as `.py_func`."""
    return cast(F, numba.njit(**OPTIONS)(function))
