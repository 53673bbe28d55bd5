"""What more effort gives, and how reliable each interface is: what contracts and capital ask.

`marginal`: each lever pulled with the same effort, under the same luck. `reliabilities`: for each
handoff the chance that it goes right first time. Both with intervals; both may have assumptions
drawn (`Plan.assumptions`), and raise KeyboardInterrupt when stopped.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from stafett.design.estimate import Estimate, summary
from stafett.design.experiment import Design, Plan, run
from stafett.design.levers import LEVERS, Group
from stafett.design.reading import System
from stafett.simulation import Store


@dataclass(frozen=True)
class Marginal:
    """Effect of one lever: patients treated a year, running cost a year (thousand US dollars).

    What pulling the lever itself costs is not in it: that is the caller's to say.
    """

    lever: str
    group: Group
    treated: Estimate
    cost: Estimate

    def per_money(self, price: float) -> Estimate:
        """Additional patients a year for each thousand dollars a year, if the lever costs `price`.

        `price` (thousand US dollars a year, above 0) is the whole price of the effort pulled; the
        change of running cost is left out, since it may have either sign.
        """
        if price <= 0:
            raise ValueError(f"a price of {price:g}: it must be above 0")
        t = self.treated
        return Estimate(t.mean / price, t.low / price, t.high / price)


def marginal(
    system: System,
    plan: Plan,
    effort: float = 0.25,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    store: Store | None = None,
) -> list[Marginal]:
    """Each lever's effect with `effort` (see `levers`), paired with the system as it is."""
    designs = {x.name: Design(system, change=x.with_effort(effort)) for x in LEVERS}
    designs[""] = Design(system)
    found = run(designs, plan, executor=executor, workers=workers, store=store).whole()
    before = found.values("", "treated_per_year")
    paid = [c * t for c, t in zip(found.values("", "cost"), before, strict=True)]

    def one(name: str, group: Group) -> Marginal:
        after = found.values(name, "treated_per_year")
        spent = [c * t for c, t in zip(found.values(name, "cost"), after, strict=True)]
        gained = [a - b for a, b in zip(after, before, strict=True)]
        more = [a - b for a, b in zip(spent, paid, strict=True)]
        return Marginal(
            name, group, summary(gained, plan.assumptions), summary(more, plan.assumptions)
        )

    return [one(x.name, x.group) for x in LEVERS]


def reliabilities(
    system: System,
    plan: Plan,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    store: Store | None = None,
) -> dict[str, Estimate]:
    """For each handoff, in the order of the journey, the chance (0 to 1) of right first time."""
    found = run(
        {"": Design(system)}, plan, executor=executor, workers=workers, store=store
    ).whole()  # fmt: skip
    head = "right_first_time/"
    keys = [k for k in found.figures[""][0] if k.startswith(head)]
    return {
        k.removeprefix(head): summary([v / 100 for v in found.values("", k)], plan.assumptions)
        for k in keys
    }
