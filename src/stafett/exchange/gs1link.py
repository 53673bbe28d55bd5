"""EPC URNs and GS1 Digital Links: two spellings of one identifier, compared in one form.

`canonical` gives the canonical GS1 Digital Link (`https://id.gs1.org/...`) of an identifier in
either spelling and in any domain, and any other URI unchanged. The way back is `gs1urn`.

Sources: GS1 EPC Tag Data Standard 1.13 §6.3 and §12 (URN forms), GS1 Digital Link URI syntax 1.3
§4 and §5 (key qualifiers, short names), GS1 General Specifications §7.9 (check digit).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

DOMAIN: Final = "https://id.gs1.org"


def check_digit(body: str) -> str:
    """Give the GS1 check digit of a string of digits (weights 3, 1, 3, ... from the right).

    >>> check_digit("09529003003716508")
    '0'
    """
    total = sum(int(c) * (3 if i % 2 == 0 else 1) for i, c in enumerate(reversed(body)))
    return str(-total % 10)


def _escape(text: str) -> str:
    # Serials keep their octets: what the URN escapes, the link escapes too; ' stays (as in TDS).
    return quote(unquote(text), safe="'")


def _checked(body: str) -> str:
    return body + check_digit(body)


def _gtin(company: str, item: str) -> str:
    # The indicator digit leads the item reference in the URN and the whole GTIN in the link.
    return _checked(item[:1] + company + item[1:])


def _sgtin(p: list[str]) -> str:
    return f"/01/{_gtin(p[0], p[1])}" + (f"/21/{_escape(p[2])}" if p[2] != "*" else "")


def _lgtin(p: list[str]) -> str:
    return f"/01/{_gtin(p[0], p[1])}" + (f"/10/{_escape(p[2])}" if p[2] != "*" else "")


def _sscc(p: list[str]) -> str:
    return "/00/" + _checked(p[1][:1] + p[0] + p[1][1:])


def _sgln(p: list[str]) -> str:
    extension = "" if p[2] in ("0", "*") else f"/254/{_escape(p[2])}"
    return f"/414/{_checked(p[0] + p[1])}{extension}"


def _pgln(p: list[str]) -> str:
    return "/417/" + _checked(p[0] + p[1])


def _gsrn(p: list[str]) -> str:
    return "/8018/" + _checked(p[0] + p[1])


def _gsrnp(p: list[str]) -> str:
    return "/8017/" + _checked(p[0] + p[1])


def _giai(p: list[str]) -> str:
    return f"/8004/{p[0]}{_escape(p[1])}"


def _grai(p: list[str]) -> str:
    return f"/8003/0{_checked(p[0] + p[1])}" + ("" if p[2] == "*" else _escape(p[2]))


def _gdti(p: list[str]) -> str:
    return f"/253/{_checked(p[0] + p[1])}" + ("" if p[2] == "*" else _escape(p[2]))


def _sgcn(p: list[str]) -> str:
    return f"/255/{_checked(p[0] + p[1])}" + ("" if p[2] == "*" else p[2])


def _cpi(p: list[str]) -> str:
    return f"/8010/{p[0]}{_escape(p[1])}" + ("" if p[2] == "*" else f"/8011/{p[2]}")


def _ginc(p: list[str]) -> str:
    return f"/401/{p[0]}{_escape(p[1])}"


def _gsin(p: list[str]) -> str:
    return "/402/" + _checked(p[0] + p[1])


def _itip(p: list[str]) -> str:
    serial = "" if p[4] == "*" else f"/21/{_escape(p[4])}"
    return f"/8006/{_gtin(p[0], p[1])}{p[2]}{p[3]}{serial}"


def _upui(p: list[str]) -> str:
    return f"/01/{_gtin(p[0], p[1])}" + ("" if p[2] == "*" else f"/235/{_escape(p[2])}")


# scheme -> (number of dot-separated parts, digits of company prefix + reference, builder).
# A width of 0 means the reference is not of fixed width.
_SCHEMES: Final = {
    "sgtin": (3, 13, _sgtin),
    "lgtin": (3, 13, _lgtin),
    "sscc": (2, 17, _sscc),
    "sgln": (3, 12, _sgln),
    "pgln": (2, 12, _pgln),
    "gsrn": (2, 17, _gsrn),
    "gsrnp": (2, 17, _gsrnp),
    "giai": (2, 0, _giai),
    "grai": (3, 12, _grai),
    "gdti": (3, 12, _gdti),
    "sgcn": (3, 12, _sgcn),
    "cpi": (3, 0, _cpi),
    "ginc": (2, 0, _ginc),
    "gsin": (2, 16, _gsin),
    "itip": (5, 13, _itip),
    "upui": (3, 13, _upui),
}
_URN: Final = re.compile(r"^urn:epc:(id|class|idpat):([a-z]+):(.+)$")

# Digital Link: short names of the primary keys and qualifiers, and what a key's value looks like.
_SHORT: Final = {
    "gtin": "01", "itip": "8006", "cpi": "8010", "gln": "414", "party": "417", "gsrn": "8018",
    "gsrnp": "8017", "gcn": "255", "sscc": "00", "gdti": "253", "ginc": "401", "gsin": "402",
    "grai": "8003", "giai": "8004", "cpv": "22", "lot": "10", "ser": "21", "glnx": "254",
    "cpsn": "8011", "srin": "8019",
}  # fmt: skip
_KEYS: Final = {
    "00": r"\d{18}", "01": r"\d{8}|\d{12,14}", "253": r"\d{13}\S{0,17}", "255": r"\d{13,25}",
    "401": r"\S{1,30}", "402": r"\d{17}", "414": r"\d{13}", "417": r"\d{13}",
    "8003": r"\d{14}\S{0,16}", "8004": r"\d{4}\S{0,26}", "8006": r"\d{18}",
    "8010": r"\S{1,30}", "8017": r"\d{18}", "8018": r"\d{18}",
}  # fmt: skip
_KEY_VALUE: Final = {key: re.compile(f"(?:{value})") for key, value in _KEYS.items()}
_QUALIFIERS: Final = {
    "01": ("22", "10", "21", "235"), "8006": ("22", "10", "21"), "414": ("254",),
    "8010": ("8011",), "8017": ("8019",), "8018": ("8019",),
}  # fmt: skip


def _from_urn(uri: str) -> str | None:
    match = _URN.match(uri)
    if match is None or match[2] not in _SCHEMES:
        return None
    kind, scheme, rest = match.groups()
    count, width, build = _SCHEMES[scheme]
    parts = rest.split(".", count - 1)
    if len(parts) == count - 1 and kind == "class":
        parts.append("*")
    if len(parts) != count or not parts[0].isascii() or not parts[0].isdigit():
        return None
    if kind == "idpat" and "*" in parts[:-1]:
        return None  # a pattern over item references: no single identifier
    if width and (not (parts[0] + parts[1]).isdigit() or len(parts[0] + parts[1]) != width):
        return None
    return DOMAIN + build(parts)


def _from_link(uri: str) -> str | None:
    if not uri.startswith(("http://", "https://")):
        return None
    path = uri.split("://", 1)[1].partition("/")[2].split("#", 1)[0].split("?", 1)[0]
    parts = [_SHORT.get(p, p) for p in path.split("/")]
    for at in range(len(parts) - 1):
        key, value = parts[at], parts[at + 1]
        if key not in _KEY_VALUE or not _KEY_VALUE[key].fullmatch(unquote(value)):
            continue
        if key == "01":
            value = value.zfill(14)
        out = f"{DOMAIN}/{key}/{_escape(value)}"
        rest = parts[at + 2 :]
        given = dict(zip(rest[::2], rest[1::2], strict=False))
        if len(rest) % 2 or any(q not in _QUALIFIERS.get(key, ()) for q in given):
            return None
        for qualifier in _QUALIFIERS.get(key, ()):
            if qualifier in given:
                out += f"/{qualifier}/{_escape(given[qualifier])}"
        return out
    return None


@lru_cache(maxsize=65536)
def canonical(uri: str) -> str:
    """Give the canonical GS1 Digital Link of a GS1 identifier; any other URI unchanged.

    >>> canonical("urn:epc:id:sscc:9529003.0003716508")
    'https://id.gs1.org/00/095290030037165080'
    >>> canonical("https://example.com/gtin/9780345418913/21/765tz?x=1")
    'https://id.gs1.org/01/09780345418913/21/765tz'
    """
    if uri.startswith("urn:epc:"):
        return _from_urn(uri) or uri
    return _from_link(uri) or uri


@lru_cache(maxsize=65536)
def classes_of(link: str) -> tuple[str, ...]:
    """Give the wider identifiers that a canonical link falls under (its GTIN, GRAI, GDTI, ...).

    >>> classes_of("https://id.gs1.org/01/09529012123459/21/APH7000A")
    ('https://id.gs1.org/01/09529012123459',)
    """
    parts = link.removeprefix(DOMAIN + "/").split("/")
    if not link.startswith(DOMAIN) or len(parts) < 2:
        return ()
    if len(parts) > 2:
        return (f"{DOMAIN}/{parts[0]}/{parts[1]}",)
    width = {"8003": 14, "253": 13, "255": 13}.get(parts[0])
    if width and len(parts[1]) > width:
        return (f"{DOMAIN}/{parts[0]}/{parts[1][:width]}",)
    return ()


def pattern(uri: str) -> re.Pattern[str] | None:
    """Compile an `urn:epc:idpat` pattern to a regular expression over canonical links.

    Gives None for what is not a pattern. A `*` in the item reference leaves the company prefix
    fixed; a `*` as company prefix matches every identifier of the scheme.
    """
    match = _URN.match(uri)
    if match is None or match[1] != "idpat" or "*" not in match[3]:
        return None
    scheme = match[2]
    if scheme not in _SCHEMES:
        return re.compile(
            re.escape(f"urn:epc:id:{scheme}:") + re.escape(match[3]).replace(r"\*", ".*")
        )
    fixed = _from_urn(uri)
    if fixed is not None:
        return re.compile(re.escape(fixed) + r"(?:/.+|[^/]*)")
    company = match[3].split(".", 1)[0]
    prefix = r"\d*" if company == "*" else re.escape(company)
    key, lead = {
        "sgtin": ("01", r"\d"), "lgtin": ("01", r"\d"), "itip": ("8006", r"\d"),
        "upui": ("01", r"\d"), "sscc": ("00", r"\d"), "sgln": ("414", ""), "pgln": ("417", ""),
        "gsrn": ("8018", ""), "gsrnp": ("8017", ""), "giai": ("8004", ""), "grai": ("8003", "0"),
        "gdti": ("253", ""), "sgcn": ("255", ""), "cpi": ("8010", ""), "ginc": ("401", ""),
        "gsin": ("402", ""),
    }[scheme]  # fmt: skip
    qualifier = {"sgtin": r"/21/.+", "lgtin": r"/10/.+", "upui": r"/235/.+"}.get(
        scheme, r"(?:/.+)?"
    )
    return re.compile(re.escape(f"{DOMAIN}/{key}/") + lead + prefix + r"[^/]*" + qualifier)
