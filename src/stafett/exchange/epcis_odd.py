"""What is odd about an EPCIS event that is valid: it is captured, and remarked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from stafett.exchange import cbv
from stafett.exchange.problem import Finding, pointer

Json = dict[str, Any]

# TCR-53 step 29: these may stand in the metadata or in the reports, not in both.
_INLINE: Final = ("time", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod")
# Lists whose members say what they are in a word of the vocabulary.
_TYPED: Final = (
    ("bizTransactionList", "bizTransaction"),
    ("sourceList", "sourceDest"),
    ("destinationList", "sourceDest"),
)


def odd(event: Json, at: tuple[str | int, ...]) -> list[Finding]:
    """Give what is odd though the standard's schema lets it pass.

    A sensor's field in the metadata and in a report (TCR-53 frowns on it), and words that stand in
    the vocabulary's own namespace and are not in CBV 2.0.
    """
    out = []
    for kind, path, word in _words(event):
        if word.startswith(cbv.CBV) and cbv.bare_word(kind, word) not in cbv.KINDS[kind][2]:
            what = f"{word[:120]!r} is no word of CBV 2.0, though it stands in its namespace"
            out.append(Finding(pointer(*at, *path), what))
    for i, element in enumerate(event.get("sensorElementList", ())):
        metadata = element.get("sensorMetadata", {})
        for field in _INLINE:
            if field in metadata and any(field in r for r in element["sensorReport"]):
                out.append(
                    Finding(
                        pointer(*at, "sensorElementList", i, "sensorMetadata", field),
                        f"{field!r} stands in the metadata and in a report; both are kept",
                    )
                )
    return out


def _words(event: Json) -> Iterator[tuple[str, tuple[str | int, ...], str]]:
    """Give (kind, where, word) of what an event says in the words of the vocabulary."""
    for kind in ("bizStep", "disposition"):
        if kind in event:
            yield kind, (kind,), event[kind]
    for side, words in event.get("persistentDisposition", {}).items():
        for i, word in enumerate(words):
            yield "disposition", ("persistentDisposition", side, i), word
    for name, kind in _TYPED:
        for i, item in enumerate(event.get(name, ())):
            if "type" in item:
                yield kind, (name, i, "type"), item["type"]
    if "reason" in event.get("errorDeclaration", {}):
        yield "errorReason", ("errorDeclaration", "reason"), event["errorDeclaration"]["reason"]
