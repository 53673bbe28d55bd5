"""A random vector of the null space: zero where every solution is."""

from __future__ import annotations

import random

import numpy as np

from stafett.registry.elimination import PRIME, null_vector


def test_what_has_one_solution_is_zero_and_what_is_free_is_not() -> None:
    """a + b = 0 leaves both free; with a - b = 0 beside it neither is."""
    free = null_vector([{"a": 1, "b": 1}, {"c": 1}])
    assert free["a"] and free["b"] and (free["a"] + free["b"]) % PRIME == 0 and free["c"] == 0
    assert set(null_vector([{"a": 1, "b": 1}, {"a": 1, "b": -1}]).values()) == {0}
    assert null_vector([]) == {} and null_vector([{}]) == {}


def test_it_agrees_with_a_singular_value_decomposition() -> None:
    """Drawn sparse sums: the same names are determined as numpy's null space says."""
    draw = random.Random(3)
    for _ in range(60):
        names = range(draw.randint(2, 14))
        rows = [
            {
                n: draw.choice((1, -1))
                for n in draw.sample(names, draw.randint(1, min(4, len(names))))
            }
            for _ in range(draw.randint(1, 12))
        ]
        used = sorted({n for row in rows for n in row})
        matrix = np.array([[row.get(n, 0) for n in used] for row in rows], float)
        _, values, vectors = np.linalg.svd(matrix)
        null = vectors[int((values > 1e-9).sum()) :]
        expected = {n for k, n in enumerate(used) if not len(null) or abs(null[:, k]).max() < 1e-9}
        found = null_vector(rows)
        assert {n for n in used if found[n] == 0} == expected
        for row in rows:
            assert sum(v * found[n] for n, v in row.items()) % PRIME == 0
