"""A comparison watched: figures that grow into the final ones, and nothing run twice."""

from __future__ import annotations

from pathlib import Path

from stafett.design.compare import compare
from stafett.design.experiment import Plan
from stafett.design.reading import load
from stafett.design.sofar import SoFar, looks, watch, watched
from stafett.service.studio import evaluations
from stafett.simulation import Store

PLAN = Plan(replications=5, years=0.25, warmup=0.25)


def test_it_is_looked_more_often_at_the_beginning() -> None:
    """Two replications are the least that have an interval; the last look has all."""
    assert list(looks(12)) == [2, 4, 8, 12]
    assert list(looks(2)) == [2]


def test_figures_so_far_end_as_the_comparisons_and_each_replication_is_told_once(
    tmp_path: Path,
) -> None:
    """The last look is the answer's own figures, and the progress of both is the whole."""
    systems = {"tissue": load("sweden-tissue")}
    store = Store(tmp_path / "kept.jsonl")
    seen: list[SoFar] = []
    parts: list[int] = []
    rest = watch(systems, PLAN, store, seen.append, parts.append)
    assert [(x.replications, x.of) for x in seen] == [(2, 5), (4, 5), (5, 5)]
    assert sum(parts) == 5
    answer = compare(systems, PLAN, store=store, progress=rest)
    assert seen[-1].figures == answer.figures
    assert seen[0].figures != answer.figures
    assert sum(parts) == evaluations(systems, PLAN)


def test_levers_disruptions_and_scale_are_seen_a_part_at_a_time_as_they_will_stand(
    tmp_path: Path,
) -> None:
    """What is shown once does not move, and the answer is that of a comparison nobody watched."""
    systems = {"tissue": load("sweden-tissue")}
    seen: list[SoFar] = []
    parts: list[int] = []
    answer = watched(systems, PLAN, Store(tmp_path / "a.jsonl"), seen.append, parts.append)
    after = seen[3:]  # the looks at the system itself come first
    assert [len(x.levers["tissue"]) for x in after] == [7, 11, 14, 14, 14]
    assert [len(x.resilience["tissue"]) > 0 for x in after] == [False, False, False, True, True]
    assert [len(x.scale["tissue"]) for x in after] == [0, 0, 0, 0, 3]
    for x in after:
        assert x.figures == answer.figures
        assert all(answer.marginal["tissue"][k]["treated_share"] == e
                   for k, e in x.levers["tissue"].items())  # fmt: skip
    assert (after[-1].resilience, after[-1].scale) == (answer.resilience, answer.scale)
    assert [x.seen for x in seen] == sorted({x.seen for x in seen}), "the page sees each"
    assert sum(parts) == evaluations(systems, PLAN)
    assert repr(compare(systems, PLAN)) == repr(answer)


def test_a_watched_run_goes_on_from_what_was_kept(tmp_path: Path) -> None:
    """Begun again with the same store the same figures come back, told as done once."""
    systems = {"tissue": load("sweden-tissue")}
    before: list[SoFar] = []
    watch(systems, PLAN, Store(tmp_path / "kept.jsonl"), before.append, lambda _: None)
    parts: list[int] = []
    after: list[SoFar] = []
    watch(systems, PLAN, Store(tmp_path / "kept.jsonl"), after.append, parts.append)
    assert after == before and sum(parts) == 5
