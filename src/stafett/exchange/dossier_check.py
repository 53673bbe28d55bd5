"""Checking a dossier's package, years later, with nothing but the file (and whose log it was).

Each file is what the MANIFEST says, nothing is added or missing; the proof holds; and the dossier
tells of exactly the events that are proven, one for one, and all else that it tells is what these
events make under their protocol (`dossier_arranged`).
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from stafett.exchange import dossier_arranged
from stafett.exchange.dossier import Dossier
from stafett.ledger import bundle
from stafett.ledger.leaf import leaf_hash
from stafett.ledger.policy import Policy
from stafett.protocol.fit import plain

MOST_FILES: Final = 5_000
MOST_BYTES: Final = 1_000_000_000
NEEDED: Final = ("MANIFEST", "README.txt", "dossier.json", "dossier.pdf", "proof.json")
_DOCUMENT: Final = re.compile(r"documents/([0-9a-f]{64})")
_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S+)")


class NotADossier(ValueError):
    """A file that is no package of a dossier; the text says why."""


@dataclass
class Checked:
    """What was found. `missing` are documents named by the dossier that the package has not."""

    journey: str = ""
    coi: str = ""
    as_of: int = 0
    files: int = 0
    documents: int = 0
    missing: int = 0
    proof: bundle.Finding | None = None
    problems: list[str] = field(default_factory=list)
    unarranged: str = ""
    """Why it could not be checked whether the events make what the dossier tells of them."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check(data: bytes, *, key: str | None = None, policy: Policy | None = None) -> Checked:
    """Check a package; raise NotADossier for what is none. `key`, `policy`: see bundle.verify."""
    files = _unpacked(data)
    found = Checked(files=len(files))
    _manifest(files, found)
    try:
        dossier = msgspec.json.decode(files["dossier.json"], type=Dossier)
        proof = bundle.parse(files["proof.json"])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as wrong:
        raise NotADossier(f"dossier.json cannot be read: {str(plain(wrong))[:200]}") from None
    except bundle.BadBundle as wrong:
        raise NotADossier(f"proof.json: {wrong}") from None
    found.journey, found.coi, found.as_of = dossier.journey, dossier.coi, dossier.as_of
    found.proof = bundle.verify(proof, key=key, policy=policy)
    found.problems += [f"proof.json: {problem}" for problem in found.proof.problems]
    _same_events(dossier, proof, found)
    if found.sound:  # else there is nothing to hold it against
        _arranged(dossier, files.get("protocol.yaml"), proof, found)
    _documents(dossier, files, found)
    return found


def _unpacked(data: bytes) -> dict[str, bytes]:
    """Return the files of the zip, within limits; raise NotADossier."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_FILES or sum(e.file_size for e in entries) > MOST_BYTES:
                raise NotADossier("it is larger than any dossier")
            files: dict[str, bytes] = {}
            for entry in entries:
                if entry.filename in files:
                    raise NotADossier(f"it holds {entry.filename[:80]!r} twice")
                with archive.open(entry) as part:
                    files[entry.filename] = part.read(entry.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError,
            RuntimeError) as wrong:  # fmt: skip
        raise NotADossier(f"it is no zip that can be read: {wrong}") from None
    absent = [name for name in NEEDED if name not in files]
    if absent:
        raise NotADossier(f"it has no {', '.join(absent)}")
    return files


def _manifest(files: dict[str, bytes], found: Checked) -> None:
    listed: dict[str, str] = {}
    for number, line in enumerate(files["MANIFEST"].decode("utf-8", "replace").splitlines(), 1):
        part = _LINE.fullmatch(line)
        if part is None or part[2] in listed:
            found.problems.append(f"MANIFEST:{number}: {line[:80]!r} is no line of it")
        else:
            listed[part[2]] = part[1]
    for name, data in files.items():
        if name == "MANIFEST":
            continue
        if name not in listed:
            found.problems.append(f"{name[:90]}: the MANIFEST does not list it")
        elif hashlib.sha256(data).hexdigest() != listed[name]:
            found.problems.append(f"{name[:90]}: its bytes are not those of the MANIFEST")
        document = _DOCUMENT.fullmatch(name)
        if document is None and name not in (*NEEDED, "protocol.yaml"):
            found.problems.append(f"{name[:90]}: no dossier holds such a file")
    found.problems += [f"{name[:90]}: it is missing" for name in listed if name not in files]


def _same_events(dossier: Dossier, proof: bundle.Bundle, found: Checked) -> None:
    """Hold the dossier's events against the leaves that are proven."""
    if dossier.journey != proof.stream:
        found.problems.append(
            f"dossier.json is about {dossier.journey}, proof.json about {proof.stream}"
        )
    if not len(dossier.events) == len(dossier.leaves) == len(proof.entries):
        found.problems.append(
            f"dossier.json tells of {len(dossier.events)} events, proof.json of"
            f" {len(proof.entries)}"
        )
    for n, (event, digest, entry) in enumerate(
        zip(dossier.events, dossier.leaves, proof.entries, strict=False), 1
    ):
        if leaf_hash(entry.leaf.encode()).hex() != digest:
            found.problems.append(f"event {n}: the dossier names another leaf than is proven")
        elif _proven(entry.leaf) != event:
            found.problems.append(f"event {n}: the dossier tells it otherwise than the record")


def _arranged(
    dossier: Dossier, protocol: bytes | None, proof: bundle.Bundle, found: Checked
) -> None:
    """Hold what the dossier tells against what its events make."""
    if protocol is None:
        found.unarranged = (
            "the package has no protocol.yaml (one from before November 2026 has none)"
        )
        return
    try:
        found.problems += dossier_arranged.differences(dossier, protocol, proof)
    except ValueError as unread:
        found.unarranged = str(unread)[:300]


def _proven(leaf: str) -> Any:
    try:
        body = msgspec.json.decode(leaf)["body"]
        return body.get("event", body)
    except (msgspec.MsgspecError, LookupError, AttributeError, TypeError):
        return None  # bundle.verify has said what is wrong with it


def _documents(dossier: Dossier, files: dict[str, bytes], found: Checked) -> None:
    named = {document.sha256 for document in dossier.documents}
    here = {part[1] for name in files if (part := _DOCUMENT.fullmatch(name))}
    for digest in sorted(here):
        if hashlib.sha256(files[f"documents/{digest}"]).hexdigest() != digest:
            found.problems.append(f"documents/{digest}: its bytes have another hash than its name")
        if digest not in named:
            found.problems.append(f"documents/{digest}: the dossier does not name it")
    claimed = {document.sha256 for document in dossier.documents if document.here}
    found.problems += [
        f"documents/{digest}: the dossier says that it is here" for digest in sorted(claimed - here)
    ]
    found.documents, found.missing = len(here), len(named - here)
