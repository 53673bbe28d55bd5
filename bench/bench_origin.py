"""How often do the intervals of the latent origin hold the truth? On simulated defects, printed.

    python bench/bench_origin.py [DATASETS]        default 40, about two minutes

Two kinds of truth: one fixed chain (collection's defects are found late), and chains drawn at
random (stages, units, chances, sensitivities, a cause code on some defects). The truth is what was
realised in the data set. A nominal 95 % interval should hold it in 90 to 98 % of the cases.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from stafett.insight.origin import Anchor, Journeys, latent_origin


def draw(
    rng: np.random.Generator, n: int, rates: list[np.ndarray], detection: np.ndarray, coded: float
) -> tuple[Journeys, np.ndarray]:
    """Let n journeys run through the stages; return what is seen, and the true shares."""
    k = len(rates)
    units = np.column_stack([rng.integers(0, len(r), n) for r in rates])
    p = np.column_stack([rates[s][units[:, s]] for s in range(k)])
    hit = rng.random((n, k)) < p
    origin = np.where(hit.any(axis=1), hit.argmax(axis=1), -1)
    surfaced = np.full(n, -1)
    for m in range(k):
        chance = detection[np.maximum(origin, 0), m]
        now = (origin >= 0) & (origin <= m) & (surfaced < 0) & (rng.random(n) < chance)
        surfaced[now] = m
    truth = np.bincount(origin[surfaced >= 0], minlength=k) / (surfaced >= 0).sum()
    known = (surfaced >= 0) & (rng.random(n) < coded)
    names = tuple(f"stage {s}" for s in range(k))
    return Journeys(names, surfaced, units, np.where(known, origin, -1)), truth


def fixed(seed: int) -> tuple[Journeys, np.ndarray]:
    """Five stages; 45 % of the defects begin at collection, of which 2 % are found there."""
    rng = np.random.default_rng([1, seed])
    sizes, base = [20, 12, 12, 12, 20], [0.10, 0.02, 0.06, 0.01, 0.02]
    rates = [
        np.clip(b * np.exp(rng.normal(0, 0.8, s)), 0, 0.6) for b, s in zip(base, sizes, strict=True)
    ]
    detection = np.array(
        [[0.05, 0.1, 0.2, 0.6, 1], [0, 0.1, 0.2, 0.3, 1], [0, 0, 0.1, 0.7, 1], [0, 0, 0, 0.3, 1],
         [0, 0, 0, 0, 1]]
    )  # fmt: skip
    return draw(rng, 6000, rates, detection, 0.0)


def random_chain(seed: int) -> tuple[Journeys, np.ndarray]:
    """Three to six stages of 4 to 20 units; 1,000 to 5,000 journeys; up to a fifth coded."""
    rng = np.random.default_rng([2, seed])
    k = int(rng.integers(3, 7))
    rates = []
    for _ in range(k):
        base, spread = np.exp(rng.uniform(np.log(0.01), np.log(0.08))), rng.uniform(0.3, 1.0)
        size = int(rng.integers(4, 21))
        rates.append(np.clip(base * np.exp(rng.normal(0, spread, size)), 0, 0.6))
    detection = np.triu(rng.uniform(0, 0.9, (k, k)))
    detection[:, k - 1] = 1
    return draw(
        rng, int(rng.integers(1000, 5001)), rates, detection, float(rng.choice([0, 0, 0.2]))
    )


def doubtful(seed: int) -> tuple[Journeys, np.ndarray]:
    """The fixed chain whose last check finds 80 %; known as 80 % from fifty defects."""
    rng = np.random.default_rng([3, seed])
    sizes, base = [20, 12, 20], [0.10, 0.03, 0.04]
    rates = [
        np.clip(b * np.exp(rng.normal(0, 0.8, s)), 0, 0.6) for b, s in zip(base, sizes, strict=True)
    ]
    detection = np.array([[0.1, 0.3, 0.8], [0, 0.3, 0.8], [0, 0, 0.8]])
    return draw(rng, 4000, rates, detection, 0.0)


def main() -> None:
    """Measure and print."""
    datasets = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    for name, make in (("fixed", fixed), ("random", random_chain), ("doubtful anchor", doubtful)):
        inside, width, error, mixing = 0, [], [], []
        checks = 0
        began = time.process_time()
        for seed in range(datasets):
            journeys, truth = make(seed)
            anchors = None
            if name == "doubtful anchor":
                study = np.random.default_rng([4, seed]).binomial(50, 0.8) / 50
                anchors = {len(journeys.stages) - 1: Anchor(study, 50)}
            found = latent_origin(journeys, anchors=anchors, seed=seed)
            inside += int(((found.low <= truth) & (truth <= found.high)).sum())
            checks += len(truth)
            width += list(found.high - found.low)
            error += list(np.abs(found.began - truth))
            mixing.append(found.mixing)
        taken = (time.process_time() - began) / datasets
        print(
            f"{name:<16} {datasets} data sets: 95 % intervals hold the truth in {inside} of"
            f" {checks} ({inside / checks:.1%}); mean width {np.mean(width):.2f}, mean error"
            f" {np.mean(error):.3f}, chains' ratio median {np.median(mixing):.2f} worst"
            f" {max(mixing):.2f}, {taken:.1f} s CPU each",
            flush=True,
        )


if __name__ == "__main__":
    main()
