"""Admitting a protocol: it is proven first, and only a proven one can be admitted."""

from __future__ import annotations

import hashlib

import anyio.to_thread
import msgspec

from stafett.protocol import diff
from stafett.protocol.check import prove
from stafett.protocol.read import ReadError, parse
from stafett.protocol.version import lower
from stafett.service.accounts import Person
from stafett.service.changes import Changes
from stafett.service.library import ADMITTED, Library
from stafett.service.refusal import No, Reason

MAX = 1_000_000
CODE = "not-proven"


class Found(msgspec.Struct, frozen=True):
    """One finding: its kind, where, what, why it matters, how to mend it, and how to get there."""

    code: str
    title: str
    severity: str
    line: int
    what: str
    why: str
    mend: str
    trace: list[str] = []


class Differs(msgspec.Struct, frozen=True):
    """One change against the version in force: for whom (`*` everyone), where, in words."""

    role: str
    where: str
    what: str


class Proved(msgspec.Struct, frozen=True):
    """What the proof says of a file. `differs` is against the version in force, if there is one.

    `lower`: its version comes before the one in force; it is admitted by who says so only.
    """

    sha256: str
    name: str
    version: str
    proven: bool
    markings: int
    findings: list[Found]
    in_force: str | None
    differs: list[Differs]
    lower: bool = False


def _no_protocol(*problems: ReadError) -> No:
    """Refuse a file with everything that does not fit in it, each at its line."""
    reasons = [Reason(f"line {p.place.line}", p.what, p.todo) for p in problems]
    return No("bad-value", "This is no protocol", *reasons)


class Admission:
    """Proof and admission of protocol files."""

    def __init__(self, library: Library, changes: Changes) -> None:
        self._library, self._changes = library, changes

    async def prove(self, text: bytes, language: str = "en") -> Proved:
        """Prove a file and compare it with the version in force. Raises No if it is no protocol."""
        if len(text) > MAX:
            raise No("bad-value", "Too large", Reason("protocol", "more than a megabyte"))
        try:
            return await anyio.to_thread.run_sync(self._prove, text, language)
        except ReadError as error:
            raise _no_protocol(error) from None

    def _prove(self, text: bytes, language: str) -> Proved:
        document = parse(text, "protocol.yaml")
        if problems := document.problems():
            raise _no_protocol(*problems)
        new = document.bind()
        proof = prove(document)
        name, version = str(document.value["protocol"]), str(document.value["version"])
        old = self._library.current().get(name)
        changes = diff.diff(old.document.bind(), new, language) if old else []
        return Proved(
            hashlib.sha256(text).hexdigest(),
            name,
            version,
            not proof.errors,
            proof.markings,
            [
                Found(
                    f.code,
                    f.title,
                    f.severity,
                    f.place.line,
                    f.what,
                    f.why,
                    f.todo,
                    list(f.trace or ()),
                )
                for f in proof.findings
            ],
            old.version if old else None,
            [Differs(change.role, change.where, change.what) for change in changes],
            old is not None and lower(version, old.version),
        )

    async def admit(self, by: Person, text: bytes, reason: str, *, back: bool = False) -> Proved:
        """Put a proven protocol in force for new journeys. Raises No; nothing is kept then.

        Journeys that are open stay under the version that they were opened with. A version lower
        than the one in force is admitted only with `back`; one that was in force before may be
        again, with the same content.
        """
        await self._library.refresh()
        proved = await self.prove(text)
        if not proved.proven:
            errors = [f for f in proved.findings if f.severity == "error"]
            raise No(
                CODE,
                "The protocol is not proven: it cannot be admitted",
                *(Reason(f"line {f.line}", f"{f.code}: {f.what}", f.mend) for f in errors[:20]),
            )
        known = self._library.versions(proved.name)
        if known.get(proved.version, proved.sha256) != proved.sha256:
            what = f"version {proved.version} is in the library with other content"
            raise No("taken", "The version is taken", Reason("version", what, "raise the version"))
        if proved.lower and not back:
            what = f"version {proved.version} is lower than {proved.in_force}, which is in force"
            todo = "say that new journeys are to go back to it (back=true)"
            raise No("lower-version", "The version is lower", Reason("version", what, todo))
        after = {"version": proved.version, "sha256": proved.sha256}
        async with self._changes.making(
            by, ADMITTED, proved.name, reason, {"version": proved.in_force}, after
        ) as connection:
            pinned = await self._library.store(connection, text)
            await self._library.make_last(connection, pinned)
        self._library.put_in_force(pinned)
        return proved
