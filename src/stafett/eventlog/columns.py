"""Which column of a foreign log means what: guessed from the names in use, overridable."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from stafett.eventlog.problems import LogUnreadableError

# Role -> names seen in the field, most telling first, written without case, spaces and marks.
# The XES names are those of the standard extensions (IEEE 1849-2016, clause 7).
ALIASES: dict[str, tuple[str, ...]] = {
    "case": ("caseconceptname", "caseid", "case", "traceid", "trace", "journeyid", "journey", "coi",
             "patientid", "patient", "casekey"),
    "activity": ("conceptname", "activity", "activityname", "eventname", "event", "task", "step",
                 "eventtype", "action"),
    "end": ("timetimestamp", "completetimestamp", "timestamp", "endtimestamp", "endtime", "end",
            "completed", "complete", "time", "datetime", "occurredat", "date"),
    "start": ("starttimestamp", "starttime", "start", "started", "begin"),
    "enqueue": ("enqueue", "enqueued", "scheduletimestamp", "readytimestamp", "released",
                "requested"),
    "group": ("orggroup", "group", "department", "organisation", "organization", "orgunit", "team",
              "unit", "owner"),
    "resource": ("orgresource", "resource", "user", "person", "operator", "employee"),
    "lifecycle": ("lifecycletransition", "lifecycle", "transition"),
    "kind": ("kind",),
    "giver": ("giver",),
    "receiver": ("receiver",),
    "outcome": ("outcome", "result", "status"),
    "detected_at": ("detectedat",),
    "deviation": ("deviation", "deviationkind", "mismatch"),
    "origin": ("origin", "beganat", "cause", "causecode"),
    # What varies, and sources of it (`insight.outcomes` finds them by these names): columns keep
    # their own names unless a role is stated.
    "material": ("material", "startingmaterial", "materialid", "startingmaterialid", "lot",
                 "lotnumber", "batch", "batchid", "donor", "donorid", "apheresisid"),
    "site": ("site", "siteid", "centre", "center", "hospital", "clinic", "facility", "location"),
    "version": ("protocolversion", "version"),
    "viability": ("viability", "viabilitypercent", "viabilitypct", "viable"),
    "severity": ("severity", "grade", "seriousness"),
}  # fmt: skip
REQUIRED = ("case", "activity")
STATED_ONLY = ("material", "site", "version", "viability", "severity")


def plain(name: str) -> str:
    """Return a column's name in lower case without spaces and marks."""
    return re.sub(r"[^0-9a-zà-ÿ]", "", name.lower())


def guess_columns(names: Sequence[str], stated: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return role -> column for those roles that `names` can fill; `stated` overrides.

    Raises:
        LogUnreadableError: a stated role or column does not exist, or case, activity or time
            cannot be found.
    """
    stated = dict(stated or {})
    for role, column in stated.items():
        if role not in ALIASES:
            raise LogUnreadableError(f"no role is called {role!r}; there are {', '.join(ALIASES)}")
        if column not in names:
            raise LogUnreadableError(
                f"the log has no column {column!r} (stated for {role}); it has {_listed(names)}"
            )
    by_plain: dict[str, str] = {}
    for name in names:
        by_plain.setdefault(plain(name), name)
    taken = set(stated.values())
    found = dict(stated)
    for role, aliases in ALIASES.items():
        if role in found or role in STATED_ONLY:
            continue
        for alias in aliases:
            guess = by_plain.get(alias)
            if guess is not None and guess not in taken:
                found[role] = guess
                taken.add(guess)
                break
    missing = [role for role in REQUIRED if role not in found]
    if "end" not in found and "start" not in found:
        missing.append("end")
    if missing:
        words = {"case": "the case", "activity": "the activity", "end": "the time"}
        raise LogUnreadableError(
            f"no column is recognised as {' or '.join(words[role] for role in missing)}; "
            f"the log has {_listed(names)}",
            f"Say which it is, for example --column {missing[0]}=NAME.",
        )
    return found


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
