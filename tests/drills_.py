"""Drills at a practice station, carried through by the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from site_ import Site
from stafett.journey.script import filled_in
from stafett.journey.view import StationField


def carry_out(
    site: Site, login: str, protocol: str, activity: str, side: str, *, careless: bool = False
) -> dict[str, Any]:
    """Begin a drill at a station and carry it through; return how it ended."""
    body = {"protocol": protocol, "activity": activity, "side": side}
    drill = site.call(login, "POST", "/api/practice", json=body).json()
    result: dict[str, Any] = drive(site, login, drill, careless=careless)["result"]
    return result


def drive(site: Site, login: str, drill: dict[str, Any], *, careless: bool) -> dict[str, Any]:
    """Carry a drill through: answer what lies there, or (careless) always that all is well."""
    view = drill
    path = f"/api/practice/{drill['id']}"
    for _ in range(60):
        if view["result"] is not None:
            return view
        station, scene = view["station"], view["scene"]
        where = {k: station[k] for k in ("activity", "side", "about", "round") if k in station}
        check = next((c for c in station["checks"] if c["id"] == station.get("next")), None)
        if station["kind"] == "start":
            command: dict[str, Any] = {"type": "Start", "step": station["activity"]}
        elif check is not None:
            value: Any = scene["shown"]
            if check["kind"] == "choice":
                titles = {c["title"]: c["id"] for c in check["choices"]}
                good = next(c["id"] for c in check["choices"] if c["means"] == "pass")
                value = good if careless else titles[value]
            elif check["kind"] == "quantity":
                value = float(value.split()[0])
                low, high = check.get("min"), check.get("max")
                if careless:
                    within = [v for v in (low, high) if v is not None]
                    value = within[0] if within else value
            elif check["kind"] == "time":
                value = datetime.now(UTC).isoformat()
            command = {"type": "Answer", **where, "check": check["id"], "value": value,
                       "method": "scan" if check["kind"] == "scan" else "seen",
                       "unit": check.get("unit")}  # fmt: skip
        elif any(d["required"] and not d["attached"] for d in station["documents"]):
            paper = next(d for d in station["documents"] if d["required"] and not d["attached"])
            blank = [msgspec.convert(f, StationField) for f in paper["fields"]]
            fields = {f.id: filled_in(f, paper["id"], datetime.now(UTC)) for f in blank}
            command = {"type": "Attach", **where, "document": paper["id"], "sha256": "0" * 64,
                       "fields": fields}  # fmt: skip
        else:
            failed = any(c["result"] == "fail" for c in station["checks"])
            names = [o["id"] for o in station["options"]]
            if station["kind"] == "receive":
                stops = [name for name in ("quarantine", "refuse") if name in names]
                choice = stops[0] if failed else "accept"
                command = {"type": "Receive", "handoff": station["activity"], "decision": choice,
                           "reason": station["catalogue"][0]["id"] if failed else None}  # fmt: skip
            elif station["kind"] == "release":
                command = {"type": "Release", "handoff": station["activity"]}
            else:
                command = {"type": "Finish", "step": station["activity"], "result": names[0]}
        command["occurred_at"] = datetime.now(UTC).isoformat()
        answer = site.call(login, "POST", f"{path}/commands", json={"command": command})
        assert answer.status_code == 200, (command, answer.text)
        view = answer.json()
    raise AssertionError("the drill never ended")
