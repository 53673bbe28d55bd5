"""The gates that every chain has, whatever its text says: what must hold before what cannot be
undone.

Collection needs consent. Lymphodepletion, thaw and administration need consent, certification, and
the dose live, in the hands of a hospital and out of its shipper; administration also needs the
lymphodepletion. A consent, certification or conditioning step that comes after the act in the
order (a confirmation, a second course) is not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stafett.protocol.chain import Chain
from stafett.protocol.compiled import Compiled
from stafett.protocol.explore import Gate
from stafett.protocol.model import Step
from stafett.protocol.net import DONE, LIVE, QUARANTINED

GATED = {
    "collect": ("collect-unready", ("consent",)),
    "conditioning": ("conditioning-unready", ("consent", "certify")),
    "thaw": ("thaw-unready", ("consent", "certify")),
    "administer": ("administer-unready", ("consent", "certify", "conditioning")),
}
# A dose that keeps for less than this cannot wait on site for lymphodepletion: it is fresh.
FRESH_SECONDS = 7 * 86400


def gates(chain: Chain) -> dict[str, Callable[[Compiled], Gate]]:
    """Return the gate of each step that has one, for `explore`."""
    return {
        name: _gate(chain, name, step)
        for name, step in chain.protocol.steps.items()
        if step.kind in GATED and (step.kind != "thaw" or _doses(chain, step.inputs))
    }


def _gate(chain: Chain, name: str, step: Step) -> Callable[[Compiled], Gate]:
    code, kinds = GATED[step.kind]
    later = chain.net.downstream(name)
    needed = [
        (other, kind)
        for kind in kinds
        for other, one in chain.protocol.steps.items()
        if one.kind == kind and other not in later and not one.on_demand
    ]
    missing = [
        kind
        for kind in kinds
        if kind != "conditioning"
        and not any(one.kind == kind for one in chain.protocol.steps.values())
    ]
    doses = _awaited(chain, name, step)
    if step.kind == "conditioning" and _is_fresh(chain):
        code = "conditioning-fresh"

    def build(compiled: Compiled) -> Gate:
        places = [(other, kind, compiled.net.index[other]) for other, kind in needed]
        at = [(dose, compiled.at[compiled.net.material[dose]]) for dose in doses]
        hospital = {
            i + 1
            for i, role in enumerate(chain.protocol.roles.values())
            if role.organisation == "hospital"
        }

        packaging = {
            compiled.net.material[material] + 1
            for material, entry in chain.protocol.materials.items()
            if entry.purpose == "packaging"
        }

        def rule(state: bytes) -> Iterator[tuple[str, str]]:
            for kind in missing:
                yield code, f"{name} begins, and there is no {kind} step at all"
            for other, kind, i in places:
                if state[i] < DONE:
                    yield code, f"{name} begins before {other} ({kind}) is done"
            if step.kind == "collect":
                return
            there = [dose for dose, a in at if state[a] == LIVE and state[a + 1] in hospital]
            elsewhere = [
                dose for dose, a in at if LIVE <= state[a] <= QUARANTINED and dose not in there
            ]
            if elsewhere:
                what = f"{', '.join(elsewhere)} is quarantined or not yet with a hospital"
                yield code, f"{name} begins while {what}"
            elif not there:
                yield code, f"{name} begins, and no dose is in the hands of a hospital"
            for dose in there:
                outer = state[compiled.at[compiled.net.material[dose]] + 2]
                while outer and outer not in packaging:
                    outer = state[compiled.at[outer - 1] + 2]
                if outer:
                    box = compiled.net.materials[outer - 1]
                    yield code, f"{name} begins while {dose} is still in {box}, unseen"

        return rule

    return build


def _doses(chain: Chain, materials: tuple[str, ...]) -> list[str]:
    return [m for m in materials if chain.material(m).purpose == "dose"]


def _awaited(chain: Chain, name: str, step: Step) -> list[str]:
    """Return the doses that must be on site: those it uses, else those there by then."""
    used = _doses(chain, step.inputs)
    if used:
        return used
    later = chain.net.downstream(name)
    return [
        material
        for material, entry in chain.protocol.materials.items()
        if entry.purpose == "dose" and not set(chain.makers(material)) <= later
    ]


def _is_fresh(chain: Chain) -> bool:
    return any(
        material.purpose == "dose"
        and material.shelf_life is not None
        and material.shelf_life.at_most.seconds < FRESH_SECONDS
        and not any(
            other.purpose == "dose"
            and other.shelf_life is not None
            and other.shelf_life.at_most.seconds >= FRESH_SECONDS
            for other in chain.protocol.materials.values()
        )
        for material in chain.protocol.materials.values()
    )
