"""Labels of a journey: printed, used, spoiled; and the counts must add up.

Each label on paper has a number of its own, printed on it. What became of it is said once: used, or
spoiled and destroyed. Until every label is accounted for, the answer that labels add up cannot be
given where a protocol asks for it (deviation LABEL_RECONCILIATION_GAP). EU GMP Part I, 5.55 and
6.16 (reconciliation of printed labels); 21 CFR 211.125.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from stafett.exchange import labelprint
from stafett.identity.coi import Coi
from stafett.identity.compound import Compound, parse_field
from stafett.identity.din import Din
from stafett.identity.errors import IdentifierError
from stafett.identity.label import Label
from stafett.journey.state import Lot, State
from stafett.protocol.model import Identifier, text
from stafett.protocol.net import Net
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.changes import Changes
from stafett.service.refusal import No, Reason, unknown

MOST = 40
GAP = "LABEL_RECONCILIATION_GAP"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GS1 = {"gs1-sscc": "00", "gs1-gln": "414", "gs1-giai": "8004", "gs1-gsrn": "8018"}


class Printed(msgspec.Struct, frozen=True):
    """One label on paper, and what became of it (None: nobody has said yet)."""

    id: str
    sheet: str
    lot: str
    identifier: str
    person: str
    printed: datetime
    lines: list[str]
    fate: str | None
    fate_by: str | None
    fate_at: datetime | None
    fate_reason: str


class Count(msgspec.Struct, frozen=True):
    """Reconciliation: `printed` = `used` + `spoiled` + `open`, always; done when none is open."""

    printed: int
    used: int
    spoiled: int
    open: int


# What stands on a label beside the numbers, by language.
WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {"coi": "Chain of identity", "lot": "Lot", "label": "Label {number}   copy {copy}",
           "scan": "Not valid without a scan", "sheet": "Labels"},
    "sv": {"coi": "Identitetskedja", "lot": "Parti", "label": "Etikett {number}   kopia {copy}",
           "scan": "Gäller inte utan skanning", "sheet": "Etiketter"},
    "es": {"coi": "Cadena de identidad", "lot": "Lote", "label": "Etiqueta {number}   copia {copy}",
           "scan": "No es válida sin escanear", "sheet": "Etiquetas"},
}  # fmt: skip


class Target(msgspec.Struct, frozen=True):
    """Something that a label can be printed for: the journey (`lot` "") or one of its lots."""

    lot: str
    identifier: str
    title: str
    value: str


@dataclass(frozen=True)
class Journey:
    """What is known of the journey whose labels these are."""

    net: Net
    state: State


class Labels:
    """The labels kept in PostgreSQL; each print and fate also goes into the trail of changes."""

    def __init__(self, pool: sql.Pool, changes: Changes) -> None:
        self._pool, self._changes = pool, changes

    async def print(
        self,
        by: Person,
        of: Journey,
        lot: str,
        identifier: str,
        copies: int,
        reason: str,
        language: str = "en",
    ) -> str:
        """Print labels in a language of `WORDS`; return the name of their sheet. Raises No.

        Printing again for the same thing needs a reason: a spare label is a risk.
        """
        if not 1 <= copies <= MOST:
            what = f"{copies} labels"
            raise No("bad-value", "So many", Reason("copies", what, f"1 to {MOST} at a time"))
        journey = of.state.journey
        earlier = [
            one for one in await self.of(by.organisation, journey)
            if (one.lot, one.identifier) == (lot, identifier)
        ]  # fmt: skip
        if earlier and len(reason.strip()) < 4:
            what = f"{len(earlier)} labels were printed for this already"
            raise No("reason-missing", "Printing again", Reason("reason", what, "say why again"))
        sheet, now = _number(8), datetime.now(UTC).replace(microsecond=0)
        rows = []
        for place in range(1, copies + 1):
            number = _number(6)
            label = content(of, lot, identifier, number, len(earlier) + place, language)
            rows.append(
                (number, sheet, place, journey, lot, identifier, by.organisation, by.id, now,
                 list(label.lines), label.payload, label.gs1)
            )  # fmt: skip
        after = {"lot": lot, "identifier": identifier, "labels": [row[0] for row in rows]}
        async with (
            self._changes.making(
                by, "labels printed", journey, reason or "first print", None, after
            ) as connection,
            connection.cursor() as cursor,
        ):
            await cursor.executemany(
                "INSERT INTO service.label (id, sheet, place, journey, lot, identifier,"
                " organisation, person, printed, lines, payload, gs1)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                rows,
            )
        return sheet

    async def decide(self, by: Person, journey: str, label: str, fate: str, reason: str) -> None:
        """Say what became of a label, once. Raises No."""
        if fate not in ("used", "spoiled"):
            raise No("bad-value", "No such fate", Reason("fate", f"{fate!r}", "used or spoiled"))
        why = reason if fate == "spoiled" else reason or "stuck on what it names"
        async with self._changes.making(
            by, f"label {fate}", journey, why, None, {"label": label}
        ) as connection:
            done = await connection.execute(
                "UPDATE service.label SET fate = %s, fate_by = %s, fate_at = now(),"
                " fate_reason = %s WHERE id = %s AND journey = %s AND organisation = %s"
                " AND fate IS NULL",
                (fate, by.id, reason, label, journey, by.organisation),
            )
            if done.rowcount == 0:
                what = f"{label!r} is not known here, or its fate was said already"
                raise No("unknown", "No such label", Reason("label", what, "read its number again"))

    async def of(self, organisation: str, journey: str) -> list[Printed]:
        """Return the labels that an organisation printed for a journey, oldest first."""
        found = await sql.rows(
            self._pool,
            "SELECT id, sheet, lot, identifier, person, printed, lines, fate, fate_by, fate_at,"
            " fate_reason FROM service.label WHERE journey = %s AND organisation = %s"
            " ORDER BY printed, sheet, place",
            (journey, organisation),
        )
        return [Printed(*row) for row in found]

    async def count(self, organisation: str, journey: str) -> Count:
        """Return the reconciliation of an organisation's labels for a journey."""
        labels = await self.of(organisation, journey)
        used = sum(one.fate == "used" for one in labels)
        spoiled = sum(one.fate == "spoiled" for one in labels)
        return Count(len(labels), used, spoiled, len(labels) - used - spoiled)

    async def add_up(self, person: Person, journey: str) -> None:
        """Raise No while a label that the person's organisation printed is unaccounted for."""
        count = await self.count(person.organisation, journey)
        if count.open:
            what = f"{count.open} of {count.printed} printed labels are neither used nor spoiled"
            todo = "account for each on the page of the journey's labels"
            raise No("labels", "The labels do not add up", Reason("labels", what, todo))

    async def document(self, organisation: str, journey: str, sheet: str, form: str) -> bytes:
        """Return a sheet as it was printed: `pdf` or `zpl`. Raises No."""
        found = await sql.rows(
            self._pool,
            "SELECT lines, payload, gs1, printed FROM service.label WHERE sheet = %s"
            " AND journey = %s AND organisation = %s ORDER BY place",
            (sheet, journey, organisation),
        )
        if not found:
            raise unknown("sheet", sheet)
        labels = [Label(tuple(row[0]), row[1], row[2]) for row in found]
        if form == "zpl":
            return labelprint.thermal(labels).encode()
        language = next((n for n, w in WORDS.items() if w["scan"] in found[0][0]), "en")
        return labelprint.pdf(labels, found[0][3], WORDS[language]["sheet"], language)


def targets(of: Journey, language: str) -> list[Target]:
    """Return what labels can be printed for now: the CoI, and each live lot's identifiers."""
    protocol = of.net.protocol
    coi = next((n for n, i in protocol.identifiers.items() if i.structure == "isbt128-coi"), "coi")
    title = text(protocol.identifiers[coi].title, language) if coi in protocol.identifiers else coi
    found = [Target("", coi, title, of.state.coi)]
    for lot in of.state.lots.values():
        if lot.ended_at is not None:
            continue
        name = text(protocol.materials[lot.material].title, language)
        for identifier, value in lot.identifiers.items():
            kind = protocol.identifiers.get(identifier)
            if kind is not None and not kind.direct:
                what = f"{name}: {text(kind.title, language)}"
                found.append(Target(lot.lot, identifier, what, value))
    return found


def content(
    of: Journey, lot: str, identifier: str, number: str, copy: int, language: str = "en"
) -> Label:
    """Return one label's content. Raises No if there is no such thing to label now.

    No patient's name or number is on it: a hospital adds those on its own printer.
    """
    target = next(
        (t for t in targets(of, language) if (t.lot, t.identifier) == (lot, identifier)), None
    )
    if target is None:
        raise unknown("material", f"{lot} {identifier}".strip())
    coi = Coi(of.state.coi)
    words = WORDS[language]
    tail = (words["label"].format(number=number, copy=copy), words["scan"])
    if not lot:
        return Label((words["coi"], f"CoI {coi.printed()}", *tail), coi.wire)
    kind = of.net.protocol.identifiers[identifier]
    own = of.state.lots[lot]
    head = (text(of.net.protocol.materials[own.material].title, language), f"{words['lot']} {lot}")
    try:
        payload, shown, gs1 = _symbol(kind, own, target.value, coi)
    except IdentifierError as error:
        raise No("bad-value", "It cannot be printed", Reason("label", str(error))) from None
    lines = (*head, f"{text(kind.title, language)}:", shown, f"CoI {coi.printed()}", *tail)
    return Label(lines, payload, gs1)


def _symbol(kind: Identifier, lot: Lot, value: str, coi: Coi) -> tuple[str, str, bool]:
    """Return what the symbol holds, what stands beside it, and whether it is GS1's."""
    if kind.structure == "isbt128-din":
        din = Din(value)
        fields = (parse_field(din.wire()), parse_field(coi.wire))
        return Compound(fields).wire, din.printed(), False
    if kind.structure in _GS1:
        plain = value if value.startswith("(") else f"({_GS1[kind.structure]}){value}"
        return plain, plain, True
    return value, value, False


def _number(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
