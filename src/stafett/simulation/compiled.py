"""How this room compiles: two decorators, so that every compiled function has the same rules.

`nogil` lets replications run in threads on all cores; `cache` keeps the machine code beside the
source (or in the user's cache folder) so that only the first run of an installation compiles.
`_nrt` off: these functions allocate nothing, and without numba's memory manager arrays are not
counted at each mention (atomically, at a fifth of the whole run time). `forceinline`: a call of a
compiled function would hand over every word of its arguments, and the loop works on a hundred.
No `fastmath`: it would let the compiler reorder sums, and a seed would no longer mean one result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
INLINED: dict[str, Any] = {**OPTIONS, "forceinline": True}

NO_ENTRANCE: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

ROOM = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
STAMP = hashlib.sha256(ROOM).hexdigest()

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile `function` into those that call it; the plain one stays reachable as `.py_func`."""
    return cast(F, numba.njit(**INLINED)(function))


def inlined(function: F) -> F:
    """As `compiled`, for what only compiled code calls: without an entrance from Python."""
    return cast(F, numba.njit(**INLINED, **NO_ENTRANCE)(function))


def called(function: F) -> F:
    """Compile `function` once, to be called: the loop, and what is long and seldom needed.

    Kept machine code is valid for this very text of the room: numba asks only whether the module
    of the function has changed, but other modules are compiled into it.
    """
    dispatcher = numba.njit(**OPTIONS, forceinline=False, cache=True)(function)
    file = getattr(dispatcher._cache, "_cache_file", None)
    if file is not None:
        file._source_stamp = STAMP
    return cast(F, dispatcher)
