"""The demo's laboratory: a mapping, a result that is taken, and two that wait as dead letters."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import resources
from typing import Final

from stafett.service.results import Results

MAPPING: Final = resources.files("stafett") / "catalogue" / "hl7" / "laboratory.yaml"
PORT: Final = 2575  # IANA's for HL7
_HEAD = "MSH|^~\\&|LAB|NORRA|STAFETT|NORRA|{at}||ORU^R01^ORU_R01|{number}|P|2.5.1"
_ORDER = "OBR|1|{order}|F-{number}|QC^Release panel^L|||{at}"
_OBX = "OBX|1|NM|{code}^{code}^L||{value}|%|80-100|N|||F|||{at}"


def message(
    number: str,
    code: str = "NPU-VIAB",
    value: str = "93.5",
    order: str = "DEMO-1",
    at: datetime | None = None,
) -> bytes:
    """Return a made-up ORU^R01 with one result, of this moment if no other is said."""
    stamp = (at or datetime.now(UTC)).strftime("%Y%m%d%H%M%S%z")
    lines = [
        _HEAD.format(at=stamp, number=number),
        "PID|1||DEMO^^^NORRA||Demo^Patient",
        _ORDER.format(order=order, number=number, at=stamp),
        _OBX.format(code=code, value=value, at=stamp),
        "SPM|1|A999926000001&LAB||BLD",
    ]
    return "\r".join(lines).encode()


async def furnish(results: Results) -> None:
    """Put the mapping in its folder, unless one is there, and let three messages come."""
    folder = results.folder
    if any(folder.glob("*.yaml")):
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "laboratory.yaml").write_bytes(MAPPING.read_bytes())
    for data in (
        message("DEMO-1"),
        message("DEMO-2", code="NPU-CD3"),
        message("DEMO-3", value="9O"),
    ):
        await results.receive(data, "127.0.0.1")
