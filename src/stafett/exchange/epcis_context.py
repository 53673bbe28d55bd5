"""The context of an EPCIS document in JSON-LD: which namespace each prefix of a name stands for."""

from __future__ import annotations

from typing import Any, Final

CONTEXT_URI: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"

# The prefixes that GS1's own context defines.
STANDARD_PREFIXES: Final = {
    "cbv": "https://ref.gs1.org/cbv/",
    "cbvmda": "urn:epcglobal:cbv:mda:",
    "gs1": "https://gs1.org/voc/",
    "epcis": "https://ref.gs1.org/epcis/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dcterms": "http://purl.org/dc/terms/",
}


MAX_PREFIXES: Final = 200  # of one context: whoever declares more has something else in mind


def crowded(context: Any) -> bool:
    """Tell whether a context declares more prefixes than MAX_PREFIXES."""
    return len(prefixes_of(context)) > MAX_PREFIXES + len(STANDARD_PREFIXES)


def prefixes_of(context: Any) -> dict[str, str]:
    """Give prefix -> namespace of a JSON-LD context, the standard's own prefixes included."""
    out = dict(STANDARD_PREFIXES)
    for part in context if isinstance(context, list) else [context]:
        if isinstance(part, dict):
            for key, value in part.items():
                if isinstance(value, dict):
                    value = value.get("@id")
                if isinstance(value, str) and not key.startswith("@"):
                    out[key] = value
    return out


def joined(context: Any, own: Any) -> list[Any]:
    """Give the context of an event that brings its own: the document's first, each part once."""
    parts = []
    for one in (context, own):
        parts += one if isinstance(one, list) else [one]
    return [part for n, part in enumerate(parts) if part not in parts[:n]]


def expand(name: str, prefixes: dict[str, str]) -> str:
    """Give the full name `{namespace}local` of an extension field; full URIs stay themselves."""
    prefix, _, local = name.partition(":")
    namespace = prefixes.get(prefix)
    return f"{{{namespace}}}{local}" if namespace else name
