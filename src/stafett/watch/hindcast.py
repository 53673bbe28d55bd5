"""How right the forecasts were: asked again of finished journeys, with what was known before them.

The journeys of a protocol are cut in the middle of their time. What had been seen by then is learnt
from, those still under way counted as such; the later ones are predicted. Each deadline is asked
about at fixed shares of its time, while it is still open: a moment chosen by how long a journey
takes would tell how long it takes. An activity that was done again counts where it was done last.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, NamedTuple

from stafett.watch import prediction
from stafett.watch.course import Progress, as_of
from stafett.watch.plan import Limit, Plan

ASKED_AT: Final = (0.1, 0.4, 0.7)  # shares of a deadline's time that have passed
LEAST: Final = 20  # finished journeys on each side of the cut; below, nothing can be said
QUESTIONS: Final = 600  # at most; a draw of all, the same each time


class Question(NamedTuple):
    """One deadline of one journey, asked about at `now`; `late` is what came of it."""

    journey: int
    limit: Limit
    now: float
    late: bool


class Hindcast(NamedTuple):
    """What was said (probabilities) of `held` journeys and what happened, `learnt` before them.

    `usual` is what somebody would say who knows only how often each deadline was missed before.
    Times in seconds since 1970: the held-out journeys opened from `since` to `until`.
    """

    learnt: int
    held: int
    said: tuple[float, ...]
    usual: tuple[float, ...]
    happened: tuple[bool, ...]
    since: float
    until: float


def hindcast(
    plan: Plan, finished: Sequence[Progress], going: Sequence[Progress] = ()
) -> Hindcast | None:
    """Ask of the later half of `finished` what the earlier half would have said; None: too few.

    `going` are still under way today: those that had begun by the cut are learnt from as well.
    """
    journeys = sorted(finished, key=lambda one: one.opened)
    if len(journeys) < 2 * LEAST:
        return None
    cut = journeys[len(journeys) // 2].opened
    before = [one for one in journeys if one.opened < cut]
    held = [one for one in journeys if one.opened >= cut]
    past = [as_of(one, cut) for one in (*before, *(g for g in going if g.opened < cut))]
    learnt = prediction.learn(plan, past)
    rates = {limit: _rate(limit, past) for limit in plan.limits}
    asked = [q for i, one in enumerate(held) for q in _questions(plan, i, one)]
    if len(asked) > QUESTIONS:
        asked = sorted(random.Random(1).sample(asked, QUESTIONS))
    said = []
    for one in asked:
        alone = plan._replace(limits=(one.limit,))
        (found,) = prediction.look_ahead(alone, learnt, as_of(held[one.journey], one.now)).deadlines
        said.append(found.miss)
    return Hindcast(
        len(past),
        len({one.journey for one in asked}),
        tuple(said),
        tuple(rates[one.limit] for one in asked),
        tuple(one.late for one in asked),
        held[0].opened,
        held[-1].opened,
    )


def _questions(plan: Plan, number: int, one: Progress) -> list[Question]:
    found = []
    for limit in plan.limits:
        begun, done = one.done.get(limit.since), one.done.get(limit.name)
        if begun is None or done is None or done < begun:
            continue
        late = done - begun > limit.seconds
        for share in ASKED_AT:
            now = begun + share * limit.seconds
            if now < done:
                found.append(Question(number, limit, now, late))
    return found


def _rate(limit: Limit, past: Sequence[Progress]) -> float:
    """Return how often a deadline was missed; half a journey each way, so that it is never sure."""
    lengths = [p.done[limit.name] - p.done[limit.since] for p in past
               if limit.name in p.done and limit.since in p.done]  # fmt: skip
    return (sum(length > limit.seconds for length in lengths) + 0.5) / (len(lengths) + 1)
