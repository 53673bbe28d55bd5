"""Out of specification: supplied at the physician's request, or not at all.

What a result of a release test or of a certification says, and OOS_RESULT wherever it is raised,
puts the specification in doubt. Where that is about a dose and the record states it, one thing only
lets the product go on: the deviation's signed decision to supply it out of specification, which
needs the physician's request, the evaluation of the risks, and its acceptance on both sides
(Guidelines on good manufacturing practice specific to advanced therapy medicinal products, EudraLex
volume 4 part IV, 11.5; handoff catalogue H15). Everything else in doubt (a starting material, a
result that was withdrawn) waits until a person has decided: what is unknown is not certified.
"""

from __future__ import annotations

from typing import Final

from stafett.journey import excursion
from stafett.journey.raised import Raised
from stafett.journey.refusal import Code, Reason, Refusal, Refused
from stafett.journey.state import Lot, Sheet, State
from stafett.protocol.model import Check, Step
from stafett.protocol.net import DONE, OPEN, Net

OOS_RESULT: Final = "OOS_RESULT"
SUPPLY: Final = "supply-out-of-specification"
# Decisions that would pass off what is out of specification as if it were within.
AS_IF_WITHIN: Final = ("no-effect", "use-as-is")
# Steps whose results say whether a product is within its specification.
JUDGES: Final = ("test", "certify")
# Steps that cannot be undone, or on which all that follows relies.
RELY: Final = (*excursion.RELY, "thaw")
_ASIDE: Final = ("packaging", "sample", "kit")


# -- which deviations, about what ----------------------------------------------------------------


def codes(net: Net) -> frozenset[str]:
    """Return the codes that say that a product is out of specification."""
    told = {
        result.deviation
        for step in net.protocol.steps.values()
        if step.kind in JUDGES
        for result in step.results.values()
        if result.deviation is not None
        and result.deviation in net.protocol.deviations
        and net.protocol.deviations[result.deviation].kind == "product"
    }
    return frozenset({OOS_RESULT, *told})


def _place(net: Net, raised: Raised) -> str | None:
    if raised.detected in net.index:
        return raised.detected
    return raised.about if raised.about in net.index else None


def directly(net: Net, state: State, raised: Raised) -> frozenset[str]:
    """Return the lots that a result is about.

    A sample speaks of what it was taken from, and who finds it in a box speaks of what is in it.
    """
    if raised.about in net.material:
        found = {
            lot.lot
            for lot in state.lots.values()
            if lot.material == raised.about and lot.made_at <= raised.raised_at
        }
    else:
        found = _handled(net, state, raised)
    found |= {n for n, lot in state.lots.items() if not found.isdisjoint(lot.inside)}
    while samples := {name for name in found if _purpose(net, state.lots[name]) == "sample"}:
        found = (found - samples) | {p for name in samples for p in _taken_from(net, state, name)}
    return frozenset(name for name in found if _purpose(net, state.lots[name]) not in _ASIDE)


def _taken_from(net: Net, state: State, sample: str) -> set[str]:
    """Return what a sample was taken from, and what was made together with it."""
    one = state.lots[sample]
    beside = {
        lot.lot
        for lot in state.lots.values()
        if (lot.made_in, lot.made_at) == (one.made_in, one.made_at)
        and _purpose(net, lot) != "sample"
    }
    return beside | set(one.parents)


def _handled(net: Net, state: State, raised: Raised) -> set[str]:
    place, at = _place(net, raised), raised.raised_at
    materials = excursion.handled(net, place) if place is not None else ()
    here = {
        lot.lot
        for lot in state.lots.values()
        if lot.made_at <= at and (lot.ended_at is None or lot.ended_at >= at)
    }
    if not materials:
        step = net.protocol.steps.get(place or "")
        # Who certifies, or reports it by hand, speaks of all that there is.
        return here if raised.check is None or (step and step.kind in JUDGES) else set()
    afresh = state.renewed.get(place or "")
    made = {
        lot.lot
        for lot in state.lots.values()
        if lot.made_in == place and lot.made_at >= at and (afresh is None or afresh <= at)
    }
    return {name for name in here if state.lots[name].material in materials} | made


def _purpose(net: Net, lot: Lot) -> str:
    return net.protocol.materials[lot.material].purpose


def concerned(net: Net, state: State, raised: Raised) -> frozenset[str]:
    """Return the lots that it concerns: those it is about, and all that was made of them."""
    found = set(directly(net, state, raised))
    while more := {
        lot.lot
        for lot in state.lots.values()
        if lot.lot not in found and not found.isdisjoint(lot.parents)
    }:
        found |= more
    return frozenset(found)


def of_dose(net: Net, state: State, raised: Raised) -> bool:
    """Say whether it is about a product, not about what a product is still to be made of.

    A check of the step that makes it is about the product too, before it has its number.
    """
    if any(_purpose(net, state.lots[n]) == "dose" for n in directly(net, state, raised)):
        return True
    return raised.check is not None and _being_made(net, state, raised)


def _being_made(net: Net, state: State, raised: Raised) -> bool:
    """Say whether a dose is being made, in this round, by the step where it was found."""
    place = _place(net, raised)
    step = net.protocol.steps.get(place or "")
    if step is None or place is None or net.state(state.marking, place) != OPEN:
        return False
    afresh = state.renewed.get(place)
    makes = any(net.protocol.materials[name].purpose == "dose" for name in step.outputs)
    return makes and (afresh is None or afresh <= raised.raised_at)


def stated(net: Net, state: State, raised: Raised) -> bool:
    """Say whether the record states it still: the answer fails, or the result stands.

    An answer that was corrected, could not be told, or was given in a round that began afresh
    states nothing. What a person reported is stated until the assessment says that the
    specification was met.
    """
    place = _place(net, raised)
    answered = raised.check is not None and place is not None
    if answered and any(
        answer.result == "fail"
        for key, sheet in state.sheets.items()
        if key.partition(":")[0] == place
        for answer in sheet.standing(raised.check or "")
    ):
        return True
    step = net.protocol.steps.get(place or "")
    afresh = state.renewed.get(place or "")
    if (
        step is not None
        and place is not None
        and not (answered and afresh is not None and afresh > raised.raised_at)
    ):
        at = net.state(state.marking, place)
        name = net.results(place)[at - DONE] if at >= DONE else ""
        if name in step.results and step.results[name].deviation == raised.code:
            return True
    if answered:
        return False
    impact = raised.work.impact
    met = impact is not None and impact.product == "none"
    return not (met and "specification-not-met" not in raised.work.criteria)


def only_by_supply(net: Net, state: State, raised: Raised) -> bool:
    """Say whether nothing but a supply out of specification lets the product go on."""
    return raised.code in codes(net) and of_dose(net, state, raised) and stated(net, state, raised)


# -- what stands in the way ----------------------------------------------------------------------


def awaited(net: Net, state: State) -> tuple[Raised, ...]:
    """Return the deviations of a product still there that only a supply can lift, undecided."""
    return tuple(
        d
        for d in standing(net, state)
        if d.work.disposition is None
        and only_by_supply(net, state, d)
        and any(state.lots[n].ended is None for n in concerned(net, state, d))
    )


def _supplied(state: State, raised: Raised) -> bool:
    """Say whether its supply was decided, or that of what was found in the same place.

    The request that came after both results is made in the knowledge of both.
    """
    if raised.work.disposition is not None:
        return raised.work.disposition == SUPPLY
    return any(
        other.work.disposition == SUPPLY
        and other.detected == raised.detected
        and any(s.part == "request" and s.at >= raised.raised_at for s in other.work.statements)
        for other in state.deviations.values()
    )


def stands(net: Net, state: State, raised: Raised) -> bool:
    """Say whether a deviation of these codes forbids the use of what it concerns."""
    work = raised.work
    if work.disposition in excursion.GIVEN_UP:
        return True
    if _supplied(state, raised):
        return False
    if only_by_supply(net, state, raised):
        return True
    return work.disposition is None and raised.closed_at is None


def standing(net: Net, state: State) -> tuple[Raised, ...]:
    """Return the deviations that forbid the use of what they concern."""
    if not state.deviations:
        return ()
    found = codes(net)
    return tuple(d for d in state.deviations.values() if d.code in found and stands(net, state, d))


def doubts(net: Net, state: State, step: str) -> tuple[Raised, ...]:
    """Return the deviations that forbid `step`: it certifies, thaws, conditions or administers."""
    one = net.protocol.steps[step]
    if one.kind not in RELY:
        return ()
    open_ = standing(net, state)
    if not open_:
        return ()
    lots = {state.current[m] for m in excursion.used(net, state, one) if m in state.current}
    return tuple(d for d in open_ if not lots.isdisjoint(concerned(net, state, d)))


def held(net: Net, state: State, about: str) -> tuple[Raised, ...]:
    """Return the deviations of a product still there that forbid taking up `about` again."""
    return tuple(
        d
        for d in standing(net, state)
        if about in (d.about, d.detected)
        and (only_by_supply(net, state, d) or d.work.disposition in excursion.GIVEN_UP)
        and any(state.lots[n].ended is None for n in concerned(net, state, d))
    )


def supplied(net: Net, state: State, activity: str) -> tuple[Raised, ...]:
    """Return the decisions to supply out of specification that concern what `activity` handles.

    Whoever receives, thaws or gives the product is to know what it is.
    """
    found = [d for d in state.deviations.values() if d.work.disposition == SUPPLY]
    if not found:
        return ()
    part = net.activity(activity)
    if isinstance(part, Step):
        materials = (*excursion.used(net, state, part), *part.inputs)
    else:
        materials = net.carried(state.marking, part)
    lots = {state.current[m] for m in materials if m in state.current}
    return tuple(d for d in found if not lots.isdisjoint(concerned(net, state, d)))


def said(net: Net, state: State, raised: Raised) -> str:
    """Say why it forbids use."""
    name = f"{raised.deviation} {raised.code} about {raised.about}"
    if raised.work.disposition is not None:
        return f"{name}: {raised.work.disposition} was decided, it is not supplied"
    if only_by_supply(net, state, raised):
        return f"{name}: out of specification, and no supply at the physician's request is decided"
    return f"{name} is undecided: what is in doubt is not used"


def require(net: Net, state: State, step: str) -> None:
    """Raise Refused if `step` would rely on or use what is out of specification or in doubt."""
    _refuse(net, state, doubts(net, state, step), "step")


def require_supplied(net: Net, state: State, about: str) -> None:
    """Raise Refused if `about` would be taken up again with a product that is not supplied."""
    _refuse(net, state, held(net, state, about), "result")


def _refuse(net: Net, state: State, found: tuple[Raised, ...], field: str) -> None:
    if not found:
        return
    undecided = any(d.work.disposition is None for d in found)
    todo = "decide on the deviation: request, evaluation of the risks, acceptances, signature"
    reasons = tuple(
        Reason(field, said(net, state, d), todo if d.work.disposition is None else "")
        for d in found
    )
    code: Code = "unknown-blocks" if undecided else "not-possible-now"
    raise Refused(Refusal(code=code, reasons=reasons))


# -- what an answer claims -----------------------------------------------------------------------


def claims(check: Check, value: object) -> str | None:
    """Return the deviation that a passing answer relies on: that it was decided to be supplied."""
    choice = check.choices.get(value) if isinstance(value, str) else None
    return choice.deviation if choice is not None and choice.means == "pass" else None


def fits(net: Net, state: State, check: Check, value: object) -> Reason | None:
    """Say what is wrong with a passing answer to a check that knows of supply out of specification.

    Claimed with nothing decided, or denied though it was: either way the certificate would be
    false.
    """
    choice = check.choices.get(value) if isinstance(value, str) else None
    if choice is None or choice.means != "pass":
        return None
    claiming = {name: claims(check, name) for name in check.choices if claims(check, name)}
    if not claiming:
        return None
    present = {lot.lot for lot in state.lots.values() if lot.ended is None}
    supplied = {
        d.code
        for d in state.deviations.values()
        if d.work.disposition == SUPPLY and not present.isdisjoint(concerned(net, state, d))
    }
    code = claims(check, value)
    if code is not None and code not in supplied:
        what = "no supply out of specification was decided for this product"
        return Reason("value", what, "decide on the deviation first")
    if code is None and (other := [n for n, c in claiming.items() if c in supplied]):
        what = "this product is supplied out of specification"
        return Reason("value", what, f"answer {other[0]}")
    return None


def denies(step: Step, sheet: Sheet, result: str) -> Reason | None:
    """Say what is wrong with a test's result that is in order, where an answer of it is not.

    Another result raises the very deviation that the answer raised: a test does not state both.
    Who repeats the test, as invalid, states neither.
    """
    entry = step.results.get(result)
    if step.kind != "test" or (entry is not None and (entry.deviation or entry.then)):
        return None
    for check in step.checks:
        for answer in sheet.standing(check.id):
            if answer.result != "fail":
                continue
            choice = check.choices.get(answer.value) if isinstance(answer.value, str) else None
            code = (choice.deviation if choice is not None else None) or check.deviation
            says = [n for n, r in step.results.items() if r.deviation == code]
            if code is not None and says:
                what = f"{check.id} failed: {result} would say the opposite"
                return Reason("result", what, f"end as {says[0]}, or correct the answer")
    return None


def found(step: Step, sheet: Sheet, state: State, name: str, code: str) -> list[str]:
    """Return the deviations of `code` that answers of a test have raised, which fail still."""
    if step.kind != "test":
        return []
    failed = {check.id for check in step.checks if sheet.result(check) == "fail"}
    return [
        d.deviation
        for d in state.deviations.values()
        if (d.detected, d.code) == (name, code)
        and d.check in failed
        and (name not in state.renewed or state.renewed[name] <= d.raised_at)
    ]


def releases(step: Step, result: str) -> bool:
    """Say whether ending a step like this certifies the product."""
    entry = step.results.get(result)
    return step.kind == "certify" and (entry is None or entry.then is None)
