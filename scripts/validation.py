"""Write the page that holds the simulator against theory and against published figures.

python scripts/validation.py          write docs/reference/validation.md
python scripts/validation.py --check  exit status 1 if it is not current, or a figure disagrees
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from stafett.design.experiment import Plan
from stafett.design.reading import load
from stafett.design.validate import Row, validate
from stafett.simulation.exact import LIMIT, REPLICATIONS, Verdict, cases, verdicts

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "validation.md"
FOUR = ("sweden", "spain", "us", "uk")
PLAN = Plan(20, 1.0, seed=1)
HEAD = f"""# The simulator against theory and against published figures

Made by `scripts/validation.py`; a test makes it again and compares. Seeds are fixed, and a seed
gives the same figures on every machine: `stafett design verify` prints the first table,
`stafett design validate --replications {PLAN.replications} --years {PLAN.years:g}` the second.

## Verified: what theory gives exactly

Mean and 95 % interval over {REPLICATIONS} replications, each network with a seed of its own. A
figure agrees when it lies within {LIMIT:g} standard errors (z) of the exact value. Of intervals
that hold 95 %, one in twenty leaves its exact value out: that is chance, not an error.

| Network | Theory | Figure | Exact | Simulated | 95 % interval | z | Agrees |
|---|---|---|---|---|---|---|---|
"""
MIDDLE = """
## Validated: what is published of real systems

Misses are printed as they are. *Mark*: A read in the source, A2 in a secondary source, B from the
literature and not checked, D our arithmetic. *Put in*: the figure is an input too, so that
agreement says only that nothing was lost on the way. Times of steps were chosen with the other
figures in view, within plausible ranges: agreement shows that the model can be made to look like
the system, not that it predicts.

| System | Figure | Published | Plausible | Simulated | 95 % interval | Inside | Mark |
|---|---|---|---|---|---|---|---|
"""


def exact(found: Iterable[Verdict]) -> str:
    """The first table."""
    return "".join(
        f"| {v.case} | {v.source} | {v.what} | {v.exact:.4f} | {v.mean:.4f} |"
        f" {v.low:.4f} to {v.high:.4f} | {v.z:+.1f} | {'yes' if v.agrees else '**no**'} |\n"
        for v in found
    )


def published(rows: Iterable[Row]) -> str:
    """The second table."""
    lines = []
    for r in rows:
        p, s = r.published, r.simulated
        digits = 3 if p.high <= 1 else 1
        inside = ("yes" if r.inside else "**no**") + (", put in" if p.put_in else "")
        lines.append(
            f"| {r.system} | {p.what} | {p.value:g} | {p.low:g} to {p.high:g} |"
            f" {s.mean:.{digits}f} | {s.low:.{digits}f} to {s.high:.{digits}f} | {inside} |"
            f" {p.mark} |\n"
        )
    return "".join(lines)


def main() -> int:
    """Write or check the page."""
    found = [v for case in cases() for v in verdicts(case)]
    rows = validate({name: load(name) for name in FOUR}, PLAN).rows
    text = HEAD + exact(found) + MIDDLE + published(rows)
    if "--check" not in sys.argv:
        PAGE.write_text(text, "utf-8")
    elif PAGE.read_text("utf-8") != text:
        print(f"{PAGE.name} is not current: run python scripts/validation.py")
        return 1
    wrong = [v for v in found if not v.agrees]
    for v in wrong:
        print(f"{v.case}, {v.what}: exact {v.exact:.5f}, simulated {v.mean:.5f}, z = {v.z:.2f}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
