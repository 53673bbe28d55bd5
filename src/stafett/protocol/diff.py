"""What changed between two versions of a protocol, and for whom.

Not which lines changed, but which role has to do what differently: a question more or less, a
stricter limit, another giver or receiver, a document, an order, a route when it goes wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from stafett.protocol.duration import Duration
from stafett.protocol.model import Check, Document, Handoff, Protocol, Route, Side, Step, Text, text
from stafett.protocol.net import target
from stafett.protocol.units import comparable, convert

EVERYONE = "*"
# Parties of a handoff that are no role: who notices something, and who answers for the journey.
WHO = {"any": "whoever notices it", "owner": "whoever answers for the journey"}


class Change(NamedTuple):
    """One change: whose it is (`*` for everyone), what kind, where, and in words."""

    role: str
    kind: str
    where: str
    what: str


def diff(old: Protocol, new: Protocol, language: str = "en") -> list[Change]:
    """Return what changed from `old` to `new`, ordered by role; empty if nothing did."""
    found = list(_changes(old, new, language))
    order = {role: i for i, role in enumerate((*new.roles, *old.roles))}
    return sorted(dict.fromkeys(found), key=lambda c: (order.get(c.role, -1), c.where, c.kind))


def lines(old: Protocol, new: Protocol, changes: list[Change], language: str = "en") -> list[str]:
    """Return the changes as a text, role by role; roles for whom nothing changes come last."""
    out = [f"{old.protocol} {old.version} -> {new.protocol} {new.version}", ""]
    for role in dict.fromkeys(change.role for change in changes):
        entry = new.roles.get(role) or old.roles.get(role)
        who = WHO.get(role, "everyone") if entry is None else text(entry.title, language)
        out.append(f"For {who}:")
        out += [f"  {c.where}: {c.what}" for c in changes if c.role == role]
        out.append("")
    touched = {change.role for change in changes}
    rest = [text(r.title, language) for name, r in new.roles.items() if name not in touched]
    if EVERYONE not in touched and rest:
        out.append(f"Nothing changes for: {', '.join(rest)}.")
    return out


def _changes(old: Protocol, new: Protocol, language: str) -> Iterator[Change]:
    for role in old.roles.keys() - new.roles.keys():
        yield Change(role, "role", role, "the role is gone")
    for role in new.roles.keys() - old.roles.keys():
        yield Change(role, "role", role, "the role is new")
    before: dict[str, Step | Handoff] = {**old.steps, **old.handoffs}
    after: dict[str, Step | Handoff] = {**new.steps, **new.handoffs}
    for name in {**before, **after}:
        a, b = before.get(name), after.get(name)
        if a is None and b is not None:
            for role in _roles(b):
                yield Change(role, "added", name, f"new: {text(b.title, language)}")
        elif b is None and a is not None:
            for role in _roles(a):
                yield Change(role, "removed", name, f"no longer: {text(a.title, language)}")
        elif a is not None and b is not None and a != b:
            yield from _activity(name, a, b, language)
    yield from _gates(old, new, language)
    yield from _shared(old, new, language)


def _roles(activity: Step | Handoff) -> tuple[str, ...]:
    if isinstance(activity, Step):
        return (activity.role,)
    return (activity.giver, activity.receiver)


def _activity(
    name: str, old: Step | Handoff, new: Step | Handoff, language: str
) -> Iterator[Change]:
    if isinstance(old, Step) and isinstance(new, Step):
        if old.role != new.role:
            yield Change(old.role, "moved", name, f"is now done by {new.role}")
            yield Change(new.role, "moved", name, f"is now yours; it was {old.role}'s")
        yield from _checks(name, new.role, old.checks, new.checks, language)
        yield from _sign(name, new.role, old.sign, new.sign, language)
        yield from _documents(name, new.role, old.documents, new.documents)
        yield from _results(name, old, new, language)
        rest: tuple[str, ...] = ("inputs", "consumes", "outputs", "packs", "unpacks", "kind")
    elif isinstance(old, Handoff) and isinstance(new, Handoff):
        yield from _parties(name, old, new)
        yield from _side(name, new.giver, old.release, new.release, language)
        yield from _side(name, new.receiver, old.accept, new.accept, language)
        yield from _documents(name, new.giver, old.documents, new.documents)
        rest = ("carries", "becomes", "transfers_accountability", "on_quarantine", "on_refuse")
    else:
        for role in (*_roles(old), *_roles(new)):
            yield Change(role, "kind", name, "a step became a handoff, or a handoff a step")
        return
    for role in _roles(new):
        yield from _common(name, role, old, new, rest, language)


def _parties(name: str, old: Handoff, new: Handoff) -> Iterator[Change]:
    for side, a, b in (("from", old.giver, new.giver), ("to", old.receiver, new.receiver)):
        if a != b:
            for role in dict.fromkeys((a, b, new.giver, new.receiver)):
                yield Change(role, "parties", name, f"now {side} {b}, it was {side} {a}")


def _side(name: str, role: str, old: Side, new: Side, language: str) -> Iterator[Change]:
    yield from _checks(name, role, old.checks, new.checks, language)
    yield from _sign(name, role, old.sign, new.sign, language)


def _checks(
    name: str, role: str, old: tuple[Check, ...], new: tuple[Check, ...], language: str
) -> Iterator[Change]:
    before, after = {c.id: c for c in old}, {c.id: c for c in new}
    for id_ in before.keys() - after.keys():
        ask = text(before[id_].ask, language)
        yield Change(role, "check-removed", name, f"no longer asked: {ask!r}")
    for id_ in after.keys() - before.keys():
        ask = text(after[id_].ask, language)
        critical = " (critical: a wrong answer stops)" if after[id_].critical else ""
        yield Change(role, "check-added", name, f"new question: {ask!r}{critical}")
    for id_ in before.keys() & after.keys():
        for what in _check(before[id_], after[id_], language):
            yield Change(role, "check-changed", name, f"{text(after[id_].ask, language)!r}: {what}")
    kept = [c.id for c in old if c.id in after], [c.id for c in new if c.id in before]
    if kept[0] != kept[1]:
        yield Change(role, "check-order", name, "the questions come in another order")


def _check(old: Check, new: Check, language: str) -> Iterator[str]:
    for bound, sign in (("min", 1), ("max", -1)):
        a, b = getattr(old, bound), getattr(new, bound)
        if a is not None and comparable(old.unit or "", new.unit or ""):
            a = convert(a, old.unit or "", new.unit or "")  # 500 mL that became 0.5 L is no change
        if a == b:
            continue
        unit = f" {new.unit}" if new.unit else ""
        if a is None or b is None:
            yield f"{bound} is now {'none' if b is None else f'{b:g}{unit}'}"
        else:
            how = "stricter" if sign * b > sign * a else "looser"
            yield f"{bound} {a:g} -> {b:g}{unit} ({how})"
    if old.critical != new.critical:
        yield "a wrong answer now stops" if new.critical else "a wrong answer no longer stops"
    if old.people != new.people:
        yield f"{old.people} -> {new.people} people answer it"
    if text(old.ask, language) != text(new.ask, language):
        yield f"it was worded {text(old.ask, language)!r}"
    for name in old.choices.keys() - new.choices.keys():
        yield f"the answer {text(old.choices[name].title, language)!r} is gone"
    for name in new.choices.keys() - old.choices.keys():
        yield f"the answer {text(new.choices[name].title, language)!r} is new"
    for name in old.choices.keys() & new.choices.keys():
        if old.choices[name] != new.choices[name]:
            answer = text(new.choices[name].title, language)
            a, b = old.choices[name].means, new.choices[name].means
            if a != b:
                yield f"the answer {answer!r} now means {b}, it meant {a}"
            else:
                yield f"the answer {answer!r} means something else"
    same = ("kind", "identifies", "records", "by", "unit", "deviation", "when")
    for field in same:
        a, b = getattr(old, field), getattr(new, field)
        if a != b:
            yield f"{field} {a or 'none'} -> {b or 'none'}"


def _sign(name: str, role: str, old: Any, new: Any, language: str) -> Iterator[Change]:
    if old == new:
        return
    if old is None or new is None:
        what = "now signed" if old is None else "no longer signed"
    elif old.people != new.people:
        what = f"{old.people} -> {new.people} people sign"
    else:
        what = f"you now sign as {text(new.meaning, language)!r}"
    yield Change(role, "signature", name, what)


def _documents(
    name: str, role: str, old: tuple[str, ...], new: tuple[str, ...]
) -> Iterator[Change]:
    for document in sorted(set(new) - set(old)):
        yield Change(role, "document", name, f"attach a further document: {document}")
    for document in sorted(set(old) - set(new)):
        yield Change(role, "document", name, f"no longer attach {document}")


def _results(name: str, old: Step, new: Step, language: str) -> Iterator[Change]:
    for result in sorted(old.results.keys() | new.results.keys()):
        a, b = old.results.get(result), new.results.get(result)
        if a == b:
            continue
        if b is None:
            what = f"can no longer end as {result}"
        elif a is None:
            what = f"can now end as {text(b.title, language)!r}, which leads to {_route(b.then)}"
        else:
            what = f"{text(b.title, language)!r} leads to {_route(b.then)}, not {_route(a.then)}"
        yield Change(new.role, "result", name, what)


def _common(
    name: str,
    role: str,
    old: Step | Handoff,
    new: Step | Handoff,
    fields: tuple[str, ...],
    language: str,
) -> Iterator[Change]:
    if old.after != new.after:
        gone = [target(r) for r in old.after if r not in new.after]
        come = [target(r) for r in new.after if r not in old.after]
        parts = [f"no longer waits for {', '.join(gone)}"] if gone else []
        parts += [f"now waits for {', '.join(come)}"] if come else []
        yield Change(role, "order", name, "; ".join(parts) or "waits in another order")
    a, b = (old.takes.at_most if old.takes else None), (new.takes.at_most if new.takes else None)
    if a != b:
        yield Change(role, "limit", name, f"time allowed {_stricter(a, b)}")
    dues = {d.since: d.at_most for d in old.deadlines}, {d.since: d.at_most for d in new.deadlines}
    for since in sorted(dues[0].keys() | dues[1].keys()):
        if dues[0].get(since) != dues[1].get(since):
            how = _stricter(dues[0].get(since), dues[1].get(since))
            yield Change(role, "limit", name, f"deadline after {since} {how}")
    if old.escalation != new.escalation:
        ladder = ", ".join(f"{rung.tell} after {rung.after}" for rung in new.escalation) or "nobody"
        yield Change(role, "escalation", name, f"when nothing happens it now calls: {ladder}")
    for field in ("on_stop", "exhausted"):
        if getattr(old, field) != getattr(new, field):
            what = f"{field.replace('_', ' ')} now leads to {_route(getattr(new, field))}"
            yield Change(role, "route", name, what)
    for field in (*fields, "attempts", "on_demand"):
        x, y = getattr(old, field), getattr(new, field)
        if x != y:
            what = f"{field.replace('_', ' ')}: {_plain(x)} -> {_plain(y)}"
            yield Change(role, "route" if field.startswith("on_") else "flow", name, what)


def _stricter(old: Duration | None, new: Duration | None) -> str:
    if old is None or new is None:
        return f"is gone (it was {old})" if new is None else f"is now {new} (there was none)"
    return f"{old} -> {new} ({'stricter' if new < old else 'looser'})"


def _route(route: Route | None) -> str:
    if route is None:
        return "going on"
    for name in ("go", "decide", "end"):
        if getattr(route, name):
            return f"{name} {getattr(route, name)}"
    return "resuming"


def _plain(value: Any) -> str:
    if isinstance(value, Route) or value is None:
        return _route(value) if value is not None else "none"
    if isinstance(value, dict):
        return ", ".join(f"{k} into {v}" for k, v in value.items()) or "none"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _gates(old: Protocol, new: Protocol, language: str) -> Iterator[Change]:
    for before, after, word in ((old, new, "no longer"), (new, old, "now")):
        kept = set(map(msgspec.json.encode, after.prerequisites))
        for rule in before.prerequisites:
            if msgspec.json.encode(rule) in kept:
                continue
            needs = ", ".join((*rule.require, *rule.on_site))
            activity: Any = new.steps.get(rule.before) or new.handoffs.get(rule.before)
            for role in _roles(activity) if activity is not None else (EVERYONE,):
                what = f"{word} needs {needs} first: {text(rule.why, language)}"
                yield Change(role, "prerequisite", rule.before, what)


def _shared(old: Protocol, new: Protocol, language: str) -> Iterator[Change]:
    """Changes that are nobody's alone: materials, deviations, outcomes, interrupts, the owner."""
    if old.owner != new.owner:
        yield Change(EVERYONE, "owner", "protocol", f"{new.owner} is accountable, not {old.owner}")
    ages = tuple(one.scans.at_most if one.scans is not None else None for one in (old, new))
    if ages[0] != ages[1]:
        what = f"the age that a scan may have {_stricter(*ages)}"
        yield Change(EVERYONE, "limit", "protocol", what)
    for field in ("materials", "deviations", "interrupts", "outcomes", "documents", "identifiers"):
        a: dict[str, Any] = getattr(old, field)
        b: dict[str, Any] = getattr(new, field)
        for name in sorted(a.keys() | b.keys()):
            if a.get(name) == b.get(name):
                continue
            how = "is new" if name not in a else "is gone" if name not in b else "changed"
            title: Text = (b.get(name) or a[name]).title
            extra = _shelf(a.get(name), b.get(name)) if field == "materials" else ""
            if field == "documents" and how == "changed":
                extra = _fields(a[name], b[name])
            what = f"{text(title, language)} {how}{extra}"
            for role in _writers(new, name) if field == "documents" else (EVERYONE,):
                yield Change(role, field, f"{field} {name}", what)
            if how == "changed" and field != "documents":
                yield from _entry(field, name, a[name], b[name])


def _entry(section: str, name: str, old: Any, new: Any) -> Iterator[Change]:
    """Say of an entry that changed which of its plain fields did, and from what to what."""
    for field in old.__struct_fields__:
        x, y = getattr(old, field), getattr(new, field)
        told = field == "title" or any(isinstance(v, msgspec.Struct | tuple) for v in (x, y))
        routes = all(v is None or isinstance(v, Route) for v in (x, y))
        texts = all(isinstance(v, tuple) and all(isinstance(i, str) for i in v) for v in (x, y))
        if x != y and (not told or routes or texts):
            what = f"{field.replace('_', ' ')}: {_plain(x)} -> {_plain(y)}"
            yield Change(EVERYONE, section, f"{section} {name}", what)


def _writers(protocol: Protocol, document: str) -> tuple[str, ...]:
    """Return the roles that attach a document; everyone, if none does."""
    steps = [s.role for s in protocol.steps.values() if document in s.documents]
    givers = [h.giver for h in protocol.handoffs.values() if document in h.documents]
    return tuple(dict.fromkeys((*steps, *givers))) or (EVERYONE,)


def _fields(old: Document, new: Document) -> str:
    """Say which fields of a document came and which went."""
    come = [field for field in new.fields if field not in old.fields]
    gone = [field for field in old.fields if field not in new.fields]
    parts = [f"now states {', '.join(come)}"] if come else []
    parts += [f"no longer states {', '.join(gone)}"] if gone else []
    return f": {'; '.join(parts)}" if parts else ""


def _shelf(old: Any, new: Any) -> str:
    if old is None or new is None:
        return ""
    a = old.shelf_life.at_most if old.shelf_life else None
    b = new.shelf_life.at_most if new.shelf_life else None
    return "" if a == b else f": shelf life {_stricter(a, b)}"
