"""Which trials a patient could be asked about, from four facts that never leave the browser.

The page does this in JavaScript (`web/static/trialmatch.js`) on the public list that it has loaded;
this is the same rule, which the tests hold it to. It says "could be asked about", never "may join":
the criteria of a trial are text, and a physician reads them.
"""

from __future__ import annotations

import msgspec

from stafett.registry.search import plain
from stafett.registry.trial import Sex, Trial


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the patient. None: not said, and then it excludes nothing."""

    age: float | None = None
    sex: Sex | None = None
    indication: str = ""
    countries: tuple[str, ...] = ()


def could_join(trial: Trial, facts: Facts) -> bool:
    """Say whether nothing that the list knows speaks against asking about this trial."""
    if not trial.open:
        return False
    if facts.age is not None:
        if trial.minimum_age is not None and facts.age < trial.minimum_age:
            return False
        # "up to 17 years" lasts until the eighteenth birthday
        if trial.maximum_age is not None and facts.age >= trial.maximum_age + 1:
            return False
    if facts.sex in ("female", "male") and trial.sex not in ("all", facts.sex):
        return False
    wanted = plain(facts.indication).split()
    told = " ".join(plain(one) for one in trial.indications)
    if any(word not in told for word in wanted):
        return False
    countries = {plain(name) for name in facts.countries}
    return not countries or any(plain(name) in countries for name in trial.countries)
