"""Whatever safeguard is removed from a good protocol, the proof finds an error.

Each operator below removes one kind of safeguard; it yields every place where that can be done.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stafett.protocol import builtin
from stafett.protocol.chain import Chain, target
from stafett.protocol.check import STATIC, prove
from stafett.protocol.read import Document, ReadError, parse
from stafett.protocol.references import references
from stafett.protocol.shelf import _spans

Value = dict[str, Any]
Mutation = tuple[str, Callable[[], Value]]
OPERATORS: dict[str, Callable[[Document], Iterator[Mutation]]] = {}
GATED = ("collect", "conditioning", "thaw", "administer")


def operator(function: Callable[[Document], Iterator[Mutation]]) -> Callable[..., Any]:
    OPERATORS[function.__name__] = function
    return function


def changed(document: Document, path: tuple[Any, ...], change: Callable[[Any], object]) -> Value:
    """Return the value of `document` with `change` made to a copy of the part at `path`."""
    value = copy.copy(document.value)
    part: Any = value
    for step in path:
        part[step] = copy.copy(part[step])
        part = part[step]
    change(part)
    return value


def without(document: Document, path: tuple[Any, ...]) -> Mutation:
    def drop(part: Any) -> None:
        del part[path[-1]]

    return f"without {'.'.join(map(str, path))}", lambda: changed(document, path[:-1], drop)


def with_(document: Document, path: tuple[Any, ...], new: Any) -> Mutation:
    def put(part: Any) -> None:
        part[path[-1]] = new

    return f"{'.'.join(map(str, path))} = {new}", lambda: changed(document, path[:-1], put)


def sides(handoff: Value, name: str) -> Iterator[tuple[tuple[str, ...], list[Value]]]:
    for side in ("release", "accept"):
        yield ("handoffs", name, side, "checks"), handoff[side].get("checks", [])


@operator
def a_scan_at_a_handoff_of_material(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        for path, checks in sides(handoff, name):
            for i, check in enumerate(checks):
                if check.get("identifies") in handoff.get("carries", ()):
                    if sum(c.get("identifies") == check["identifies"] for c in checks) > 1:
                        continue  # it is scanned twice, under two identifiers
                    yield without(document, (*path, i))
                    yield with_(document, (*path, i, "critical"), False)


def measured(document: Document) -> Iterator[tuple[tuple[Any, ...], Value, str]]:
    """Yield every part that has a unit: its path, itself, its name."""
    for name, step in document.value["steps"].items():
        for i, check in enumerate(step.get("checks", [])):
            if "unit" in check:
                yield ("steps", name, "checks", i), check, check["id"]
    for name, handoff in document.value["handoffs"].items():
        for path, checks in sides(handoff, name):
            for i, check in enumerate(checks):
                if "unit" in check:
                    yield (*path, i), check, check["id"]
    for name, paper in document.value["documents"].items():
        if isinstance(fields := paper.get("fields"), dict):
            for field, holds in fields.items():
                if "unit" in holds:
                    yield ("documents", name, "fields", field), holds, field


@operator
def a_unit_that_exists(document: Document) -> Iterator[Mutation]:
    for path, _, _ in measured(document):
        for none in ("bananas", "degrees", "Kg"):
            yield with_(document, (*path, "unit"), none)


@operator
def a_unit_that_its_name_its_figure_or_another_place_says(
    document: Document,
) -> Iterator[Mutation]:
    for path, part, name in measured(document):
        figures = [b for b in (part.get("min"), part.get("max")) if isinstance(b, str)]
        if any(f.endswith(("_c}", "_kg}", "_d}")) for f in figures) or name.endswith(("_kg", "_c")):
            yield with_(document, (*path, "unit"), "min")
    asked = [name for path, _, name in measured(document) if path[0] != "documents"]
    for path, _, name in measured(document):
        if path[0] != "documents" and asked.count(name) > 1:
            yield with_(document, (*path, "unit"), "lx")


@operator
def a_match_at_the_bedside(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        if step["kind"] != "administer":
            continue
        for i, check in enumerate(step["checks"]):
            alike = [c for c in step["checks"] if c.get("identifies") == check.get("identifies")]
            of = document.value["materials"].get(check.get("identifies"), {}).get("purpose")
            if len(alike) == 1 and (check.get("identifies") == "patient" or of == "dose"):
                path = ("steps", name, "checks", i)
                yield without(document, path)
                yield with_(document, (*path, "critical"), False)
                yield with_(document, (*path, "people"), 1)
                yield with_(document, (*path, "when"), "after")


@operator
def a_match_of_the_patient_at_collection(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        patient = [
            i for i, c in enumerate(step.get("checks", ())) if c.get("identifies") == "patient"
        ]
        if step["kind"] == "collect" and len(patient) == 1:
            yield without(document, ("steps", name, "checks", patient[0]))
            yield with_(document, ("steps", name, "checks", patient[0], "critical"), False)


@operator
def a_match_at_a_change_of_container(document: Document) -> Iterator[Mutation]:
    materials = document.value["materials"]
    for name, step in document.value["steps"].items():
        made = [m for m in step.get("outputs", ()) if materials[m]["purpose"] != "packaging"]
        parents = [
            m for m in step.get("inputs", ()) if materials[m]["purpose"] not in ("packaging", "kit")
        ]
        needed = {*(parents if made else ()), *step.get("packs", ()), *step.get("unpacks", ())}
        checks = step.get("checks", [])
        for i, check in enumerate(checks):
            for field, subjects in (("identifies", needed), ("records", set(made))):
                alike = [c for c in checks if c.get(field) == check.get(field)]
                if check.get(field) in subjects and len(alike) == 1:
                    yield without(document, ("steps", name, "checks", i))


@operator
def a_route(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        if handoff.get("carries"):
            for field in ("on_stop", "on_quarantine", "on_refuse"):
                yield without(document, ("handoffs", name, field))
    for name, step in document.value["steps"].items():
        if "on_stop" in step and any(c.get("critical") for c in step.get("checks", ())):
            yield without(document, ("steps", name, "on_stop"))
    for name, material in document.value["materials"].items():
        if "on_lost" in material and material["purpose"] != "packaging":
            yield without(document, ("materials", name, "on_lost"))
        if "on_expired" in material and "shelf_life" in material:
            yield without(document, ("materials", name, "on_expired"))


@operator
def a_limit_or_a_ladder(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        yield without(document, ("handoffs", name, "escalation"))
        ladder = handoff["escalation"]
        low = next((r for r in document.value["roles"] if r != document.value["owner"]), None)
        yield with_(document, ("handoffs", name, "escalation", len(ladder) - 1, "tell"), low)
        if ("takes" in handoff) != ("deadlines" in handoff):
            yield without(
                document, ("handoffs", name, "takes" if "takes" in handoff else "deadlines")
            )


@operator
def all_checks_of_the_receiver(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        if handoff["accept"].get("checks"):
            yield without(document, ("handoffs", name, "accept", "checks"))


@operator
def an_interrupt(document: Document) -> Iterator[Mutation]:
    collects = [n for n, step in document.value["steps"].items() if step["kind"] == "collect"]
    for name in ("consent_withdrawn", "patient_died"):
        yield without(document, ("interrupts", name))
        for collect in collects:
            yield with_(document, ("interrupts", name, "until"), collect)


@operator
def a_signature(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        if step["kind"] in ("consent", "certify", "decision", "administer"):
            yield without(document, ("steps", name, "sign"))


@operator
def a_prerequisite(document: Document) -> Iterator[Mutation]:
    steps = document.value["steps"]
    rules = document.value["prerequisites"]
    for i, rule in enumerate(rules):
        kind = steps.get(rule["before"], {}).get("kind")
        alone = sum(other["before"] == rule["before"] for other in rules) == 1
        if kind in ("conditioning", "thaw", "administer") and alone:
            yield without(document, ("prerequisites", i))
            if rule.get("on_site"):
                yield without(document, ("prerequisites", i, "on_site"))


@operator
def a_result_for_failure(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        failing = [r for r, entry in step.get("results", {}).items() if "then" in entry]
        if step["kind"] in ("collect", "manufacture", "test", "certify") and len(failing) == 1:
            yield without(document, ("steps", name, "results", failing[0]))
            yield without(document, ("steps", name, "results", failing[0], "then"))


@operator
def a_decision(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        if step.get("on_demand"):
            for result in step["results"]:
                yield without(document, ("steps", name, "results", result, "then"))


@operator
def a_last_resort(document: Document) -> Iterator[Mutation]:
    for section in ("steps", "handoffs"):
        for name, activity in document.value[section].items():
            if "exhausted" in activity:
                yield without(document, (section, name, "exhausted"))


@operator
def the_order_before_an_irreversible_act(document: Document) -> Iterator[Mutation]:
    """Take one line out of `after` so that what the act needs no longer comes before it."""
    chain = Chain(document, document.bind())
    steps = document.value["steps"]
    needed = {
        name
        for _, name, activity in chain.activities()
        if getattr(activity, "kind", "") in ("consent", "certify", "conditioning")
        or any(chain.material(m).purpose == "dose" for m in getattr(activity, "carries", ()))
        or any(chain.material(m).purpose == "dose" for m in getattr(activity, "unpacks", ()))
    }
    for name, step in steps.items():
        if step["kind"] not in GATED:
            continue
        after = [target(ref) for ref in step.get("after", ())]
        for i in range(len(after)):
            mutation = without(document, ("steps", name, "after", i))
            others = after[:i] + after[i + 1 :]
            left = frozenset(others).union(*(chain.before[other] for other in others))
            lost = (chain.before[name] - left) & needed
            if step["kind"] == "collect":
                lost = {other for other in lost if steps.get(other, {}).get("kind") == "consent"}
            if lost:
                yield mutation


@operator
def a_custodian(document: Document) -> Iterator[Mutation]:
    """Let another role give, or work on, what it does not hold."""
    roles = list(document.value["roles"])
    for name, handoff in document.value["handoffs"].items():
        if handoff.get("carries"):
            for role in roles:
                if role not in (handoff["giver"], handoff["receiver"]):
                    yield with_(document, ("handoffs", name, "giver"), role)
    for name, step in document.value["steps"].items():
        if step.get("inputs"):
            for role in roles:
                if role != step["role"]:
                    yield with_(document, ("steps", name, "role"), role)


@operator
def a_whole_handoff_of_material(document: Document) -> Iterator[Mutation]:
    """Leave a handoff out; what came after it comes after what it came after."""
    for name, handoff in document.value["handoffs"].items():
        if not handoff.get("carries"):
            continue
        yield f"without the handoff {name}", partial(_left_out, document, name)


def _left_out(document: Document, name: str) -> Value:
    value = copy.deepcopy(document.value)
    handoff = value["handoffs"].pop(name)
    for section in ("steps", "handoffs"):
        for activity in value[section].values():
            after = activity.get("after", [])
            if name in after:
                rest = [*(r for r in after if r != name), *handoff.get("after", [])]
                activity["after"] = list(dict.fromkeys(rest))
            kept = [d for d in activity.get("deadlines", []) if d["since"] != name]
            activity["deadlines"] = kept
    for rule in value["prerequisites"]:
        rule["require"] = [r for r in rule.get("require", []) if r != name]
    return value


@operator
def a_source(document: Document) -> Iterator[Mutation]:
    for section in ("steps", "handoffs"):
        for name, activity in document.value[section].items():
            takes = activity.get("takes", {})
            if "$" in str(takes.get("at_most", "")):
                continue
            for field in ("source", "proposal"):
                if field in takes and len({"source", "proposal"} & takes.keys()) == 1:
                    yield without(document, (section, name, "takes", field))


@operator
def a_limit_that_a_shelf_life_needs(document: Document) -> Iterator[Mutation]:
    """Let one activity on the way from the start of a shelf life to the use take for ever."""
    chain = Chain(document, document.bind())
    for name, material in chain.protocol.materials.items():
        if material.shelf_life is None:
            continue
        since = material.shelf_life.counts_from.partition("=")[0]
        spans = _spans(chain, since)
        uses = [
            use
            for use, step in chain.protocol.steps.items()
            if name in step.inputs and since in chain.before[use]
        ]
        for use in uses:
            for one in spans[use].path[:-1]:
                path = chain.path(one)
                activity = chain.activity(one)
                if activity.takes is not None and not activity.deadlines:
                    yield with_(document, (*path, "takes", "at_most"), "9999 wk")
                    yield without(document, (*path, "takes"))


@operator
def a_unit_or_a_bound(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        for path, checks in sides(handoff, name):
            for i, check in enumerate(checks):
                if check["kind"] == "quantity":
                    yield without(document, (*path, i, "unit"))
                    if ("min" in check) != ("max" in check):
                        yield without(document, (*path, i, "min" if "min" in check else "max"))


@operator
def whose_papers_these_are(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        if handoff.get("carries") or handoff.get("on_demand"):
            continue
        for path, checks in sides(handoff, name):
            scans = [i for i, c in enumerate(checks) if c.get("identifies") and c.get("critical")]
            if len(scans) == 1:
                yield without(document, (*path, scans[0]))
                yield with_(document, (*path, scans[0], "critical"), False)


@operator
def a_refusal_of_consent(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        failing = [r for r, entry in step.get("results", {}).items() if "then" in entry]
        if step["kind"] == "consent" and len(failing) == 1:
            yield without(document, ("steps", name, "results", failing[0]))


@operator
def the_test_before_a_certificate(document: Document) -> Iterator[Mutation]:
    steps = document.value["steps"]
    for name, step in steps.items():
        if step["kind"] == "test" and sum(s["kind"] == "test" for s in steps.values()) == 1:
            yield with_(document, ("steps", name, "kind"), "process")
        if step["kind"] == "certify" and len(step["after"]) == 1:
            yield without(document, ("steps", name, "after"))


@operator
def what_holds_at_the_bedside(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        if step["kind"] == "administer":
            yield without(document, ("steps", name, "consumes"))
            yield with_(document, ("steps", name, "sign", "people"), 1)


@operator
def an_answer_of_a_critical_question(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        for path, checks in sides(handoff, name):
            yield from _answers(document, path, checks)
    for name, step in document.value["steps"].items():
        yield from _answers(document, ("steps", name, "checks"), step.get("checks", []))


def _answers(document: Document, path: tuple[str, ...], checks: list[Value]) -> Iterator[Mutation]:
    for i, check in enumerate(checks):
        choices = check.get("choices", {})
        for key, choice in choices.items():
            alike = sum(other["means"] == choice["means"] for other in choices.values())
            if check.get("critical") and alike == 1:
                yield without(document, (*path, i, "choices", key))


def questioned(document: Document) -> Iterator[tuple[tuple[Any, ...], Value, Value]]:
    """Yield every check: its path, itself, the step or handoff that it is in."""
    for name, step in document.value["steps"].items():
        for i, check in enumerate(step.get("checks", [])):
            yield ("steps", name, "checks", i), check, step
    for name, handoff in document.value["handoffs"].items():
        for path, checks in sides(handoff, name):
            for i, check in enumerate(checks):
                yield (*path, i), check, handoff


@operator
def a_stop_where_the_deviation_is_critical(document: Document) -> Iterator[Mutation]:
    grave = {n for n, d in document.value["deviations"].items() if d["severity"] == "critical"}
    for path, check, activity in questioned(document):
        raised = {check.get("deviation")} | {
            choice.get("deviation") for choice in check.get("choices", {}).values()
        }
        if check.get("critical") and grave & raised and "records" not in check:
            if check["kind"] == "scan" and activity.get("carries"):
                continue  # another operator's
            yield with_(document, (*path, "critical"), False)


@operator
def a_mismatch_that_is_critical(document: Document) -> Iterator[Mutation]:
    used = {
        check["deviation"]
        for _, check, _ in questioned(document)
        if check.get("critical") and check.get("identifies") and "deviation" in check
    }
    for code in used:
        yield with_(document, ("deviations", code, "severity"), "minor")


@operator
def whose_body_it_is(document: Document) -> Iterator[Mutation]:
    """Before consent, collection and lymphodepletion the patient is identified."""
    for path, check, step in questioned(document):
        alike = [c for c in step.get("checks", ()) if c.get("identifies") == "patient"]
        early = [c for c in alike if c.get("when", "before") == "before"]
        kinds = ("consent", "collect", "conditioning")
        if step.get("kind") in kinds and check in early and len(early) == 1:
            yield without(document, path)
            yield with_(document, (*path, "critical"), False)
            yield with_(document, (*path, "when"), "after")


@operator
def a_look_before_it_is_used_up(document: Document) -> Iterator[Mutation]:
    for path, check, step in questioned(document):
        subject = check.get("identifies")
        alike = [c for c in step.get("checks", ()) if subject and c.get("identifies") == subject]
        if subject not in step.get("consumes", ()) or subject in step.get("unpacks", {}):
            continue
        if len(alike) == 1 and check.get("when", "before") == "before":
            yield with_(document, (*path, "when"), "after")


@operator
def whose_sample_is_tested(document: Document) -> Iterator[Mutation]:
    for path, check, step in questioned(document):
        alike = [c for c in step.get("checks", ()) if c.get("identifies") in step.get("inputs", ())]
        if step.get("kind") == "test" and check.get("identifies") and len(alike) == 1:
            yield without(document, path)
            yield with_(document, (*path, "critical"), False)


@operator
def a_label_that_both_sides_compare(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        for path, checks in sides(handoff, name):
            for i, check in enumerate(checks):
                if check.get("identifies") in handoff.get("carries", ()):
                    yield without(document, (*path, i))


@operator
def a_decision_that_can_say_no(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        others = (
            [r for r, e in step.get("results", {}).items() if not e["then"].get("resume")]
            if (step.get("on_demand"))
            else []
        )
        resumes = len(others) < len(step.get("results", {}))
        if resumes and len(others) == 1:
            yield without(document, ("steps", name, "results", others[0]))


@operator
def a_limit_and_a_ladder_of_a_decision(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        if step.get("on_demand"):
            yield without(document, ("steps", name, "takes"))
            yield without(document, ("steps", name, "escalation"))


@operator
def a_call_before_it_has_expired(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        last = ("handoffs", name, "escalation", len(handoff["escalation"]) - 1, "after")
        yield with_(document, last, "9999 wk")


@operator
def an_end_after_withdrawal_and_death(document: Document) -> Iterator[Mutation]:
    steps = document.value["steps"].items()
    resuming = [
        name
        for name, step in steps
        if any(e.get("then", {}).get("resume") for e in step.get("results", {}).values())
    ]
    for name in ("consent_withdrawn", "patient_died"):
        for decision in resuming:
            yield with_(document, ("interrupts", name, "then"), {"decide": decision})
    yield with_(document, ("interrupts", "patient_died", "until"), _giving(document))


def _giving(document: Document) -> str:
    steps = document.value["steps"].items()
    return next(name for name, step in steps if step["kind"] == "administer")


@operator
def an_outcome_that_treats_nobody(document: Document) -> Iterator[Mutation]:
    for name, outcome in document.value["outcomes"].items():
        if not outcome.get("treated") and outcome["materials"] != "none-left":
            yield with_(document, ("outcomes", name, "treated"), True)


@operator
def who_certifies_and_on_what(document: Document) -> Iterator[Mutation]:
    steps = document.value["steps"]
    makers = {s["role"] for s in steps.values() if s["kind"] in ("manufacture", "collect")}
    for name, step in steps.items():
        if step["kind"] == "certify":
            yield without(document, ("steps", name, "checks"))
            for role in makers:
                yield with_(document, ("steps", name, "role"), role)
        if step["kind"] in ("consent", "certify", "administer"):
            yield without(document, ("steps", name, "documents"))


@operator
def a_signature_on_what_is_done_to_the_patient(document: Document) -> Iterator[Mutation]:
    for name, step in document.value["steps"].items():
        if step["kind"] in ("collect", "conditioning", "thaw"):
            yield without(document, ("steps", name, "sign"))


@operator
def the_beginning_of_a_clock(document: Document) -> Iterator[Mutation]:
    """Let a shelf life count from where the material is used."""
    for name, material in document.value["materials"].items():
        for use, step in document.value["steps"].items():
            if name in step.get("inputs", ()) and "shelf_life" in material:
                yield with_(document, ("materials", name, "shelf_life", "counts_from"), use)


@operator
def what_an_identifier_says_of_itself(document: Document) -> Iterator[Mutation]:
    labels = [m.get("identifiers", ()) for m in document.value["materials"].values()]
    for name, identifier in document.value["identifiers"].items():
        for field in ("direct", "kept"):
            if field == "kept" and sum(name in label for label in labels) < 2:
                continue  # there is nothing else that could carry another one
            if field in identifier:
                yield without(document, ("identifiers", name, field))


@operator
def what_a_missed_deadline_raises(document: Document) -> Iterator[Mutation]:
    for section in ("steps", "handoffs"):
        for name, activity in document.value[section].items():
            for i in range(len(activity.get("deadlines", ()))):
                yield without(document, (section, name, "deadlines", i, "deviation"))


@operator
def a_refusal_of_papers(document: Document) -> Iterator[Mutation]:
    for name, handoff in document.value["handoffs"].items():
        if "on_refuse" in handoff:
            yield without(document, ("handoffs", name, "on_refuse"))


def survivors(document: Document, mutations: list[Mutation]) -> list[str]:
    """Return the mutations in which the proof finds no error."""
    product = next(iter(document.products), None)
    return [
        what for what, value in mutations if not _found(replace(document, value=value()), product)
    ]


def _found(document: Document, product: str | None = None) -> bool:
    """Say whether the proof finds an error: one that reading alone shows saves the walk for it."""
    try:
        chain = Chain(document, document.bind(product), product)
        read = [*references(chain)]
        if not any(one.severity == "error" for one in read):
            read += [one for rule in STATIC for one in rule(chain)]
        if any(one.severity == "error" for one in read):
            return True
        return bool(prove(document, product).errors)
    except ReadError:  # nor can it be read: `stafett protocol check` says so at its line
        return True


SOUND = parse((Path(__file__).parent / "sound.yaml").read_text(), "sound.yaml")


@pytest.mark.parametrize("name", OPERATORS)
def test_no_safeguard_of_the_sound_chain_can_be_removed_unnoticed(name: str) -> None:
    """Every single removal of this kind of safeguard gives an error."""
    mutations = list(OPERATORS[name](SOUND))
    assert mutations
    assert survivors(SOUND, mutations) == []


@pytest.mark.parametrize("name", builtin.names())
def test_the_built_in_protocols_have_no_error(name: str) -> None:
    """What is shipped is proven, for each of its products."""
    assert prove(builtin.builtin(name)).errors == ()


BUILTIN: list[tuple[str, str]] = [(name, what) for name in builtin.names() for what in OPERATORS]


@pytest.mark.parametrize(("name", "what"), BUILTIN)
@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_no_safeguard_of_a_built_in_protocol_can_be_removed_unnoticed(
    name: str, what: str, data: st.DataObject
) -> None:
    """Of each kind of safeguard some are removed from the built-in protocols: each is missed."""
    document, mutations = _mutations(name, what)
    if mutations:
        mutation = data.draw(st.sampled_from(mutations))
        assert survivors(document, [mutation]) == []


_KEPT: dict[tuple[str, str], tuple[Document, list[Mutation]]] = {}


def _mutations(name: str, what: str) -> tuple[Document, list[Mutation]]:
    if (name, what) not in _KEPT:
        document = builtin.builtin(name)
        _KEPT[name, what] = document, list(OPERATORS[what](document))
    return _KEPT[name, what]


# What may be cut out of the sound chain and leaves it sound: no safeguard, or one of several.
# The keys are places, `*` a name and `[]` a number; what is cut out anywhere else is an error.
HARMLESS = {
    "deviations.*": "a code that nothing raises",
    "documents.*.fields": "what a summary holds; it is still asked for",
    "documents.*.fields.[]": "the same",
    "handoffs.*.accept.checks.[]": "another check of seal or condition is left",
    "handoffs.*.accept.checks.[].choices.*.deviation": "the question is critical: it stops",
    "handoffs.*.accept.checks.[].deviation": "a critical mismatch stops without a code too",
    "handoffs.*.documents": "a warning: the document is then used by nobody",
    "handoffs.*.documents.[]": "the same",
    "handoffs.*.escalation.[]": "a ladder keeps its last rung, the owner",
    "handoffs.*.release.checks.[].deviation": "a critical mismatch stops without a code too",
    "handoffs.*.transfers_accountability": "then the one owner stays the one owner",
    "identifiers.*.kept": "a donation number that one material only carries",
    "interrupts.*.until": "without it the interrupt may come at any time",
    "materials.*.identifiers.[]": "a label that nothing scans",
    "materials.*.shelf_life": "a warning: living material that keeps for ever",
    "materials.*.shelf_life.source": "it is a parameter, with its own source",
    "prerequisites.[].require.[]": "what the order of the steps requires too",
    "sources.*.url": "a printed source has none",
    "steps.*.after.[]": "of one that comes before another in the list",
    "steps.*.attempts": "one attempt is the rule",
    "steps.*.checks.[]": "a measure that is written down",
    "steps.*.checks.[].deviation": "a critical mismatch stops without a code too",
    "steps.*.checks.[].max": "the other limit is left",
    "steps.*.checks.[].min": "the same",
    "steps.*.checks.[].when": "asked before instead of after",
    "steps.*.consumes": "what is left of it is told of at the end",
    "steps.*.consumes.[]": "the same",
    "steps.*.deadlines": "of a step that has a limit too",
    "steps.*.deadlines.[]": "the same",
    "steps.*.inputs": "what is packed or unpacked is an input anyway",
    "steps.*.inputs.[]": "the same",
    "steps.*.results.*": "a decision or a step with one way less to end",
    "steps.*.takes": "inside one organisation, on no way to a shelf life's end",
    "steps.*.takes.usual": "what usually happens limits nothing",
}
NAMED = {
    *("roles", "identifiers", "products", "parameters", "documents", "deviations", "materials"),
    *("steps", "handoffs", "interrupts", "outcomes", "sources", "results", "choices"),
}


def parts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the place of every part of a protocol that can be cut out of it."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inside:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from parts(part, (*path, key))


def shape(path: tuple[Any, ...]) -> str:
    """Return a place without the names in it."""
    words, before = [], None
    for key in path:
        words.append("[]" if isinstance(key, int) else "*" if before in NAMED else key)
        before = key if words[-1] == key else None
    return ".".join(words)


@pytest.mark.parametrize("section", ["steps", "handoffs", "the rest"])
def test_what_is_cut_out_of_the_sound_chain_is_missed(section: str) -> None:
    """Whatever part is left out, anywhere: an error, unless that place is known to be harmless."""
    cut: set[str] = set()
    for path in parts(SOUND.value):
        if (path[0] if path[0] in ("steps", "handoffs") else "the rest") != section:
            continue
        if not _found(replace(SOUND, value=without(SOUND, path)[1]())):
            cut.add(shape(path))
    assert cut - HARMLESS.keys() == set()
    where = {name for name in HARMLESS if name.startswith(section)}
    if section == "the rest":
        where = {name for name in HARMLESS if not name.startswith(("steps", "handoffs"))}
    assert where - cut == set(), "no longer harmless: take it off the list"
