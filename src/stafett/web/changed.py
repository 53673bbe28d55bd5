"""What an administrator's change changed, in words: the audit trail read by people.

The trail keeps values as they were written: identifiers, codes, ISO times. Here each field has its
label, and each value the name that the pages use for it. What was kept is shown beside it as it is:
a reader who doubts the words looks there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stafett.service.changes import Change
from stafett.web import catalogue_words, refusals, zone
from stafett.web import language as languages
from stafett.web.country import country

Said = Callable[[str], str]
NONE = "–"
FEW = 4  # so many are told one by one; of more some are named and the rest counted
NAMED = 3


@dataclass(frozen=True)
class Names:
    """What the pages call the things that a change names by their identifiers."""

    people: Mapping[str, str]
    organisations: Mapping[str, str]
    sites: Mapping[str, str]
    networks: Mapping[str, str]
    providers: Mapping[str, str]
    roles: Mapping[str, str]
    protocols: Mapping[str, str]


@dataclass(frozen=True)
class Field:
    """One field: its label, and what it says before and after ("" where there is no such side)."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Told:
    """A change in words. `raw` is what the trail keeps, as JSON.

    Of a change that made many things at once `fields` counts them, and `each` tells every one.
    """

    what: str
    about: str
    reason: str | None  # in words, where no person wrote it
    fields: list[Field]
    each: list[Field]
    raw: str


def told(change: Change, names: Names, language: str) -> Told:
    """Say a change in `language`. Of what was changed only the fields that differ are told."""
    words = languages.words(language)
    say = _values(names, language)
    unwritten = change.what == "labels printed" and change.reason == "first print"
    many = change.after if isinstance(change.after, list) and len(change.after) > FEW else []
    return Told(
        words.get(f"change.{change.what}", change.what),
        _about(change, names, words),
        words["audit.first-print"] if unwritten else None,
        _counted(many, names, words, say) if many else list(_fields(change, names, words, say)),
        _each(many, names, words, say),
        json.dumps(
            {
                name: getattr(change, name)
                for name in ("what", "about", "person", "before", "after")
            },
            ensure_ascii=False,
            indent=1,
        ),
    )


def _about(change: Change, names: Names, words: Mapping[str, str]) -> str:
    kind, about = change.what.partition(" ")[0], change.about
    if kind in ("person", "competence", "one-time"):
        return _some([names.people.get(one, one) for one in _people(change)], words)
    if kind == "identity":
        provider, colon, subject = about.partition(": ")
        return f"{names.providers.get(provider, provider)}{colon}{subject}"
    if kind == "letter":
        was = change.before or {}
        channel = words.get(f"letters.channel.{was.get('channel')}", "")
        return f"{channel} {was.get('number') or ''}".strip() or about
    named: Mapping[str, Mapping[str, str]] = {
        "site": names.sites, "organisation": names.organisations, "network": names.networks,
        "protocol": names.protocols, "provider": names.providers, "signing": names.organisations,
        "vault": names.organisations,
    }  # fmt: skip
    return named.get(kind, {}).get(about, about)


def _people(change: Change) -> list[str]:
    """Return whom a change is about. What was made names them all; the line about them is short."""
    if isinstance(change.after, list):
        return list(dict.fromkeys(one["person"] for one in change.after))
    return change.about.split(", ")


def _some(said: Sequence[str], words: Mapping[str, str]) -> str:
    """Name a few, all of them; of more the first, and how many there are beside."""
    if len(said) <= FEW:
        return ", ".join(said)
    more = words["audit.and-more"].replace("{n}", str(len(said) - NAMED))
    return more.replace("{names}", ", ".join(said[:NAMED]))


def _counted(
    many: list[dict[str, Any]], names: Names, words: Mapping[str, str], say: Mapping[str, Said]
) -> list[Field]:
    """Sum up what was made at once: how many, and each field's values with how often."""
    found = [Field(words["audit.how-many"], "", str(len(many)))]
    for name in _ordered((key for one in many for key in one), words):
        label = _label(name, names, words)
        often = Counter(_value(name, one.get(name), say) for one in many)
        if name == "person":
            found.append(Field(words["audit.people"], "", str(len(often))))
            continue
        alone = len(often) == 1
        said = [value if alone else f"{value} ({n})" for value, n in often.most_common()]
        found.append(Field(label, "", _some(said, words)))
    return found


def _each(
    many: list[dict[str, Any]], names: Names, words: Mapping[str, str], say: Mapping[str, Said]
) -> list[Field]:
    """Tell every one of what was made at once by what it does not share with all the others."""
    shared = {
        name for name in (many[0] if many else ())
        if all(one.get(name) == many[0][name] for one in many)
    }  # fmt: skip
    rows = [
        (one, {name: one[name] for name in _ordered(one, words) if name not in {*shared, "person"}})
        for one in many
    ]
    return [
        Field(names.people.get(one["person"], one["person"]), "",
              "; ".join(_line(rest, names, words, say)))
        for one, rest in rows
    ]  # fmt: skip


def _fields(
    change: Change, names: Names, words: Mapping[str, str], say: Mapping[str, Said]
) -> Iterator[Field]:
    before, after = change.before, change.after
    if isinstance(after, list):  # several at once: each in a line of its own
        for one in after:
            who = names.people.get(one["person"], one["person"])
            rest = {name: one[name] for name in _ordered(one, words) if name != "person"}
            yield Field(who, "", "; ".join(_line(rest, names, words, say)))
        return
    if after is None:  # nothing took its place: what it was is told alone
        for name in _ordered(before or {}, words):
            yield Field(_label(name, names, words), _value(name, before[name], say), "")
        return
    before = before or {}
    after = {name: value for name, value in after.items() if name != "signed"}  # the same again
    for name in _ordered((*before, *after), words):
        was, now = before.get(name), after.get(name)
        if name in before and name in after and was == now:
            continue
        if was in (None, "", []) and now in (None, "", []):
            continue
        yield Field(
            _label(name, names, words),
            _value(name, was, say) if before else "",
            _value(name, now, say),
        )


def _ordered(fields: Iterable[str], words: Mapping[str, str]) -> list[str]:
    """Return the fields as they are listed among the words: the database keeps no order."""
    known = [key for key in words if key.startswith("audit.field.")]
    place = {key.removeprefix("audit.field."): n for n, key in enumerate(known)}
    return sorted(dict.fromkeys(fields), key=lambda name: (place.get(name, len(place)), name))


def _line(
    values: Mapping[str, Any], names: Names, words: Mapping[str, str], say: Mapping[str, Said]
) -> Iterator[str]:
    for name, value in values.items():
        yield f"{_label(name, names, words)}: {_value(name, value, say)}"


def _label(name: str, names: Names, words: Mapping[str, str]) -> str:
    """A field of a network that is none of its own is a role."""
    return words.get(f"audit.field.{name}") or names.roles.get(name, name.replace("_", " "))


def _value(name: str, value: Any, say: Mapping[str, Said]) -> str:
    if value in (None, "", []):
        return NONE
    if isinstance(value, list):
        return ", ".join(_value(name, one, say) for one in value)
    if isinstance(value, dict):  # a signature, maybe with what it was over
        value = value.get("signature", value)
        return f"{value['name']}, {say['method'](value['method'])}"
    if isinstance(value, bool):
        return say["yes" if value else "no"]("")
    return say.get(name, say["else"])(str(value))


def _values(names: Names, language: str) -> dict[str, Said]:
    """How a value of each field is said; what no field names may be a role's organisation."""
    words = languages.words(language)

    def among(prefix: str) -> Said:
        return lambda value: words.get(f"{prefix}.{value}", value)

    def named(table: Mapping[str, str]) -> Said:
        return lambda value: table.get(value, value)

    def moment(value: str) -> str:
        return zone.written(datetime.fromisoformat(value), language)

    def plain(value: str) -> str:
        return value

    return {
        **dict.fromkeys(("id", "login", "name", "sha256"), plain),
        "title": lambda value: catalogue_words.said(value, language),
        **dict.fromkeys(("valid_from", "valid_until", "until"), moment),
        "organisation": named(names.organisations),
        "person": named(names.people),
        "site": named(names.sites),
        "role": named(names.roles),
        "roles": named(names.roles),
        "protocol": named(names.protocols),
        "version": lambda value: words["audit.every-version"] if value == "*" else value,
        "duties": among("duty"),
        "language": lambda value: languages.LANGUAGES.get(value, value),
        "kind": among("admin.kind"),
        "country": lambda value: country(value, language),
        "state": among("letters.state"),
        "channel": among("letters.channel"),
        "basis": among("audit.basis"),
        "key": among("audit.key"),
        "method": among("way"),
        "reasons": lambda value: refusals.said(value, language),
        "yes": lambda _: words["audit.yes"],
        "no": lambda _: words["audit.no"],
        "else": named(names.organisations),
    }
