"""GS1 Digital Links back into EPC URNs, where it is known how long the company prefix is.

A URN parts the company prefix from the rest by a dot; a link does not say where the dot belongs.
No company prefix begins another one (GS1 General Specifications 1.4.4), so a link whose digits
begin with a prefix that is known to be one has one URN only.

Source: GS1 EPC Tag Data Standard 1.13, section 6.3 (URN forms) and 7 (correspondence with keys).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import unquote

from stafett.exchange.gs1link import DOMAIN, canonical

# Key of the link -> where in its value the company prefix begins.
_AT: Final = {
    "00": 1, "01": 1, "253": 0, "255": 0, "401": 0, "402": 0, "414": 0, "417": 0, "8003": 1,
    "8004": 0, "8006": 1, "8010": 0, "8017": 0, "8018": 0,
}  # fmt: skip
_WRITTEN: Final = re.compile(rb"urn:epc:(?:id|class|idpat):[a-z]+:(\d{6,12})\.")
_RESERVED: Final = re.compile(r'["%&/<>?#]')


class Untold(ValueError):
    """The link has no EPC URN, or it is not known which."""


def prefixes_in(body: bytes) -> set[str]:
    """Give the company prefixes that the EPC URNs of a document part from what follows."""
    return {found.decode() for found in _WRITTEN.findall(body)}


def settled(text: str) -> frozenset[str]:
    """Read a list of company prefixes, parted by commas; ValueError for what is none."""
    found = frozenset(p.strip() for p in text.split(",") if p.strip())
    for prefix in sorted(found):
        if not re.fullmatch(r"[0-9]{6,12}", prefix):
            raise ValueError(f"{prefix[:40]!r} is no GS1 company prefix of 6 to 12 digits")
    return found


def urn_of(uri: str, prefixes: Collection[str]) -> str:
    """Give a GS1 identifier as EPC URN, by the company prefixes known; any other URI unchanged.

    Raises `Untold` for an identifier that has no one URN: its company prefix is none of the known
    ones or begins with several, or it says what no URN has a place for (a lot beside a serial).

    >>> urn_of("https://id.gs1.org/00/095290030037165080", {"9529003"})
    'urn:epc:id:sscc:9529003.0003716508'
    """
    if uri.startswith("urn:"):
        return uri
    link = canonical(uri)
    if not link.startswith(DOMAIN + "/"):
        return uri
    key, value = link.removeprefix(DOMAIN + "/").split("/")[:2]
    if key not in _AT:
        return uri
    digits = unquote(value)[_AT[key] :]
    known = [n for n in range(6, 13) if digits[:n] in prefixes and len(digits) >= n]
    if not known:
        raise Untold(
            f"{uri} has no one EPC URN: how long its company prefix is, is not known here (no "
            "captured URN and no setting says it)"
        )
    if len(known) > 1:
        spelled = " and ".join(digits[:n] for n in known)
        raise Untold(f"{uri} has no one EPC URN: {spelled} are both known as company prefixes")
    return to_urn(link, known[0])


def to_urn(link: str, company_prefix: int) -> str:
    """Give the EPC URN of a Digital Link, with a company prefix of so many digits (6 to 12).

    A key without serial or lot is a class and given as `idpat`. Raises `Untold`, a ValueError, for
    a link that has no EPC URN.
    """
    if not 6 <= company_prefix <= 12:
        raise Untold(f"a GS1 company prefix has 6 to 12 digits, not {company_prefix}")
    parts = canonical(link).removeprefix(DOMAIN + "/").split("/")
    key, value, rest = parts[0], unquote(parts[1]) if len(parts) > 1 else "", parts[2:]
    tail = {q: _escape(unquote(v)) for q, v in zip(rest[::2], rest[1::2], strict=False)}
    found = f"urn:epc:{_urn(key, value, tail, company_prefix)}"
    # The way back is the proof: a wrong check digit or a lot beside a serial would be lost.
    if tail or canonical(found) != canonical(link):
        raise Untold(f"{link} has no EPC URN that says all of it")
    return found


def _urn(key: str, value: str, tail: dict[str, str], n: int) -> str | None:
    if key in ("01", "8006"):
        stem = f"{value[1 : n + 1]}.{value[0]}{value[n + 1 : 13]}"
        if key == "8006":
            stem = f"{stem}.{value[14:16]}.{value[16:18]}"
            return f"{_kind(tail, '21')}:itip:{stem}.{tail.pop('21', '*')}"
        if "235" in tail:
            return f"id:upui:{stem}.{tail.pop('235')}"
        if "10" in tail:  # with a serial beside it, what is left is refused
            return f"class:lgtin:{stem}.{tail.pop('10')}"
        return f"{_kind(tail, '21')}:sgtin:{stem}.{tail.pop('21', '*')}"
    if key == "00":
        return f"id:sscc:{value[1 : n + 1]}.{value[0]}{value[n + 1 : 17]}"
    if key == "414":
        return f"id:sgln:{value[:n]}.{value[n:12]}.{tail.pop('254', '0')}"
    if key == "417":
        return f"id:pgln:{value[:n]}.{value[n:12]}"
    if key in ("8018", "8017"):
        return f"id:{'gsrn' if key == '8018' else 'gsrnp'}:{value[:n]}.{value[n:17]}"
    if key == "402":
        return f"id:gsin:{value[:n]}.{value[n:16]}"
    if key in ("8004", "401"):
        return f"id:{'giai' if key == '8004' else 'ginc'}:{value[:n]}.{_escape(value[n:])}"
    if key == "8010":
        stem = f"{value[:n]}.{_escape(value[n:])}"
        return f"{_kind(tail, '8011')}:cpi:{stem}.{tail.pop('8011', '*')}"
    if key == "8003":
        value = value[1:]
    if key in ("253", "255", "8003"):
        scheme = {"253": "gdti", "255": "sgcn", "8003": "grai"}[key]
        stem, serial = f"{value[:n]}.{value[n:12]}", value[13:]
        return f"{'id' if serial else 'idpat'}:{scheme}:{stem}.{_escape(serial) or '*'}"
    return None


def _kind(tail: dict[str, str], serial: str) -> str:
    return "id" if serial in tail else "idpat"


def _escape(text: str) -> str:
    # What TDS 1.13 table A-1 lets stand in a URN as it is stays; a link escapes more.
    return _RESERVED.sub(lambda found: f"%{ord(found[0]):02X}", text)
