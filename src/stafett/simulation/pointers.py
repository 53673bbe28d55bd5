"""Arrays as bare pointers inside compiled code.

An array is seven words to the compiler (owner, length, shape, strides ...), and an index may be
negative. A pointer is one word, and an index is what it says: nobody checks it (decision 228).
"""

# What only the compiler sees has no types for mypy.
# mypy: disable-error-code="no-untyped-def, no-untyped-call, misc, typeddict-item, call-arg"
from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from numba.core import types
from numba.extending import intrinsic, overload

from stafett.simulation.compiled import INLINED

T = TypeVar("T")


@intrinsic
def _pointers(_, arrays):
    of = [types.CPointer(array.dtype) for array in arrays]
    signature = types.NamedTuple(of, arrays.instance_class)(arrays)

    def code(context, builder, signature, args):
        data = []
        for i, array in enumerate(signature.args[0]):
            value = builder.extract_value(args[0], i)
            data.append(context.make_array(array)(context, builder, value).data)
        return context.make_tuple(builder, signature.return_type, data)

    return signature, code


@intrinsic
def _row(_, table, i, width):
    is_array = isinstance(table, types.Array)
    pointer = types.CPointer(table.dtype) if is_array else table

    def code(context, builder, signature, args):
        data = args[0]
        if is_array:
            data = context.make_array(signature.args[0])(context, builder, data).data
        return builder.gep(data, [builder.mul(args[1], args[2])])

    return pointer(table, types.intp, types.intp), code


def pointers(arrays: T) -> T:
    """A named tuple of arrays as the same tuple of pointers, in compiled code. They outlive it."""
    return arrays


def row(table: Any, i: int, width: int) -> Any:
    """Row `i` of a table with `width` columns; in compiled code a pointer to it."""
    return table[i]


if not TYPE_CHECKING:

    @overload(pointers, jit_options=INLINED)
    def _(arrays):
        return lambda arrays: _pointers(arrays)

    @overload(row, jit_options=INLINED)
    def _(table, i, width):
        return lambda table, i, width: _row(table, i, width)
